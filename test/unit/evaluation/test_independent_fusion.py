"""Every measure of all-in-focus images against another implementation, on random images.

The other one is a library's where there is one in the test environment: scipy for the filters and
correlations, scikit-image for PSNR, SSIM and the entropies. Otherwise it is written down here once
more from the publication.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from plain_figures import CLOSE, few, mean, same

from focdepth_ros.evaluation import fusion_metrics


@st.composite
def grey_images(draw: st.DrawFn, count: int, side: int = 7) -> list[np.ndarray]:
    """Grey or colour uint8 images of one size, at least `side` px; also flat ones."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=side, max_side=side + 9))
    shape += draw(st.sampled_from([(), (3,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.integers(1, 256))
    return [rng.integers(0, levels, shape).astype(np.uint8) for _ in range(count)]


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
