"""How frames are put together to sweeps; for the nodes, the command line and bags alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from focdepth_ros.errors import OptionError
from focdepth_ros.options import option

Split = Literal["auto", "sweep_id", "reversal", "count", "window"]
Reference = Literal["first", "middle", "last"]


@dataclass(frozen=True)
class SweepConfig:
    """How frames are put together to sweeps.

    Parameters
    ----------
    split : {"auto", "sweep_id", "reversal", "count", "window"}
        How one sweep is told from the next: by the driver's sweep id; by the focus turning
        round or jumping back; after `count` distinct distances; or, as a window that slides,
        a sweep of the last `count` distinct distances after every `window_stride` new ones.
        ``auto``: by sweep id where the driver gives one, else by reversal.
    count : int
        Slices per sweep for ``count`` and ``window``.
    window_stride : int
        New distances from one window to the next, at most `count`.
    min_slices : int
        A sweep with fewer slices is dropped; at least 2.
    max_slices : int
        A sweep with this many slices is ended.
    timeout : float
        Seconds without a new distance after which the open sweep is ended, and that an image
        and its focus state wait for each other. A camera that stays at each distance for
        longer needs a longer one.
    min_dioptre_step : float
        Focus distances that differ by no more than this, in 1/m, count as the same.
    match_window : int
        How many images, and how many focus states, wait for their partner at most.

    Raises
    ------
    OptionError
        If a value is out of its range.
    """

    split: str = option(
        "auto",
        "How one sweep is told from the next: by the driver's sweep_id, by reversal of the focus, "
        "by count, or as a sliding window; auto: sweep_id if there is one, else reversal.",
        choices=get_args(Split),
    )
    count: int = option(
        10, "Slices per sweep when split by count or window.", minimum=2, maximum=1000
    )
    window_stride: int = option(
        1, "New focus distances from one sliding window to the next.", minimum=1, maximum=1000
    )
    min_slices: int = option(3, "A sweep with fewer slices is dropped.", minimum=2, maximum=1000)
    max_slices: int = option(64, "A sweep with this many slices is ended.", minimum=2, maximum=1000)
    timeout: float = option(
        1.0,
        "Without a new focus distance for this long, the sweep is ended [s].",
        minimum=0.01,
        maximum=3600.0,
    )
    min_dioptre_step: float = option(
        0.005,
        "Focus distances that differ by no more count as the same [1/m].",
        minimum=0.0,
        maximum=10.0,
    )
    match_window: int = option(
        32,
        "At most this many images, or focus states, wait for their partner.",
        minimum=1,
        maximum=1000,
    )

    def __post_init__(self) -> None:
        counted = self.split in ("count", "window")
        rules = [
            ("split", self.split in get_args(Split), f"one of {', '.join(get_args(Split))}"),
            ("min_slices", self.min_slices >= 2, "at least 2"),
            (
                "max_slices",
                self.max_slices >= self.min_slices,
                f"at least min_slices, {self.min_slices}",
            ),
            ("timeout", 0.0 < self.timeout < math.inf, "seconds > 0"),
            ("min_dioptre_step", 0.0 <= self.min_dioptre_step < math.inf, "1/m, >= 0"),
            ("match_window", self.match_window >= 1, "at least 1"),
            (
                "count",
                not counted or self.min_slices <= self.count <= self.max_slices,
                f"from min_slices to max_slices, {self.min_slices} to {self.max_slices}",
            ),
            (
                "window_stride",
                self.split != "window" or 1 <= self.window_stride <= self.count,
                f"from 1 to count, {self.count}",
            ),
        ]
        for name, holds, expected in rules:
            if not holds:
                raise OptionError(f"{name} is {getattr(self, name)!r}; it must be {expected}")
