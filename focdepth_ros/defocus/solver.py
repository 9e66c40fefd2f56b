"""Depth and all-in-focus image of a focal stack together, by alternating minimisation.

The mean squared error between the focal stack and what the lens would make of the two is lowered
in turns: the depth of every pixel with the image fixed, the image with the depth fixed. Neither
step takes what is worse, so the error never rises.

References
----------
"Depth from Defocus via Direct Optimization", arXiv 2602.18509, 2026, algorithm 1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focdepth_ros.classical.confidence import slices_per_step
from focdepth_ros.classical.graph_cut import library_missing_because
from focdepth_ros.defocus.confidence import PixelFit, surface_confidence, surface_features
from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.defocus.depth_step import (
    PixelErrors,
    better_of,
    golden_section,
    grid_search,
    window_mean,
)
from focdepth_ros.defocus.forward_model import BlurOperator, DefocusModel
from focdepth_ros.defocus.image_step import fista
from focdepth_ros.defocus.light import codes_of
from focdepth_ros.defocus.search_range import search_range
from focdepth_ros.defocus.surfaces import (
    LABELS_PER_SWEEP,
    WINDOW,
    candidate_dioptres,
    cut_surfaces,
)
from focdepth_ros.errors import StackError
from focdepth_ros.stack import FloatImage, Lens
from focdepth_ros.torch_device import choose_device, without_tf32

_SHARP = 4.0  # a pixel whose depth is uncertain by half a step has half the evidence
_NEIGHBOURS = 5  # px, side of the square whose median is taken
_LEAST_NOISE = 1e-8  # variance below which no camera comes


@dataclass(frozen=True)
class EpochLoss:
    """What one epoch did.

    Parameters
    ----------
    epoch : int
        From 1 on.
    after_depth, after_image : float
        Mean squared error after the two steps; image values are in [0, 1].
    iterations : int
        Of the image step.
    seconds : float
    cut_short : bool
        Whether the time that there is ended the image step.
    """

    epoch: int
    after_depth: float
    after_image: float
    iterations: int
    seconds: float
    cut_short: bool = False


@dataclass(frozen=True, eq=False)
class EpochState:
    """Where the solver is after an epoch.

    Parameters
    ----------
    loss : EpochLoss
    epochs : int
        How many there will be at most.
    dioptre : (H, W) tensor
    image : (H, W, C) tensor
        In [0, 1].
    residual : callable
        Gives the root of the mean squared error of each pixel over slices and channels, an
        (H, W) tensor; worked out when it is asked for, during the callback.
    """

    loss: EpochLoss
    epochs: int
    dioptre: Tensor
    image: Tensor
    residual: Callable[[], Tensor]


@dataclass(frozen=True, eq=False)
class DefocusSolution:
    """Depth and sharp image that explain a focal stack.

    Parameters
    ----------
    dioptre : (H, W) float32
        Inverse depth in 1/m, of the least error in every pixel by itself.
    surfaces : (H, W) float32
        Inverse depth in 1/m that also neighbours agree on; `dioptre` without smoothness, where
        the compiled library is missing, and where the time was over before.
    image : (H, W, C) float32
        In [0, 1].
    features : (4, H, W) float32
        What tells how sure the depth of `surfaces` is, see `defocus.confidence`.
    confidence : (H, W) float32
        In [0, 1]: probability that the depth of `surfaces` is within a quarter of a step between
        slices of the truth; of sweeps of more than ten slices within a quarter of a ninth of the
        sweep. 0 at either end of the range that was searched, but for infinity.
    losses : tuple of EpochLoss
    """

    dioptre: FloatImage
    surfaces: FloatImage
    image: FloatImage
    features: NDArray[np.float32]
    confidence: FloatImage
    losses: tuple[EpochLoss, ...]


def solve(
    stack: NDArray[np.float32],
    lens: Lens,
    focus_distances: Sequence[float],
    config: DefocusConfig,
    *,
    start_image: NDArray[np.float32],
    weight: NDArray[np.float32] | None = None,
    on_epoch: Callable[[EpochState], None] | None = None,
    check: Callable[[], None] = lambda: None,
) -> DefocusSolution:
    """Find the depth and the all-in-focus image of a focal stack.

    Parameters
    ----------
    stack : (K, H, W, C) float32
        Slices in [0, 1], in the light in which blur happens (see ``config.linear_light``).
    lens : Lens
    focus_distances : sequence of float
        Metres, of the K slices; +inf allowed.
    config : DefocusConfig
    start_image : (H, W, C) float32
        First guess of the all-in-focus image.
    weight : (K, H, W) float32, optional
        Of each pixel of the slices, 0 where it shows nothing; 1 by default.
    on_epoch : callable, optional
        Called after every epoch.
    check : callable, optional
        Called several times a second; what it raises ends the work.

    Raises
    ------
    StackError
        If there are fewer than 2 slices, or not as many distances as slices.
    CalibrationError
        If a focus distance is not beyond the focal length.
    OptionError
        If the range of depth contains no focus distance.
    """
    if len(stack) != len(focus_distances):
        raise StackError(f"{len(stack)} slices, but {len(focus_distances)} focus distances")
    with torch.inference_mode(), without_tf32():
        problem = _Problem(stack, lens, focus_distances, config, weight, check)
        return problem.solve(torch.from_numpy(start_image).to(problem.device), on_epoch)


class _Problem:
    """One focal stack, and how well depth and image explain it."""

    def __init__(
        self,
        stack: NDArray[np.float32],
        lens: Lens,
        focus_distances: Sequence[float],
        config: DefocusConfig,
        weight: NDArray[np.float32] | None,
        check: Callable[[], None],
    ) -> None:
        self._deadline = time.monotonic() + (config.max_seconds or math.inf)
        self._check = check
        self.device = torch.device(choose_device(config.device))
        self._config = config
        self._model = DefocusModel(
            lens, focus_distances, psf=config.psf, min_coc=config.min_coc, device=self.device
        )
        far, near = search_range(focus_distances, config.near, config.far)
        self._candidates = np.linspace(far, near, config.depths, dtype=np.float64).tolist()
        focus = [1.0 / distance for distance in focus_distances]
        self._gap = (max(focus) - min(focus)) / (len(focus) - 1)  # between slices, in 1/m
        # Pixels first: what belongs to one lies together.
        self._observed = torch.from_numpy(stack).to(self.device).permute(1, 2, 0, 3).contiguous()
        self._weight = None
        if weight is not None:
            self._weight = torch.from_numpy(weight).to(self.device).permute(1, 2, 0).contiguous()
        self._height, self._width, self._slices, self._channels = self._observed.shape
        self._levels = self._model.levels((self._height, self._width), (far, near))

    def solve(
        self, image: Tensor, on_epoch: Callable[[EpochState], None] | None
    ) -> DefocusSolution:
        config = self._config
        dioptre: Tensor | None = None
        loss = math.inf
        losses: list[EpochLoss] = []
        for epoch in range(1, config.epochs + 1):
            started = time.monotonic()
            dioptre = self._depth_step(image, dioptre)
            operator = self._model.operator(dioptre)
            after_depth = self._loss(operator, image)
            limit = round(config.iterations * config.growth ** (epoch - 1))
            # The cut and the confidence at the end take about as long as a depth step.
            deadline = self._deadline - (time.monotonic() - started)
            image, after_image, iterations, cut_short = self._image_step(
                operator, image, after_depth, limit, deadline
            )
            seconds = time.monotonic() - started
            losses.append(
                EpochLoss(epoch, after_depth, after_image, iterations, seconds, cut_short)
            )
            if on_epoch is not None:
                residual = partial(self._residual, operator, image)
                on_epoch(EpochState(losses[-1], config.epochs, dioptre, image, residual))
            converged = after_image > loss * (1.0 - config.tolerance)
            loss = after_image
            # Another epoch would take about as long.
            if cut_short or converged or time.monotonic() + seconds > deadline:
                break
        assert dioptre is not None
        rows = self._levels.blur(image)
        alone = dioptre.cpu().numpy()
        surfaces = self._surfaces(rows, image, alone)
        # Where there is no cut, a pixel is held against its neighbours.
        agreed = surfaces
        if surfaces is alone:
            agreed = np.asarray(cv2.medianBlur(alone, _NEIGHBOURS), np.float32)
        fit = self._pixel_fit(rows, torch.from_numpy(surfaces).to(self.device), alone)
        features = surface_features(fit, agreed, self._gap * slices_per_step(self._slices))
        confidence = surface_confidence(features)
        confidence[self._at_an_end(surfaces)] = 0.0
        return DefocusSolution(
            dioptre=alone,
            surfaces=surfaces,
            image=image.cpu().numpy(),
            features=features,
            confidence=confidence,
            losses=tuple(losses),
        )

    def _depth_step(self, image: Tensor, previous: Tensor | None) -> Tensor:
        """For every pixel the best depth, or the previous one where none is better."""
        rows = self._levels.blur(image)
        candidates = torch.tensor(self._candidates, device=self.device)
        result = image.new_empty((self._height, self._width))
        overlap = self._config.window // 2
        for top, bottom in self._strips():
            outer = max(0, top - overlap), min(self._height, bottom + overlap)
            errors = self._errors(rows, *outer)
            index = grid_search(
                errors,
                self._candidates,
                window=self._config.window,
                width=self._width,
                check=self._check,
            )
            low = candidates[(index - 1).clamp_(min=0)]
            high = candidates[(index + 1).clamp_(max=len(candidates) - 1)]
            fine = golden_section(errors, low, high)
            found = [candidates[index], fine]
            if previous is not None:
                found.insert(0, previous[outer[0] : outer[1]].flatten())
            best = better_of(errors, *found).view(-1, self._width)
            result[top:bottom] = best[top - outer[0] : bottom - outer[0]]
        return result

    def _image_step(
        self,
        operator: BlurOperator,
        image: Tensor,
        loss: float,
        iterations: int,
        deadline: float,
    ) -> tuple[Tensor, float, int, bool]:
        config = self._config
        found, done, cut_short = fista(
            operator,
            self._observed,
            image,
            iterations,
            weight=None if self._weight is None else self._weight[..., None],
            tolerance=config.image_tolerance,
            deadline=deadline,
            check=self._check,
        )
        found_loss = self._loss(operator, found)
        if found_loss > loss:  # momentum does not always end where it was lowest
            return image, loss, done, cut_short
        return found, found_loss, done, cut_short

    def _loss(self, operator: BlurOperator, image: Tensor) -> float:
        error = operator.forward(image).sub_(self._observed).square_()
        if self._weight is None:
            return float(error.mean())
        return float((error * self._weight[..., None]).sum() / self._weight.sum() / self._channels)

    def _residual(self, operator: BlurOperator, image: Tensor) -> Tensor:
        error = operator.forward(image).sub_(self._observed).square_().mean(3)
        if self._weight is None:
            return error.mean(2).sqrt_()
        seen = self._weight.sum(2).clamp_(min=1e-12)
        return (error * self._weight).sum(2).div_(seen).sqrt_()

    def _surfaces(self, rows: Tensor, image: Tensor, dioptre: FloatImage) -> FloatImage:
        """Depth that neighbours agree on, from the levels of the image, if there is time for it."""
        config = self._config
        if config.smoothness == 0.0 or library_missing_because() is not None:
            return dioptre
        if time.monotonic() >= self._deadline:
            return dioptre
        sweep = self._gap * (self._slices - 1)
        candidates = candidate_dioptres(self._candidates[0], self._candidates[-1], sweep)
        errors = np.empty((len(candidates), self._height, self._width), np.float32)
        overlap = WINDOW // 2
        for top, bottom in self._strips():
            first, last = max(0, top - overlap), min(self._height, bottom + overlap)
            of_strip = self._errors(rows, first, last)
            for target, candidate in zip(errors, candidates.tolist(), strict=True):
                self._check()
                mean = window_mean(of_strip.at_one(candidate), WINDOW, self._width)
                mean = mean.view(-1, self._width)[top - first : bottom - first]
                target[top:bottom] = mean.cpu().numpy()
        guide = codes_of(image.cpu().numpy(), config.linear_light)
        return cut_surfaces(
            errors,
            candidates,
            guide[..., 0] if self._channels == 1 else guide,
            sweep=sweep,
            smoothness=config.smoothness,
        )

    def _pixel_fit(self, rows: Tensor, dioptre: Tensor, alone: FloatImage) -> PixelFit:
        """From the curvature of every pixel's error: how well its depth is determined.

        By linear least squares the variance of the depth is ``2 s² / E''``, where s² is the
        variance of the noise and E the sum of squared errors.
        """
        step = 0.5 * self._gap
        curvature, least = torch.empty_like(dioptre), torch.empty_like(dioptre)
        for top, bottom in self._strips():
            errors = self._errors(rows, top, bottom)
            middle = dioptre[top:bottom].flatten()
            at_middle = errors.at(middle)
            around = errors.at(middle - step) + errors.at(middle + step)
            curvature[top:bottom] = ((around - 2.0 * at_middle) / step**2).view(-1, self._width)
            least[top:bottom] = at_middle.view(-1, self._width)
        freedom = max(1, self._slices * self._channels - self._channels - 1)
        noise = least / freedom
        usual = noise.median().clamp(min=_LEAST_NOISE)
        misfit = (noise / usual).clamp(min=1.0)
        variance = 2.0 * usual * misfit / curvature.clamp(min=1e-12)
        evidence = self._gap**2 / (self._gap**2 + _SHARP * variance)
        return PixelFit(evidence.cpu().numpy(), misfit.cpu().numpy(), alone)

    def _at_an_end(self, dioptre: FloatImage) -> NDArray[np.bool_]:
        """Where the best depth is the last that was looked at: what lies beyond is not known."""
        far, near = self._candidates[0], self._candidates[-1]
        margin = 0.5 * self._gap * (self._slices - 1) / LABELS_PER_SWEEP
        # No depth is less than 0: infinity has nothing beyond it.
        least = far + margin if far > 0.0 else -math.inf
        return np.asarray((dioptre <= least) | (dioptre >= near - margin))

    def _errors(self, rows: Tensor, top: int, bottom: int) -> PixelErrors:
        weight = None if self._weight is None else self._weight[top:bottom].flatten(0, 1)
        observed = self._observed[top:bottom].flatten(0, 1)
        first = top * self._width
        return PixelErrors.of(self._model, self._levels, rows, observed, first=first, weight=weight)

    def _strips(self) -> list[tuple[int, int]]:
        """Rows worked on at once, so that the errors of their pixels fit into the memory."""
        per_row = 4 * self._width * (2 * self._slices + 1) * len(self._levels)
        height = max(1, int(self._config.memory_mb * 2**20 / per_row) - self._config.window)
        count = math.ceil(self._height / height)
        edges = [self._height * number // count for number in range(count + 1)]
        return list(pairwise(edges))
