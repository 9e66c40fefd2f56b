"""StackMFF-V2 as its authors run it: their code and weights, neither part of the project.

The code is a checkout of github.com/Xinzhe99/StackMFF-V2, of which ``network.py`` is imported.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from focdepth_ros.classical.all_in_focus import sample_all_in_focus
from focdepth_ros.estimate import depth_from_slice_index
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray

#: Blur that takes away the sensor noise on which the network breaks, px.
FAIR_BLUR = 1.2

_MULTIPLE = 32  # px, of the sizes that the network takes


def load_network(checkout: Path | None, weights: Path | None) -> torch.nn.Module:
    """The network of a checkout with the weights of a file.

    Raises
    ------
    FileNotFoundError
        If either is not there, or not told.
    """
    if checkout is None or weights is None:
        raise FileNotFoundError("its code and its weights are not both given")
    code = checkout / "network.py"
    for path in (code, weights):
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location("stackmff_v2_network", code)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = torch.load(weights, map_location="cpu", weights_only=True)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it is made of
        network: torch.nn.Module = module.StackMFF_V2()
    network.load_state_dict({key.removeprefix("module."): v for key, v in state.items()})
    return network.eval()


def stackmff_method(
    network: torch.nn.Module, blur: float = 0.0
) -> Callable[[FocalStack], tuple[FloatImage, None]]:
    """Depth in metres of a focal stack; the network does not tell how sure it is.

    Its depth goes from 0 to 1 between its own extremes; as for its all-in-focus image, they are
    taken to be the first and the last slice.

    Parameters
    ----------
    network : torch.nn.Module
        From `load_network`.
    blur : float
        Standard deviation of a Gaussian to blur the slices with, px; 0 for none.
    """

    def estimate(stack: FocalStack) -> tuple[FloatImage, None]:
        share, _ = _answer(network, stack, blur)
        height, width = stack.size
        share = cv2.resize(share, (width, height))
        index = np.asarray(share * np.float32(len(stack) - 1), np.float32)
        return depth_from_slice_index(index, stack.dioptres), None

    return estimate


def stackmff_fusion(
    network: torch.nn.Module, blur: float = 0.0
) -> Callable[[FocalStack], ImageArray]:
    """All-in-focus image of a focal stack, by the network's own rule.

    The slice of a pixel is its depth times the number of the last one, rounded; its colour that of
    the slice as it was recorded.

    Parameters
    ----------
    network, blur
        As of `stackmff_method`.
    """

    def fuse(stack: FocalStack) -> ImageArray:
        _, index = _answer(network, stack, blur)
        height, width = stack.size
        index = cv2.resize(index, (width, height), interpolation=cv2.INTER_NEAREST)
        return sample_all_in_focus([item.image for item in stack.slices], index)

    return fuse


def _answer(
    network: torch.nn.Module, stack: FocalStack, blur: float
) -> tuple[FloatImage, FloatImage]:
    """Its depth from 0 to 1 and the index of its slices, in the size that the network takes."""
    grey = np.stack([cv2.cvtColor(item.image, cv2.COLOR_RGB2GRAY) for item in stack.slices])
    pictures = grey.astype(np.float32) / np.float32(255.0)
    if blur > 0.0:
        pictures = np.stack([cv2.GaussianBlur(picture, (0, 0), blur) for picture in pictures])
    size = tuple(-(-side // _MULTIPLE) * _MULTIPLE for side in stack.size)
    with torch.inference_mode():
        given = functional.interpolate(
            torch.from_numpy(pictures)[None], size=size, mode="bilinear", align_corners=False
        )
        _, depth, index = network(given)
    return depth.numpy().squeeze(), index.numpy().squeeze().astype(np.float32)
