"""Where the stacks of a benchmark come from, and how they get to its image sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np

from focdepth_ros.datasets.base import ALL, Dataset, LabelledStack
from focdepth_ros.errors import OptionError
from focdepth_ros.evaluation.scene_choice import evenly_spread
from focdepth_ros.geometry import scaled_intrinsics
from focdepth_ros.simulation import render_random_sweep
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import FocalStack, Slice

#: Width and height in pixels; None: as the stack is.
Size = tuple[int, int] | None

_SIMULATED_SIZE = (640, 480)


class StackSource(Protocol):
    """Stacks by name.

    Attributes
    ----------
    title : str
        What they are, in a few words.
    names : sequence of str
    """

    title: str
    names: Sequence[str]

    def load(self, name: str, size: Size) -> LabelledStack:
        """One of the stacks in a size.

        Raises
        ------
        FocdepthError
            If it cannot be read.
        """


class SimulatedStacks:
    """Simulated scenes that nothing was trained or tuned on, rendered in the size asked for.

    Parameters
    ----------
    count : int
        Number of scenes.
    slices : int
        Of each stack, from 0.4 m to 4 m.
    """

    def __init__(self, count: int, *, slices: int = 10) -> None:
        seeds = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + count)
        self.title = f"simulated scenes {seeds[0]} to {seeds[-1]}, {slices} slices"
        self.names: Sequence[str] = tuple(map(str, seeds))
        self._slices = slices

    def load(self, name: str, size: Size) -> LabelledStack:
        """Render the scene of a seed; without a size with 640x480 px."""
        width, height = size or _SIMULATED_SIZE
        simulated = render_random_sweep(int(name), slices=self._slices, width=width, height=height)
        return LabelledStack(name, simulated.stack, simulated.depth)


class DatasetStacks:
    """Scenes of datasets, resized to the size asked for.

    Parameters
    ----------
    datasets : sequence of Dataset
        Scenes of several are called by their folder and split, too.
    count : int, optional
        So many of all scenes, evenly spread; all by default.

    Raises
    ------
    OptionError
        If two scenes have the same name.
    """

    def __init__(self, datasets: Sequence[Dataset], count: int | None = None) -> None:
        self._places: dict[str, tuple[Dataset, str]] = {}
        for dataset in datasets:
            for scene in dataset.scenes:
                name = scene
                if len(datasets) > 1:
                    split = "" if dataset.split == ALL else dataset.split
                    parts = (dataset.root.resolve().name, split, scene)
                    name = "/".join(dict.fromkeys(filter(None, parts)))
                if name in self._places:
                    raise OptionError(
                        f"there are two stacks '{name}'; give each folder once, and folders of "
                        "different names"
                    )
                self._places[name] = dataset, scene
        self.names: Sequence[str] = evenly_spread(tuple(self._places), count)
        titles = ", ".join(dict.fromkeys(dataset.title for dataset in datasets))
        self.title = f"{titles}: {len(self.names)} of {len(self._places)}"

    def load(self, name: str, size: Size) -> LabelledStack:
        """Read a scene; see `resized_stack`."""
        dataset, scene = self._places[name]
        sample = replace(dataset.load(scene), name=name)
        return sample if size is None else resized_stack(sample, *size)


def resized_stack(sample: LabelledStack, width: int, height: int) -> LabelledStack:
    """A stack and its truth scaled to cover a size, and cut to it around the middle.

    Pixels stay square; lens and intrinsics go with them. All-in-focus image and labels are left
    out.

    Parameters
    ----------
    sample : LabelledStack
    width, height : int
        Pixels.
    """
    stack = sample.stack
    rows, columns = stack.size
    scale = max(width / columns, height / rows)
    scaled = max(round(columns * scale), width), max(round(rows * scale), height)
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    window = np.s_[top : top + height, left : left + width]
    # Neither of them makes up detail; of depths, a mean across an edge exists nowhere.
    smooth = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    nearest = cv2.INTER_NEAREST_EXACT

    def fitted(item: Slice) -> Slice:
        image = np.asarray(cv2.resize(item.image, scaled, interpolation=smooth), np.uint8)
        mask = item.valid_mask
        if mask is not None:
            mask = cv2.resize(mask.astype(np.uint8), scaled, interpolation=nearest)[window] > 0
        return replace(item, image=np.ascontiguousarray(image[window]), valid_mask=mask)

    intrinsics, lens, depth = stack.intrinsics, stack.lens, sample.depth
    if intrinsics is not None:
        whole = scaled_intrinsics(intrinsics, *scaled)
        intrinsics = replace(
            whole, width=width, height=height, cx=whole.cx - left, cy=whole.cy - top
        )
    if lens is not None:
        lens = replace(lens, pixel_pitch=lens.pixel_pitch * columns / scaled[0])
    if depth is not None:
        depth = np.asarray(cv2.resize(depth, scaled, interpolation=nearest)[window], np.float32)
    slices = [fitted(item) for item in stack.slices]
    fitted_stack = FocalStack(slices, intrinsics, lens, stack.reference)
    return LabelledStack(sample.name, fitted_stack, depth, is_metric=sample.is_metric)
