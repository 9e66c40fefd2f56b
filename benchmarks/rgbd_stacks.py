"""Focal stacks rendered from photographs with depth that nothing was tuned or trained on.

The data is third-party and not part of the project: a folder that holds one folder per set,
of which those that are missing are left out. `focdepth_ros.datasets` tells how they are read.

- ``middlebury2001_2006``: stereo scenes, those of 2001 and 2003 looked at during development.
- ``7scenes``: frames of a Kinect. Colours and depths are a little out of register, and many
  depths are missing, most of them at edges: rendered with the nearest one, they are not scored.
- ``icl_livingroom1``: frames of a synthetic room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.datasets.icl_nuim import IclNuim
from focdepth_ros.datasets.middlebury import Middlebury
from focdepth_ros.datasets.seven_scenes import SevenScenes

MIDDLEBURY, SEVEN_SCENES, ICL = "middlebury2001_2006", "7scenes", "icl_livingroom1"

#: Scenes looked at while the methods were developed; figures are to come from the others.
DEVELOPMENT_YEARS = ("2001", "2003")

_FRAMES = 8  # of each video, evenly spaced: neighbours show the same


@dataclass(frozen=True)
class RgbdScene:
    """A scene of a dataset, not yet rendered."""

    dataset: Dataset
    name: str

    def render(self) -> LabelledStack:
        """Record the sweep of its dataset."""
        return self.dataset.load(self.name)


def middlebury_scenes(folder: Path, *, held_out: bool) -> Iterator[RgbdScene]:
    """Middlebury scenes in the order of their names.

    Parameters
    ----------
    folder : Path
        That of the set.
    held_out : bool
        Whether to give those of 2005 and 2006, or those of the `DEVELOPMENT_YEARS`.
    """
    dataset = Middlebury(folder)
    for name in dataset.scenes:
        if held_out != (dataset.year(name) in DEVELOPMENT_YEARS):
            yield RgbdScene(dataset, name)


def seven_scenes(folder: Path) -> Iterator[RgbdScene]:
    """Frames of 7-Scenes, evenly spaced in time, from the folder of the set."""
    return _some(SevenScenes(folder))


def icl_scenes(folder: Path) -> Iterator[RgbdScene]:
    """Frames of the ICL living room, evenly spaced in time, from the folder of the set."""
    return _some(IclNuim(folder))


def _some(video: Dataset) -> Iterator[RgbdScene]:
    step = max(len(video) // _FRAMES, 1)
    return (RgbdScene(video, name) for name in video.scenes[::step][:_FRAMES])
