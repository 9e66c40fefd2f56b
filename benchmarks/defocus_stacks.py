"""Focal stacks made by the forward model of depth from defocus itself, at the paper's settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from focdepth_ros.classical.hole_filling import fill_holes
from focdepth_ros.datasets.icl_nuim import IclNuim
from focdepth_ros.datasets.rgbd import Photograph, RgbdDataset
from focdepth_ros.datasets.seven_scenes import SevenScenes
from focdepth_ros.defocus.forward_model import DefocusModel
from focdepth_ros.defocus.settings import load_settings
from focdepth_ros.stack import FloatImage, Lens, Slice

_NYU = load_settings("nyu_depth_v2")
#: How the paper solves stacks that it makes from NYU Depth v2: 40 epochs, 100 depths.
CONFIG = _NYU.config
#: The lens and the focus distances [m] with which it makes them.
LENS: Lens = cast("Lens", _NYU.lens)
FOCUS_DISTANCES = cast("tuple[float, ...]", _NYU.focus_distances)

FRAMES = 8  # of each video, evenly spaced: neighbours show the same
_FOLDERS: dict[str, type[RgbdDataset]] = {"icl_livingroom1": IclNuim, "7scenes": SevenScenes}


@dataclass(frozen=True, eq=False)
class DefocusStack:
    """What the lens makes of a picture with depth.

    Parameters
    ----------
    slices : (K, H, W, 3) float32
        In [0, 1], in the order of `FOCUS_DISTANCES`.
    image : (H, W, 3) float32
        The all-in-focus image.
    dioptre : (H, W) float32
        1/m, holes filled from around them.
    known : (H, W) bool
        False in these holes.
    """

    slices: NDArray[np.float32]
    image: NDArray[np.float32]
    dioptre: FloatImage
    known: NDArray[np.bool_]

    def as_slices(self) -> list[Slice]:
        """As a camera with 8 bits gives them."""
        codes = np.rint(255.0 * self.slices).astype(np.uint8)
        return [Slice(code, at) for code, at in zip(codes, FOCUS_DISTANCES, strict=True)]


def forward_model() -> DefocusModel:
    """The lens as the solver sees it."""
    return DefocusModel(LENS, FOCUS_DISTANCES, psf=CONFIG.psf, min_coc=CONFIG.min_coc)


def photographs(folder: Path) -> Iterator[tuple[str, str, Photograph]]:
    """Set, name and picture with depth of some frames of the sets that the folder holds."""
    for name, dataset in _FOLDERS.items():
        if (folder / name).is_dir():
            video = dataset(folder / name)
            step = max(len(video) // FRAMES, 1)
            for scene in video.scenes[::step][:FRAMES]:
                yield name, scene, video.photograph(scene)


def defocused(image: NDArray[np.uint8], depth: FloatImage) -> DefocusStack:
    """Blur a picture (H, W, 3) by its depth (H, W) [m], NaN where not known.

    Values of the picture are taken for light as they are, as the paper does.
    """
    known = np.isfinite(depth) & (depth > CONFIG.near) & (depth < CONFIG.far)
    with np.errstate(divide="ignore", invalid="ignore"):
        dioptre = fill_holes((1.0 / depth).astype(np.float32), known, image)
    sharp = image.astype(np.float32) / np.float32(255.0)
    model = forward_model()
    with torch.inference_mode():
        stack = model.operator(torch.from_numpy(dioptre)).forward(torch.from_numpy(sharp))
    slices = np.ascontiguousarray(stack.permute(2, 0, 1, 3).numpy())
    return DefocusStack(slices, sharp, dioptre, known)
