"""Frames for the sweep assembler, and what becomes of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from focdepth_ros.stack import ImageArray
from focdepth_ros.sweep import (
    FocusSample,
    FrameDropped,
    ImageSource,
    Sweep,
    SweepAssembler,
    SweepConfig,
    SweepDropped,
    SweepEvent,
    SweepFinished,
)

PERIOD = 33_000_000
DIOPTRES = [2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25, 0.0]
NEAR_TO_FAR = DIOPTRES
FAR_TO_NEAR = DIOPTRES[::-1]
SIZE = (12, 16)
SHARP: ImageArray = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
BLURRED = np.asarray(cv2.GaussianBlur(SHARP, (0, 0), 2.0), dtype=np.uint8)


class Feed:
    """Gives an assembler frames one period apart and keeps what comes out."""

    def __init__(
        self, *, needs_metres: bool = True, position_tolerance: float = 0.0, **config: object
    ) -> None:
        self.assembler = SweepAssembler(
            SweepConfig(**config),  # type: ignore[arg-type]
            needs_metres=needs_metres,
            position_tolerance=position_tolerance,
        )
        self.events: list[SweepEvent] = []
        self.stamp = 0
        self.now = 0.0

    def frame(
        self,
        dioptre: float,
        image: ImageSource = SHARP,
        *,
        size: tuple[int, int] = SIZE,
        encoding: str = "rgb8",
        focus_first: bool = False,
        **sample: object,
    ) -> list[SweepEvent]:
        """Feed one frame and return the events it causes."""
        self.stamp += PERIOD
        self.now += PERIOD / 1e9
        distance = sample.pop("focus_distance", math.inf if dioptre == 0.0 else 1.0 / dioptre)
        focus = FocusSample(self.stamp, distance, **sample)  # type: ignore[arg-type]

        def add_image() -> list[SweepEvent]:
            return self.assembler.add_image(
                self.stamp, image, size=size, encoding=encoding, now=self.now
            )

        def add_focus() -> list[SweepEvent]:
            return self.assembler.add_focus(focus, now=self.now)

        first, second = (add_focus, add_image) if focus_first else (add_image, add_focus)
        events = [*first(), *second()]
        self.events += events
        return events

    def frames(self, dioptres: Iterable[float]) -> Feed:
        for dioptre in dioptres:
            self.frame(dioptre)
        return self

    def sweep(
        self,
        sweep_id: int,
        dioptres: Sequence[float] = DIOPTRES,
        size: int = 0,
        *,
        first_step: int = 0,
    ) -> None:
        for step, dioptre in enumerate(dioptres, start=first_step):
            self.frame(dioptre, sweep_id=sweep_id, sweep_step=step, sweep_size=size)

    def wait(self, seconds: float) -> list[SweepEvent]:
        self.now += seconds
        events = self.assembler.poll(now=self.now)
        self.events += events
        return events

    def flush(self) -> Feed:
        self.events += self.assembler.flush()
        return self

    @property
    def sweeps(self) -> list[Sweep]:
        return [event.sweep for event in self.events if isinstance(event, SweepFinished)]

    @property
    def outcome(self) -> list[tuple[list[float], str]]:
        """Dioptres in order of exposure and end reason of every finished sweep."""
        return [([s.dioptre for s in sweep.slices], sweep.end_reason) for sweep in self.sweeps]

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.assembler.dropped)


def reasons(events: Iterable[SweepEvent]) -> list[str]:
    return [e.reason.value for e in events if isinstance(e, (FrameDropped, SweepDropped))]
