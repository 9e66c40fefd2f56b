"""Every measure of depth against another implementation, on random images with masks.

The other one is scipy for the least squares and filters. Otherwise it is written down here once
more from the publication, pixel by pixel in plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from plain_figures import CLOSE, few, mean, same

from focdepth_ros.evaluation import metrics
from focdepth_ros.evaluation.scale_shift import aligned_depth, fit_scale_and_shift
from focdepth_ros.evaluation.sparsification import (
    KEPT_SHARES,
    area_under_sparsification_error,
    sparsification_curve,
)

METRES = st.floats(0.05, 80.0)
HOLES = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0])
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)


@st.composite
def depth_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth [m], float32 or float64, with holes of all kinds in both."""
    shape = draw(SHAPES)
    kind = draw(st.sampled_from([np.float32, np.float64]))
    share = draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth = draw(hnp.arrays(np.float64, shape, elements=METRES))
    prediction = truth * rng.uniform(0.5, 1.8, shape)
    for image in (truth, prediction):
        image[rng.random(shape) < share / 2] = draw(HOLES)
    return prediction.astype(kind), truth.astype(kind)


# Depth: Eigen et al., NeurIPS 2014, section 4, and Hazirbas et al., arXiv 1704.01085, section 5.1.


def pixels(prediction: np.ndarray, truth: np.ndarray) -> list[tuple[float, float]]:
    """Those that are known in both, as Python numbers."""
    return [
        (float(p), float(t))
        for p, t in zip(prediction.ravel(), truth.ravel(), strict=True)
        if math.isfinite(p) and math.isfinite(t) and p > 0.0 and t > 0.0
    ]


def within(limit: float) -> Callable[[float, float], float]:
    return lambda p, t: 1.0 if p < limit * t and t < limit * p else 0.0


BY_PIXEL: dict[str, Callable[[float, float], float]] = {
    "mae": lambda p, t: abs(p - t),
    "mse": lambda p, t: (p - t) ** 2,
    "rmse": lambda p, t: (p - t) ** 2,
    "rmse_log": lambda p, t: (math.log(p) - math.log(t)) ** 2,
    "abs_rel": lambda p, t: abs(p - t) / t,
    "sq_rel": lambda p, t: (p - t) ** 2 / t,
    "delta1": within(1.25),
    "delta2": within(1.5625),
    "delta3": within(1.953125),
}


def plain_depth_metric(name: str, prediction: np.ndarray, truth: np.ndarray) -> float:
    value = mean([BY_PIXEL[name](p, t) for p, t in pixels(prediction, truth)])
    return math.sqrt(value) if name.startswith("rmse") else value


def plain_bumpiness(prediction: np.ndarray, truth: np.ndarray) -> float:
    """100 mean min(0.05, |H|): Scharr along both axes, and once more of either result."""
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = np.isfinite(prediction) & np.isfinite(truth) & (prediction > 0) & (truth > 0)
    with np.errstate(invalid="ignore"):
        error = np.where(mask, prediction.astype(np.float64) - truth, 0.0)
    slope, smooth = np.array([-1.0, 0.0, 1.0]), np.array([3.0, 10.0, 3.0]) / 16.0

    def derivative(image: np.ndarray, axis: int) -> np.ndarray:
        along = ndimage.correlate1d(image, slope, axis, mode="mirror")
        return np.asarray(ndimage.correlate1d(along, smooth, 1 - axis, mode="mirror"))

    height, width = error.shape
    second = [derivative(derivative(error, i), j) for i in (0, 1) for j in (0, 1)]
    values = []
    for y in range(height):
        for x in range(width):
            rows = range(max(y - 2, 0), min(y + 3, height))
            columns = range(max(x - 2, 0), min(x + 3, width))
            if all(mask[j, i] for j in rows for i in columns):
                values.append(min(0.05, math.sqrt(sum(float(d[y, x]) ** 2 for d in second))))
    return 100.0 * mean(values)


@few
@given(depth_pairs())
def test_depth_metrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    found = metrics.depth_metrics(prediction, truth)
    expected = {name: plain_depth_metric(name, prediction, truth) for name in BY_PIXEL}
    expected["bumpiness"] = plain_bumpiness(prediction, truth)
    known = [t for t in truth.ravel() if math.isfinite(t) and t > 0.0]
    expected["coverage"] = len(pixels(prediction, truth)) / len(known) if known else math.nan
    assert found.keys() == expected.keys()
    wrong = {n: (found[n], expected[n]) for n in expected if not same(found[n], expected[n])}
    assert not wrong


@few
@given(depth_pairs(), st.integers(0, 2**32 - 1))
def test_single_metrics_take_any_mask(pair: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    """Whatever lies outside the mask, NaN and infinity too, does not count."""
    prediction, truth = pair
    chosen = np.random.default_rng(seed).random(truth.shape) < 0.7
    mask = metrics.valid_mask(truth, prediction) & chosen
    hidden = [np.where(mask, image, np.nan) for image in pair]
    assert set(metrics.METRICS) == {*BY_PIXEL, "bumpiness"}
    for name, metric in metrics.METRICS.items():
        with np.errstate(invalid="ignore"):
            found = metric(prediction, truth, mask)
        if name == "bumpiness":
            assert same(found, plain_bumpiness(*hidden))
        else:
            assert same(found, plain_depth_metric(name, *hidden))


# Scale and shift: Ranftl et al., arXiv 1907.01341, equation 4.


@few
@given(depth_pairs())
def test_scale_and_shift(pair: tuple[np.ndarray, np.ndarray]) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    position, truth = (image.astype(np.float64) for image in pair)
    mask = metrics.valid_mask(truth, position)
    if not mask.any():
        return
    scale, shift = fit_scale_and_shift(position, truth, mask)
    v, t = position[mask], truth[mask]
    # The solution of least norm, of many where all positions are the same, fits as well.
    (a, b), *_ = linalg.lstsq(np.stack([v, np.ones_like(v)], axis=1), t)
    np.testing.assert_allclose(scale * v + shift, a * v + b, rtol=CLOSE, atol=CLOSE)
    if len(np.unique(v)) > 1:
        assert same(scale, float(a))
        assert same(shift, float(b))


@few
@given(depth_pairs())
def test_aligned_depth(pair: tuple[np.ndarray, np.ndarray]) -> None:
    stats = pytest.importorskip("scipy.stats")
    position, truth = (image.astype(np.float64) for image in pair)
    known = np.isfinite(truth) & (truth > 0.0)
    both = known & np.isfinite(position)  # a slice index may be 0 or negative
    if len(np.unique(position[both])) < 2:
        return
    line = stats.linregress(position[both], 1.0 / truth[both])
    inverse = line.slope * position[both] + line.intercept
    found = aligned_depth(position, truth)
    assert np.isnan(found[~np.isfinite(position)]).all()
    expected = 1.0 / np.maximum(inverse, 0.01 / truth[known].max())
    np.testing.assert_allclose(found[both], expected, rtol=1e-5)
    figures = metrics.depth_metrics(found, truth)
    for name in BY_PIXEL:
        if not name.startswith("delta"):  # a step, which the rounding to float32 may pass
            value = plain_depth_metric(name, found, truth)
            assert same(figures[name], value)


# Confidence: Ilg et al., ECCV 2018, section 5; pixels of equal confidence go evenly.


def plain_curve(errors: list[float], confidence: list[float], shares: list[float]) -> list[float]:
    """Mean error of the surest share of the pixels, and of parts of a pixel at the end."""
    equal = {c: mean([e for e, other in zip(errors, confidence, strict=True) if other == c])
             for c in confidence}  # fmt: skip
    order = sorted(range(len(errors)), key=lambda i: -confidence[i])
    sure = [equal[confidence[i]] for i in order]
    answer = []
    for share in shares:
        left, total = share * len(sure), 0.0
        for value in sure:
            total += min(left, 1.0) * value
            left -= min(left, 1.0)
        answer.append(total / (share * len(sure)))
    return answer


@st.composite
def errors_and_confidence(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(1, 30))
    errors = draw(hnp.arrays(np.float64, count, elements=st.floats(0.0, 50.0)))
    few_levels = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    confidence = draw(
        hnp.arrays(np.float32, count, elements=few_levels | st.floats(0, 1, width=32))
    )
    return errors, confidence


@few
@given(errors_and_confidence())
def test_sparsification(pair: tuple[np.ndarray, np.ndarray]) -> None:
    errors, confidence = pair
    plain = [float(e) for e in errors], [float(c) for c in confidence]
    expected = plain_curve(*plain, list(KEPT_SHARES))
    np.testing.assert_allclose(
        sparsification_curve(errors, confidence), expected, rtol=CLOSE, atol=CLOSE
    )
    shares = [(step + 0.5) / 100 for step in range(100)]
    curve, best = plain_curve(*plain, shares), plain_curve(plain[0], [-e for e in plain[0]], shares)
    for root in (False, True):
        change = math.sqrt if root else float
        everything = change(mean(plain[0]))
        if everything < 1e-100:  # a square root of rounding errors tells nothing
            continue
        area = mean([change(c) - change(b) for c, b in zip(curve, best, strict=True)])
        found = area_under_sparsification_error(errors, confidence, root=root)
        assert same(found, area / everything)


def test_what_cannot_be_measured() -> None:
    """One pixel, and none: the edges of what the random images reach."""
    one, none = np.array([[2.0]]), np.array([[math.nan]])
    figures = metrics.depth_metrics(np.array([[2.5]]), one)
    assert figures["mae"] == 0.5
    assert figures["coverage"] == 1.0
    assert figures["bumpiness"] == 0.0
    assert all(math.isnan(v) for v in metrics.depth_metrics(one, none).values())
    infinite = metrics.depth_metrics(np.array([[math.inf]]), one)
    assert infinite.pop("coverage") == 0.0
    assert all(math.isnan(value) for value in infinite.values())
    masked = np.zeros((1, 1), bool)
    assert all(math.isnan(metric(one, one, masked)) for metric in metrics.METRICS.values())
