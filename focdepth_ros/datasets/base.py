"""What a dataset is: scenes by name, each a focal stack with its ground truth.

A dataset reads the files of its authors where they lie. Nothing is downloaded or changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import FloatImage, FocalStack, ImageArray

ALL = "all"
"""Name of the split of a dataset that has none."""


@dataclass(frozen=True, eq=False)
class LabelledStack:
    """A focal stack and what is known of its scene, on the grid of the reference slice.

    Parameters
    ----------
    name : str
        Of the scene, unique within its dataset.
    stack : FocalStack
        With lens and intrinsics where they are known.
    depth : (H, W) float32 or None
        Ground truth, metres along the optical axis, NaN where it is not known. None: there is
        none.
    is_metric : bool
        Whether the truth is in the unit of the focus distances; otherwise it is right but for a
        scale and a shift of its inverse.
    all_in_focus : (H, W, 3) uint8 or None
        RGB, sharp everywhere.
    labels : (H, W) int32 or None
        Classes of the pixels, -1 where not known.

    Raises
    ------
    DatasetError
        If the sizes differ.
    """

    name: str
    stack: FocalStack
    depth: FloatImage | None = None
    is_metric: bool = True
    all_in_focus: ImageArray | None = None
    labels: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        for what in ("depth", "all_in_focus", "labels"):
            image: NDArray[Any] | None = getattr(self, what)
            if image is not None and image.shape[:2] != self.stack.size:
                raise DatasetError(
                    f"{self.name}: {what} is of shape {image.shape}, the slices are of "
                    f"{self.stack.size}; they must be of one size"
                )

    @property
    def valid_mask(self) -> NDArray[np.bool_]:
        """Where the depth is known, (H, W)."""
        if self.depth is None:
            return np.zeros(self.stack.size, dtype=np.bool_)
        return np.asarray(np.isfinite(self.depth) & (self.depth > 0.0))


class Dataset(ABC):
    """A dataset in the layout of its authors.

    Parameters
    ----------
    root : path-like
        Its folder, or the file that holds it.
    split : str, optional
        One of `splits`; the first one by default.

    Attributes
    ----------
    name, title, homepage, licence : str
        What it is called here and by its authors, where to get it, what may be done with it.
    layout : str
        The files that are looked for, one pattern a line, below `root`.
    splits : tuple of str
    measured : str
        Where its focal stacks and depths come from, such as ``light field camera``.

    Raises
    ------
    DatasetError
        If there is no such split, `root` is missing, or none of the scenes is there.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    homepage: ClassVar[str]
    licence: ClassVar[str]
    layout: ClassVar[str]
    measured: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = (ALL,)

    def __init__(self, root: Path | str, split: str | None = None) -> None:
        self.root = Path(root)
        self.split = self.splits[0] if split is None else split
        if self.split not in self.splits:
            raise DatasetError(
                f"dataset '{self.name}' has no split '{split}'; choose one of "
                f"{', '.join(self.splits)}"
            )
        if not self.root.exists():
            raise DatasetError(
                f"{self.root}: no such file or folder; get {self.title} from {self.homepage} and "
                "give the path of its folder"
            )
        self.scenes: tuple[str, ...] = tuple(self._find_scenes())
        if not self.scenes:
            split_text = "" if self.split == ALL else f" of the split '{self.split}'"
            looked_for = ", ".join(self.layout.split("\n"))
            raise DatasetError(
                f"{self.root}: holds no scene{split_text} of {self.title}; looked for {looked_for}"
            )

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[LabelledStack]:
        return map(self.load, self.scenes)

    def load(self, scene: str) -> LabelledStack:
        """Read one scene.

        Raises
        ------
        DatasetError
            If there is no such scene, or a file of it is missing or holds something else.
        """
        if scene not in self.scenes:
            raise DatasetError(
                f"dataset '{self.name}' in {self.root} has no scene '{scene}'; it has "
                f"{_shortened(self.scenes)}"
            )
        return self._load(scene)

    @abstractmethod
    def _find_scenes(self) -> Sequence[str]:
        """Names of the scenes of the split that are there, without reading them."""

    @abstractmethod
    def _load(self, scene: str) -> LabelledStack:
        """Read a scene that `_find_scenes` gave."""


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
