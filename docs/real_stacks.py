"""The folders of photographs that the pictures of the docs are computed from, and their answers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from focdepth_ros import DepthPipeline
from focdepth_ros.backends.base import Backend
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.stack import FocalStack
from focdepth_ros.stack_folder.reading import StackFolder

_MAX_SIZE = 1280  # longest side, px


@dataclass(frozen=True)
class RealStack:
    """A folder of photographs below the folder of stacks."""

    name: str
    far_to_near: bool = False

    def load(self, stacks: Path, max_size: int = _MAX_SIZE) -> FocalStack:
        """The stack, near to far, with metres where ``meta.json`` tells them."""
        folder, distances = stacks / self.name, None
        if (folder / "meta.json").is_file():
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            distances = meta.get("focus_distance_m")
        found = StackFolder.open(folder, focus_distances=distances)
        if self.far_to_near:
            found = found.reversed()
        return found.load(max_size=max_size)


REAL_STACKS = (
    RealStack("mobiledepth/keyboard_raw", far_to_near=True),
    RealStack("mobiledepth/balls_raw", far_to_near=True),
    RealStack("handheld/cocoa1"),
    RealStack("handheld/dog1"),
    RealStack("pixel6pro/backpack"),
    RealStack("pixel6pro/desk"),
    RealStack("pixel6pro/room"),
    RealStack("webcam_sweep", far_to_near=True),
    RealStack("cave/exp10"),
    RealStack("cave/flowerMan"),
    RealStack("cave/stairs1"),
)


@dataclass(frozen=True, eq=False)
class Answer:
    """A stack's way through the whole pipeline, and how long it took per slice."""

    stack: FocalStack
    estimate: DepthEstimate
    align_seconds: float
    seconds: float

    @property
    def coverage(self) -> float:
        """Share of the pixels that are answered at the default threshold."""
        sure = self.estimate.confidence >= DEFAULT_MIN_CONFIDENCE
        return float(np.mean(sure & ~np.isnan(self.estimate.depth)))


def answer_of(
    stack: FocalStack, backend: Backend, alignment: AlignmentConfig | None = None
) -> Answer:
    """The pipeline's answer with its default settings, but for every pixel."""
    pipeline = DepthPipeline(backend, alignment=alignment, min_confidence=0.0)
    started = time.perf_counter()
    estimate = pipeline.estimate(stack)
    seconds = (time.perf_counter() - started) / len(stack)
    return Answer(stack, estimate, estimate.timings["align"] / len(stack), seconds)
