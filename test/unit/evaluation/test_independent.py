"""Every measure against another implementation, on random images with masks.

The other one is a library's where there is one in the test environment: scipy for the least
squares, filters and correlations, scikit-image for PSNR, SSIM and the entropies. Otherwise it is
written down here once more from the publication, pixel by pixel in plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from focdepth_ros.evaluation import fusion_metrics, metrics
from focdepth_ros.evaluation.scale_shift import aligned_depth, aligned_metrics, fit_scale_and_shift
from focdepth_ros.evaluation.sparsification import (
    KEPT_SHARES,
    area_under_sparsification_error,
    sparsification_curve,
)

CLOSE = 1e-6
METRES = st.floats(0.05, 80.0)
HOLES = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0])
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)

few = settings(max_examples=60, deadline=None)


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


@st.composite
def grey_images(draw: st.DrawFn, count: int, side: int = 7) -> list[np.ndarray]:
    """Grey or colour uint8 images of one size, at least `side` px; also flat ones."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=side, max_side=side + 9))
    shape += draw(st.sampled_from([(), (3,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.integers(1, 256))
    return [rng.integers(0, levels, shape).astype(np.uint8) for _ in range(count)]


def same(found: float, expected: float) -> bool:
    """Within 1e-6, absolute or relative; NaN is NaN."""
    if math.isnan(expected):
        return math.isnan(found)
    return found == pytest.approx(expected, rel=CLOSE, abs=CLOSE)


# Depth: Eigen et al., NeurIPS 2014, section 4, and Hazirbas et al., arXiv 1704.01085, section 5.1.


def pixels(prediction: np.ndarray, truth: np.ndarray) -> list[tuple[float, float]]:
    """Those that are known in both, as Python numbers."""
    return [
        (float(p), float(t))
        for p, t in zip(prediction.ravel(), truth.ravel(), strict=True)
        if math.isfinite(p) and math.isfinite(t) and p > 0.0 and t > 0.0
    ]


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


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
def test_aligned_metrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
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
    figures = aligned_metrics(position, truth)
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


# All-in-focus images.


def plain_luma(image: np.ndarray) -> np.ndarray:
    """ITU-R BT.601, rounded as 8-bit images have it."""
    if image.ndim == 2:
        return image
    rgb = image.astype(np.float64)
    return np.round(0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]).astype("u1")


def lumas(images: list[np.ndarray]) -> list[np.ndarray]:
    """Where a value lies on the edge between two grey levels, either may be the luma."""
    cv2 = pytest.importorskip("cv2")
    found = [i if i.ndim == 2 else cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in images]
    for grey, image in zip(found, images, strict=True):
        assert np.abs(grey.astype(int) - plain_luma(image)).max() <= 1
    return found


@few
@given(grey_images(2))
def test_psnr(images: list[np.ndarray]) -> None:
    image, truth = images
    difference = [(float(a) - float(b)) ** 2 for a, b in zip(image.flat, truth.flat, strict=True)]
    error = mean(difference)
    expected = 10.0 * math.log10(255.0**2 / error) if error else math.inf
    assert fusion_metrics.psnr(image, truth) == pytest.approx(expected, rel=CLOSE)


@settings(max_examples=25, deadline=None)
@given(grey_images(2, side=11))
def test_ssim(images: list[np.ndarray]) -> None:
    """Wang et al., IEEE TIP 2004, equation 13, with an 11x11 window of sigma 1.5."""
    signal = pytest.importorskip("scipy.signal")
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for x, y in zip(*(np.atleast_3d(image).transpose(2, 0, 1) for image in images), strict=True):
        x, y = x.astype(np.float64), y.astype(np.float64)

        def average(image: np.ndarray) -> np.ndarray:
            return np.asarray(signal.convolve2d(image, window, mode="valid"))

        mx, my = average(x), average(y)
        vx, vy, both = average(x * x) - mx**2, average(y * y) - my**2, average(x * y) - mx * my
        ratio = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
        values.append(float(ratio.mean()))
    assert same(fusion_metrics.ssim(*images), mean(values))


@settings(max_examples=25, deadline=None)
@given(grey_images(2, side=64))
def test_vif(images: list[np.ndarray]) -> None:
    """Sheikh, Bovik, IEEE TIP 2006, in the pixel domain: `vifp_mscale.m` of the authors."""
    pytest.importorskip("sewar")
    signal = pytest.importorskip("scipy.signal")
    distorted, reference = (image.astype(np.float64) for image in lumas(images))
    image_information = noise_information = 0.0
    for scale in range(1, 5):
        side = 2 ** (4 - scale + 1) + 1
        line = np.exp(-0.5 * ((np.arange(side) - side // 2) / (side / 5.0)) ** 2)
        window = np.outer(line, line) / line.sum() ** 2

        def average(image: np.ndarray, window: np.ndarray = window) -> np.ndarray:
            return np.asarray(signal.convolve2d(image, window, mode="valid"))

        if scale > 1:
            reference, distorted = average(reference)[::2, ::2], average(distorted)[::2, ::2]
        mr, md = average(reference), average(distorted)
        vr = np.maximum(average(reference**2) - mr**2, 0.0)
        vd = np.maximum(average(distorted**2) - md**2, 0.0)
        both = average(reference * distorted) - mr * md
        gain = both / (vr + 1e-10)
        rest = vd - gain * both
        gain[vr < 1e-10], rest[vr < 1e-10] = 0.0, vd[vr < 1e-10]
        vr[vr < 1e-10] = 0.0
        gain[vd < 1e-10], rest[vd < 1e-10] = 0.0, 0.0
        rest[gain < 0.0] = vd[gain < 0.0]
        gain = np.maximum(gain, 0.0)
        rest = np.maximum(rest, 1e-10)
        image_information += float(np.sum(np.log10(1.0 + gain**2 * vr / (rest + 2.0))))
        noise_information += float(np.sum(np.log10(1.0 + vr / 2.0)))
    expected = image_information / noise_information if noise_information else math.nan
    assert same(fusion_metrics.vif(*images), expected)


@few
@given(grey_images(3, side=1))
def test_mutual_information(images: list[np.ndarray]) -> None:
    """Qu et al., Electronics Letters 2002: I(F; A) + I(F; B), each H(F) + H(A) - H(F, A)."""
    measure = pytest.importorskip("skimage.measure")
    fused, *slices = lumas(images)
    expected = 0.0
    for item in slices:
        pair = fused.astype(np.int64) * 256 + item
        expected += measure.shannon_entropy(fused) + measure.shannon_entropy(item)
        expected -= measure.shannon_entropy(pair)
    assert same(fusion_metrics.mutual_information(images[0], images[1:]), expected)


def plain_q_abf(fused: np.ndarray, slices: list[np.ndarray]) -> float:
    """Xydeas, Petrovic, Electronics Letters 2000, equations 1 to 7, with their constants."""
    ndimage = pytest.importorskip("scipy.ndimage")

    def edges(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = grey.astype(np.float64)
        across = ndimage.sobel(values, axis=1, mode="mirror")
        down = ndimage.sobel(values, axis=0, mode="mirror")
        direction = np.full(values.shape, math.pi / 2.0)
        sloped = across != 0.0
        direction[sloped] = np.arctan(down[sloped] / across[sloped])
        return np.sqrt(across**2 + down**2), direction

    strength, direction = edges(fused)
    kept = weights = 0.0
    for item in slices:
        own_strength, own_direction = edges(item)
        for g_f, a_f, g_a, a_a in zip(
            strength.flat, direction.flat, own_strength.flat, own_direction.flat, strict=True
        ):
            if g_a == 0.0:
                continue  # it has no weight
            ratio = g_f / g_a if g_a > g_f else g_a / g_f
            turn = 1.0 - abs(a_a - a_f) / (math.pi / 2.0)
            q_g = 0.9994 / (1.0 + math.exp(-15.0 * (ratio - 0.5)))
            q_a = 0.9879 / (1.0 + math.exp(-22.0 * (turn - 0.8)))
            kept += q_g * q_a * g_a
            weights += g_a
    return kept / weights if weights else math.nan


@few
@given(grey_images(3, side=2))
def test_q_abf(images: list[np.ndarray]) -> None:
    fused, *slices = lumas(images)
    assert same(fusion_metrics.q_abf(images[0], images[1:]), plain_q_abf(fused, slices))


def plain_correlation(difference: np.ndarray, other: np.ndarray) -> float:
    stats = pytest.importorskip("scipy.stats")
    if np.ptp(difference) < 1e-9 or not np.ptp(other):
        return 0.0  # what is all the same goes along with nothing
    return float(stats.pearsonr(difference, other).statistic)


@few
@given(grey_images(3, side=2))
def test_scd(images: list[np.ndarray]) -> None:
    """Aslantas, Bendes, AEU 2015: r(F - B, A) + r(F - A, B)."""
    fused, a, b = (grey.astype(np.float64).ravel() for grey in lumas(images))
    expected = plain_correlation(fused - b, a) + plain_correlation(fused - a, b)
    assert same(fusion_metrics.scd(images[0], images[1:]), expected)


@few
@given(grey_images(5, side=2))
def test_scd_of_four(images: list[np.ndarray]) -> None:
    """Of each slice against the mean of the others, scaled to the range of two slices."""
    fused, *slices = (grey.astype(np.float64).ravel() for grey in lumas(images))
    expected = 0.0
    for number, own in enumerate(slices):
        others = [item for i, item in enumerate(slices) if i != number]
        expected += plain_correlation(fused - np.mean(others, axis=0), own)
    assert same(fusion_metrics.scd(images[0], images[1:]), expected / 2.0)


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
