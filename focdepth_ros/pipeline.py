"""The main path from the slices of a sweep to depth: alignment, backend, confidence, fallback.

This is the only place that falls back from one backend to another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np

from focdepth_ros.alignment import Aligner
from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec, spec_of
from focdepth_ros.backends.cooldown import Cooldown
from focdepth_ros.backends.registry import AUTO, create_backend
from focdepth_ros.classical.hole_filling import fill_holes
from focdepth_ros.defaults import DEFAULT_COOLDOWN_S, DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import AlignmentError, BackendError, DeviceError, OptionError, StackError
from focdepth_ros.estimate import DepthEstimate, depth_from_slice_index
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.warp import warp_estimate
from focdepth_ros.stack import FocalStack, Slice

# With their options: a GPU that failed one backend would fail the next.
_FALLBACKS: dict[str, dict[str, str]] = {"graph_cut": {"device": "cpu"}, "argmax": {}}


class DepthPipeline:
    """Turns sweeps into depth, and answers with a simpler backend when the chosen one fails.

    Parameters
    ----------
    backend : Backend, optional
        The best usable one by default.
    alignment : AlignmentConfig, optional
        How the slices are brought onto one pixel grid; by default only as far as needed.
    min_confidence : float
        Pixels of lower confidence get NaN as their depth; 0 answers every pixel.
    fill_holes : bool
        Whether these pixels get a depth guessed from those around them instead. Their
        confidence is 0, so that finite depth of confidence 0 is what was filled.
    cooldown_s : float
        Seconds in which the backend is not tried again after its device has failed; simpler ones
        answer meanwhile.

    Raises
    ------
    OptionError
        If `min_confidence` is not in [0, 1], or `cooldown_s` is negative.
    """

    def __init__(
        self,
        backend: Backend | None = None,
        *,
        alignment: AlignmentConfig | None = None,
        min_confidence: float = DEFAULT_MIN_CONFIDENCE,
        fill_holes: bool = False,
        cooldown_s: float = DEFAULT_COOLDOWN_S,
    ) -> None:
        self.backend = create_backend(AUTO) if backend is None else backend
        self.aligner = Aligner(alignment)
        if not 0.0 <= min_confidence <= 1.0:
            raise OptionError(f"min_confidence {min_confidence} is not in [0, 1]")
        self.min_confidence = min_confidence
        self.fill_holes = fill_holes
        self.cooldown = Cooldown(cooldown_s)

    def start(self, spec: SweepSpec) -> SweepRun:
        """Begin a sweep whose slices come one by one."""
        return SweepRun(self, spec)

    def estimate(
        self, stack: FocalStack, *, all_in_focus: bool = True, depth: bool = True
    ) -> DepthEstimate:
        """Depth of a whole focal stack; pixels below `min_confidence` are NaN."""
        run = self.start(spec_of(stack, all_in_focus=all_in_focus, depth=depth))
        for item in stack.slices:
            run.add(item)
        return run.finish(reference=stack.slices[stack.reference])


class SweepRun:
    """One sweep on its way through the pipeline: `add` per frame, then `finish`."""

    def __init__(self, pipeline: DepthPipeline, spec: SweepSpec) -> None:
        self._backend = pipeline.backend
        self._cooldown = pipeline.cooldown
        self._aligner = pipeline.aligner
        self._min_confidence = pipeline.min_confidence
        self._fill_holes = pipeline.fill_holes
        self._spec = spec
        self._alignment = self._aligner.start(spec.intrinsics)
        self._slices: list[Slice] = []  # as aligned
        self._taken: list[int] = []  # the number of each of them, from 1 on
        self._count = 0
        self._numbers: WeakKeyDictionary[Slice, int] = WeakKeyDictionary()
        self._left_out: dict[int, str] = {}
        self._places_left_out: dict[int, float] = {}  # by number, see `_place`
        self._align_seconds = 0.0
        self._add_seconds = 0.0
        self._accumulator: Accumulator | None
        self._used: str  # name of the backend that it is of
        self._untried: list[tuple[str, Callable[[], Backend]]]
        self._failures: list[str]
        self._begin()

    def __len__(self) -> int:
        """Number of distinct slices that the answer is made from."""
        return len(self._slices)

    def add(self, item: Slice) -> None:
        """Take in one frame; one at the focus distance of the frame before replaces it.

        A frame that cannot be aligned is left out; the answer's warnings say why.

        Raises
        ------
        SliceError
            If it does not belong to the sweep, which goes on without it.
        """
        repeats = self._spec.check(item, self._slices)
        self._count += 1
        self._numbers[item] = self._count
        started = time.perf_counter()
        try:
            aligned = self._aligned(item, repeats=repeats)
        except AlignmentError as error:
            self._leave_out(item, str(error), repeats=repeats)
            return
        finally:
            self._align_seconds += time.perf_counter() - started
        self._take(aligned, self._numbers[item])

    def reference_taken(self, reference: Slice) -> Slice:
        """The slice on whose pixel grid `finish` answers when asked for that of `reference`.

        It is another one, the nearest, only where `reference` had to be left out.
        """
        return self._alignment.nearest_taken(reference)

    def finish(self, *, reference: Slice | None = None) -> DepthEstimate:
        """Answer from the frames so far.

        Parameters
        ----------
        reference : Slice, optional
            One of those added, on whose pixel grid the answer is wanted; by default it is on
            that of the first that was not left out. What only this slice shows is NaN.

        Raises
        ------
        StackError
            If fewer than 2 slices were added that could be aligned.
        BackendError
            If neither the backend nor its fallbacks could answer.
        """
        warnings = [self._left_out[number] for number in sorted(self._left_out)]
        if len(self._slices) < 2:
            needs = f"a sweep needs at least 2 slices, this one has {len(self._slices)}"
            raise StackError("; ".join([needs, *warnings]))
        started = time.perf_counter()
        estimate = self._answer()
        warnings.extend(self._alignment.remarks)
        estimate = self._without_unsure(estimate)
        if self._left_out:
            estimate = self._in_given_slices(estimate)
        if reference is not None:
            taken = self.reference_taken(reference)
            if taken is not reference:
                warnings.append(f"the answer is on the grid of {self._name(taken)} instead")
            motion = self._alignment.motion_of(taken)
            estimate = warp_estimate(estimate, motion, taken.image)
        timings = {
            **estimate.timings,
            "align": self._align_seconds,
            "add": self._add_seconds,
            "finish": time.perf_counter() - started,
        }
        return replace(
            estimate,
            timings=timings,
            warnings=(*estimate.warnings, *warnings, *self._failures),
            backend_warnings=estimate.warnings,
            alignment_warnings=tuple(warnings),
            left_out=len(self._left_out),
            fallback="; ".join(self._failures),
        )

    def _without_unsure(self, estimate: DepthEstimate) -> DepthEstimate:
        """Depth only where it is wanted and sure enough; the rest is NaN, or filled, marked so."""
        if not self._spec.depth:
            return estimate.without_depth()
        unsure = estimate.confidence < self._min_confidence
        if not self._fill_holes:
            return replace(estimate, depth=np.where(unsure, np.float32(np.nan), estimate.depth))
        guide = estimate.all_in_focus
        if guide is None:
            guide = self._slices[0].image
        slice_index = fill_holes(estimate.slice_index, ~unsure, guide)
        depth = slice_index
        if self._spec.metric:
            dioptres = sorted((item.dioptre for item in self._slices), reverse=True)
            depth = depth_from_slice_index(slice_index, np.array(dioptres))
        return replace(
            estimate,
            depth=np.where(unsure, depth, estimate.depth),
            slice_index=slice_index,
            confidence=np.where(unsure, np.float32(0), estimate.confidence),
        )

    def _in_given_slices(self, estimate: DepthEstimate) -> DepthEstimate:
        """Positions counted in all slices near to far, also those that were left out."""
        taken = sorted(map(self._place, self._slices, self._taken))
        every = sorted({*taken, *self._places_left_out.values()})
        numbers = np.searchsorted(every, taken)
        index = np.interp(estimate.slice_index, np.arange(len(taken)), numbers).astype(np.float32)
        depth = estimate.depth
        if not self._spec.metric:
            depth = np.where(np.isnan(depth), np.float32(np.nan), index)
        return replace(estimate, depth=depth, slice_index=index)

    def _place(self, item: Slice, number: int) -> float:
        """By which slices are sorted near to far."""
        if self._spec.metric:
            return -float(item.rounded_dioptre)
        return (item.lens_position or 0.0) if self._spec.by_position else float(number)

    def _aligned(self, item: Slice, *, repeats: bool) -> Slice:
        before = None if repeats and len(self._slices) == 1 else self._alignment.anchor
        aligned = self._alignment.add(item, replaces_last=repeats)
        anchor = self._alignment.anchor
        if before is not None and anchor is not None and anchor is not before:
            self._leave_out(before, "the slices after it match each other, but not this one")
            del self._left_out[self._numbers[anchor]]
            self._places_left_out.pop(self._numbers[anchor], None)
            self._slices.clear()
            self._taken.clear()
            self._begin()
            self._take(anchor, self._numbers[anchor])
        return aligned

    def _leave_out(self, item: Slice, reason: str, *, repeats: bool = False) -> None:
        number = self._numbers[item]
        self._left_out[number] = f"{self._name(item)} left out: {reason}"
        if not repeats:  # else another slice has its place
            self._places_left_out[number] = self._place(item, number)

    def _name(self, item: Slice) -> str:
        return f"slice {self._numbers[item]} {item.where}".rstrip()

    def _begin(self) -> None:
        chosen = self._backend
        self._accumulator = None
        self._failures = []
        self._untried = [
            (chosen.name, lambda: chosen),
            *(
                (name, partial(create_backend, name, **options))
                for name, options in _FALLBACKS.items()
                if name != chosen.name or chosen.may_fall_back_to_cpu
            ),
        ]
        resting = self._cooldown.reason()
        if resting is not None:
            self._failures.append(f"backend '{chosen.name}' is {resting}")
            del self._untried[0]
        self._hand_on()

    def _hand_on(self) -> None:
        """Give the slices so far to the next backend that takes them, if there is one."""
        while self._accumulator is None and self._untried:
            self._used, create = self._untried.pop(0)
            try:
                accumulator = create().start(self._spec)
                for item in self._slices:
                    accumulator.add(item)
                self._accumulator = accumulator
            except Exception as error:  # whatever a backend dies of, the sweep is still answered
                self._fail(error)

    def _take(self, item: Slice, number: int) -> None:
        kept = len(self._slices) - self._spec.check(item, self._slices)
        self._slices[kept:] = [item]
        self._taken[kept:] = [number]
        if self._accumulator is None:
            return
        started = time.perf_counter()
        try:
            self._accumulator.add(item)
        except Exception as error:
            self._fail(error)
            self._hand_on()
        self._add_seconds += time.perf_counter() - started

    def _answer(self) -> DepthEstimate:
        while self._accumulator is not None:
            try:
                return self._accumulator.finish()
            except Exception as error:
                self._fail(error)
                self._hand_on()
        raise BackendError("no backend could answer: " + "; ".join(self._failures))

    def _fail(self, error: Exception) -> None:
        self._accumulator = None
        failed = f"backend '{self._used}' failed: {str(error) or type(error).__name__}"
        self._failures.append(failed)
        if self._used == self._backend.name and isinstance(error, DeviceError):
            self._cooldown.begin(str(error))
