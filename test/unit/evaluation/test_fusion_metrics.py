from __future__ import annotations

import cv2
import numpy as np
import pytest

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation import fusion_metrics as fm

pytest.importorskip("skimage")

RNG = np.random.default_rng(0)
SHARP = cv2.GaussianBlur(RNG.integers(0, 256, (64, 80, 3), dtype=np.uint8), (0, 0), 0.8)
BLURRED = cv2.GaussianBlur(SHARP, (0, 0), 2.5)
# Two slices of which each is sharp in one half.
LEFT, RIGHT = SHARP.copy(), SHARP.copy()
LEFT[:, 40:], RIGHT[:, :40] = BLURRED[:, 40:], BLURRED[:, :40]


def test_psnr_by_hand() -> None:
    other = SHARP.copy()
    other[0, 0, 0] = SHARP[0, 0, 0] + 10 if SHARP[0, 0, 0] < 200 else SHARP[0, 0, 0] - 10
    expected = 10.0 * np.log10(255.0**2 / (100.0 / SHARP.size))
    assert fm.psnr(other, SHARP) == pytest.approx(expected, rel=1e-9)
    assert fm.psnr(SHARP, SHARP) == np.inf


def test_ssim_by_hand() -> None:
    grey = cv2.cvtColor(SHARP, cv2.COLOR_RGB2GRAY)
    other = cv2.cvtColor(BLURRED, cv2.COLOR_RGB2GRAY)
    x, y = grey.astype(float), other.astype(float)

    def mean(values: np.ndarray) -> np.ndarray:
        # sigma 1.5, truncated at 3.5 sigma
        return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert fm.ssim(other, grey) == pytest.approx(values[5:-5, 5:-5].mean(), abs=1e-6)
    assert fm.ssim(SHARP, SHARP) == pytest.approx(1.0)


def test_ssim_is_not_known_of_images_smaller_than_its_window() -> None:
    assert np.isnan(fm.ssim(SHARP[:10], SHARP[:10]))
    assert fm.ssim(SHARP[:11, :11], SHARP[:11, :11]) == pytest.approx(1.0)


def test_mutual_information_by_hand() -> None:
    a = np.array([[0, 0, 1, 1]], np.uint8)
    assert fm.mutual_information(a, [a]) == pytest.approx(1.0)
    assert fm.mutual_information(a, [a, 1 - a]) == pytest.approx(2.0)
    assert fm.mutual_information(a, [np.array([[0, 1, 0, 1]], np.uint8)]) == pytest.approx(0.0)


def test_the_true_fusion_is_the_best() -> None:
    for measure in (fm.mutual_information, fm.q_abf):
        best = measure(SHARP, [LEFT, RIGHT])
        assert best > measure(BLURRED, [LEFT, RIGHT])
    assert fm.q_abf(SHARP, [LEFT, RIGHT]) > fm.q_abf(LEFT, [LEFT, RIGHT])
    assert fm.scd(SHARP, [LEFT, RIGHT]) > fm.scd(BLURRED, [LEFT, RIGHT])


def test_q_abf_of_a_copy_is_the_most_that_there_can_be() -> None:
    most = 0.9994 / (1 + np.exp(-15 * 0.5)) * 0.9879 / (1 + np.exp(-22 * 0.2))
    assert fm.q_abf(SHARP, [SHARP]) == pytest.approx(most)
    assert np.isnan(fm.q_abf(SHARP, [np.zeros_like(SHARP)]))


def test_scd_by_hand() -> None:
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float) for image in (SHARP, LEFT, RIGHT)]
    fused, a, b = grey
    expected = (
        np.corrcoef((fused - b).ravel(), a.ravel())[0, 1]
        + np.corrcoef((fused - a).ravel(), b.ravel())[0, 1]
    )
    assert fm.scd(SHARP, [LEFT, RIGHT]) == pytest.approx(expected, rel=1e-9)


def test_vif_falls_with_blur() -> None:
    pytest.importorskip("sewar")
    assert fm.vif(SHARP, SHARP) == pytest.approx(1.0, abs=1e-6)
    assert fm.vif(BLURRED, SHARP) < 0.5


@pytest.mark.parametrize("measure", [fm.psnr, fm.ssim])
def test_errors_of_use(measure: object) -> None:
    with pytest.raises(EvaluationError, match=r"images of shapes \(64, 80, 3\) and \(64, 80\)"):
        measure(SHARP, SHARP[..., 0])  # type: ignore[operator]
    with pytest.raises(EvaluationError, match="image is float64"):
        measure(SHARP, SHARP.astype(float))  # type: ignore[operator]


def test_slices_are_needed() -> None:
    with pytest.raises(EvaluationError, match="no slices"):
        fm.q_abf(SHARP, [])
