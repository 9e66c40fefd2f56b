"""How well a depth estimate does on a scene whose depth is known: the figures of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.errors import EvaluationError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.fusion_metrics import psnr, ssim
from focdepth_ros.evaluation.fusion_scores import fusion_figures
from focdepth_ros.evaluation.metrics import METRICS, depth_metrics, valid_mask
from focdepth_ros.evaluation.scale_shift import aligned_depth
from focdepth_ros.evaluation.sparsification import (
    KEPT_SHARES,
    area_under_sparsification_error,
    sparsification_curve,
)
from focdepth_ros.libraries import missing_because
from focdepth_ros.pictures.depth_pictures import depth_range
from focdepth_ros.stack import FloatImage

_PICTURE_LIBRARIES = ("skimage",)

#: Every figure of a score, in the order of a table; the last two of the all-in-focus image.
FIGURES = (*METRICS, "coverage", "ause", "psnr", "ssim")


@dataclass(frozen=True)
class SceneScore:
    """What came of one scene with one backend.

    Parameters
    ----------
    scene, backend : str
        The backend as it was asked for.
    figures : dict of str to float
        Those of `FIGURES`, and of `fusion_scores.FUSION_FIGURES` where these were asked for; NaN
        where there was nothing to measure.
    curve : tuple of float
        Relative error of the most confident pixels, by the shares of
        `sparsification.KEPT_SHARES`.
    seconds : float
        From the first slice to the answer.
    finish_seconds : float
        From the last slice on.
    slices, height, width : int
    aligned : bool
        Whether scale and shift were fitted to the truth, since one of the two is relative.
    warnings : tuple of str
    error : str
        Why there are no figures, if so.
    dataset : str
        What the results call the dataset of the scene; empty if there is none.
    depth_range : tuple of float
        Nearest and farthest true depth that have colours of their own in the pictures, metres.
    """

    scene: str
    backend: str
    figures: dict[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    seconds: float = float("nan")
    finish_seconds: float = float("nan")
    slices: int = 0
    height: int = 0
    width: int = 0
    aligned: bool = False
    warnings: tuple[str, ...] = ()
    error: str = ""
    dataset: str = ""
    depth_range: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values; NaN as None, which JSON has."""
        values = asdict(self)
        values["figures"] = {name: _or_none(value) for name, value in self.figures.items()}
        values["curve"] = [_or_none(value) for value in self.curve]
        for name in ("seconds", "finish_seconds"):
            values[name] = _or_none(values[name])
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SceneScore:
        """The reverse of `to_dict`.

        Raises
        ------
        EvaluationError
            If a field is missing or unknown, or of another type.
        """
        try:
            given = dict(values)
            given["figures"] = {name: _or_nan(v) for name, v in given["figures"].items()}
            given["curve"] = tuple(_or_nan(value) for value in given["curve"])
            given["warnings"] = tuple(given["warnings"])
            given["depth_range"] = tuple(given.get("depth_range", ()))
            for name in ("seconds", "finish_seconds"):
                given[name] = _or_nan(given[name])
            return cls(**given)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EvaluationError(f"no score of a scene: {values!r}: {error}") from error


def comparable_depth(estimate: DepthEstimate, truth: FloatImage, *, is_metric: bool) -> FloatImage:
    """Depth (H, W) of an estimate in the metres of the truth.

    As it is where both are in metres; otherwise by the scale and shift, of the inverse depth or
    of the slice index, that fit the truth best.

    Parameters
    ----------
    estimate : DepthEstimate
    truth : (H, W) float32
        Metres, NaN where not known.
    is_metric : bool
        Whether the truth is in metres.
    """
    if estimate.metric and is_metric:
        return estimate.depth
    if estimate.metric:
        with np.errstate(divide="ignore"):
            return aligned_depth(1.0 / estimate.depth, truth)
    return aligned_depth(estimate.depth, truth)


def score_estimate(
    sample: LabelledStack,
    backend: str,
    estimate: DepthEstimate,
    *,
    seconds: float,
    finish_seconds: float,
    aif: bool = False,
) -> SceneScore:
    """Compare an estimate with the truth of its scene.

    Parameters
    ----------
    sample : LabelledStack
        With depth, unless `aif` is set.
    backend : str
        As it was asked for.
    estimate : DepthEstimate
        On the grid of the reference slice.
    seconds, finish_seconds : float
        See `SceneScore`.
    aif : bool
        Whether to measure all of its all-in-focus image, too.

    Raises
    ------
    EvaluationError
        If the scene has no known depth and `aif` is not set, the sizes differ, or what `aif` needs
        is not installed.
    """
    times: dict[str, Any] = {"seconds": seconds, "finish_seconds": finish_seconds}
    if aif and not sample.valid_mask.any():
        score = score_without_depth(sample, backend, estimate, **times)
    else:
        score = score_depth(
            estimate,
            sample.depth,
            scene=sample.name,
            backend=backend,
            slices=len(sample.stack),
            is_metric=sample.is_metric,
            **times,
        )
    if not aif:
        score.figures.update(_all_in_focus_figures(estimate, sample))
        return score
    slices = [item.image for item in sample.stack.slices]
    score.figures.update(fusion_figures(estimate.all_in_focus, slices, sample.all_in_focus))
    if estimate.all_in_focus is None:
        score = replace(score, warnings=(*score.warnings, "it gave no all-in-focus image"))
    return score


def score_without_depth(
    sample: LabelledStack,
    backend: str,
    estimate: DepthEstimate,
    *,
    seconds: float,
    finish_seconds: float,
) -> SceneScore:
    """What there is to tell of an estimate where no depth is known: times, and how much it answers.

    The parameters are those of `score_estimate`.
    """
    figures = dict.fromkeys(FIGURES, float("nan"))
    figures["coverage"] = float(np.isfinite(estimate.depth).mean())
    height, width = sample.stack.size
    return SceneScore(
        scene=sample.name,
        backend=backend,
        figures=figures,
        curve=(float("nan"),) * len(KEPT_SHARES),
        seconds=seconds,
        finish_seconds=finish_seconds,
        slices=len(sample.stack),
        height=height,
        width=width,
        warnings=estimate.warnings,
    )


def score_depth(
    estimate: DepthEstimate,
    truth: FloatImage | None,
    *,
    scene: str,
    backend: str,
    slices: int,
    seconds: float,
    finish_seconds: float,
    is_metric: bool = True,
) -> SceneScore:
    """Compare an estimate with a ground truth, without the stack that it is of.

    Parameters
    ----------
    estimate : DepthEstimate
        On the grid of the truth.
    truth : (H, W) float32 or None
        Metres, NaN where not known.
    scene, backend, slices, seconds, finish_seconds
        See `SceneScore`.
    is_metric : bool
        Whether the truth is in the unit of the focus distances.

    Raises
    ------
    EvaluationError
        If the truth has no known depth, or the sizes differ.
    """
    if truth is None or not (np.isfinite(truth) & (truth > 0.0)).any():
        raise EvaluationError("its depth is not known; it can be looked at, not measured")
    height, width = estimate.depth.shape
    depth = comparable_depth(estimate, truth, is_metric=is_metric)
    figures = depth_metrics(depth, truth)
    mask = valid_mask(truth, depth)
    known = truth[mask].astype(np.float64)
    errors = np.abs(depth[mask] - known) / known
    confidence = estimate.confidence[mask]
    figures["ause"] = area_under_sparsification_error(errors, confidence)
    return SceneScore(
        scene=scene,
        backend=backend,
        figures={name: figures.get(name, float("nan")) for name in FIGURES},
        curve=tuple(map(float, sparsification_curve(errors, confidence))),
        seconds=seconds,
        finish_seconds=finish_seconds,
        slices=slices,
        height=height,
        width=width,
        aligned=not (estimate.metric and is_metric),
        warnings=estimate.warnings,
        depth_range=depth_range(truth),
    )


def _all_in_focus_figures(estimate: DepthEstimate, sample: LabelledStack) -> dict[str, float]:
    """Those of the picture where the true one is known, and scikit-image is there; else none."""
    found, truth = estimate.all_in_focus, sample.all_in_focus
    if found is None or truth is None or missing_because(_PICTURE_LIBRARIES, "evaluation"):
        return {}
    return {"psnr": psnr(found, truth), "ssim": ssim(found, truth)}


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
