"""Peaks of focus curves: exact where the curve is, honest where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from calibrated_camera import NOISY, POSITIONS, target_slices, true_dioptres

from focdepth_ros.calibration.focus_peak import (
    FocusCurve,
    find_peak,
    focus_curve,
    sharpness,
)
from focdepth_ros.classical.focus_operators import create_focus_measure
from focdepth_ros.errors import CalibrationError

MEASURE = create_focus_measure()
X = np.arange(0.0, 101.0, 5.0)


def bell(peak: float, width: float = 12.0, floor: float = 0.02) -> FocusCurve:
    return FocusCurve(X, floor + (1.0 + ((X - peak) / width) ** 2) ** -2)


class TestPeak:
    @pytest.mark.parametrize("peak", [12.3, 50.0, 51.7, 62.5, 88.1])
    def test_between_the_steps(self, peak: float) -> None:
        found = find_peak(bell(peak, width=20.0))
        assert found.position == pytest.approx(peak, abs=0.05)
        assert found.uncertainty < 0.2
        assert found.rival is None

    def test_of_three_samples(self) -> None:
        found = find_peak(bell(51.7))
        assert found.position == pytest.approx(51.7, abs=0.1)
        assert found.samples == 3
        assert np.isnan(found.uncertainty)

    def test_cut_off_by_the_end_of_the_sweep(self) -> None:
        assert find_peak(bell(6.0, width=15.0)).position == pytest.approx(6.0, abs=0.5)

    def test_uncertainty_is_that_of_the_scatter(self) -> None:
        rng = np.random.default_rng(0)
        curves = [
            FocusCurve(X, bell(53.0, 20.0).sharpness * np.exp(0.02 * rng.standard_normal(len(X))))
            for _ in range(200)
        ]
        peaks = [find_peak(curve) for curve in curves]
        scatter = np.std([peak.position for peak in peaks])
        assert np.mean([peak.position for peak in peaks]) == pytest.approx(53.0, abs=0.1)
        assert 0.6 < np.median([peak.uncertainty for peak in peaks]) / scatter < 1.6

    def test_positions_that_are_not_linear_in_dioptres(self) -> None:
        curve = FocusCurve(X, bell(6.0, 1.5).sharpness)
        at = np.sqrt(X) * 1.5
        curve = FocusCurve(X, 0.02 + (1.0 + ((at - 9.0) / 3.0) ** 2) ** -2)
        assert abs(find_peak(curve).position - 36.0) > 0.5
        found = find_peak(curve, lambda x: np.sqrt(x))
        assert found.position == pytest.approx(36.0, abs=0.1)
        falling = find_peak(curve, lambda x: -np.sqrt(x))
        assert falling.position == pytest.approx(36.0, abs=0.1)

    def test_another_peak_is_told(self) -> None:
        both = bell(20.0, 6.0).sharpness + 0.8 * bell(80.0, 6.0).sharpness
        found = find_peak(FocusCurve(X, both))
        assert found.position == pytest.approx(20.0, abs=0.2)
        assert found.rival == 80.0

    def test_what_goes_up_and_down_has_many(self) -> None:
        assert find_peak(FocusCurve(X, 1.0 + X % 10.0)).rival is not None

    @pytest.mark.parametrize("seed", [1, 7, 13, 20])
    def test_broad_and_uneven_is_not_clear(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        values = bell(50.0, 60.0, 0.0).sharpness * np.exp(0.3 * rng.standard_normal(len(X)))
        with pytest.raises(CalibrationError, match="has no clear peak"):
            find_peak(FocusCurve(X, values))

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (1.0 + 0.01 * np.sin(X), "is flat: the sharpest image is only"),
            (np.exp(X / 30.0), "towards position 100 none is less sharp"),
            (np.exp(-X / 30.0), "towards position 0 none is less sharp"),
            # A lens that does not move over the first of its positions.
            (np.minimum(1.0, 40.0 / (X + 1e-9)) ** 4 + 1e-3 * np.sin(X), "towards position 0"),
        ],
    )
    def test_what_is_no_peak(self, values: np.ndarray, words: str) -> None:
        with pytest.raises(CalibrationError) as caught:
            find_peak(FocusCurve(X, values))
        assert words in str(caught.value)

    def test_too_few_positions(self) -> None:
        with pytest.raises(
            CalibrationError, match="4 lens positions; a focus curve needs at least 5"
        ):
            find_peak(FocusCurve(X[:4], np.array([1.0, 2.0, 3.0, 2.0])))


class TestSharpness:
    def test_peaks_where_the_target_is(self) -> None:
        values = np.array([sharpness(s.image, MEASURE) for s in target_slices(0.5, options=NOISY)])
        peak = find_peak(focus_curve(POSITIONS, values))
        assert float(true_dioptres(peak.position)) == pytest.approx(2.0, rel=0.02)

    def test_exposure_does_not_count(self) -> None:
        image = np.random.default_rng(0).integers(40, 120, (64, 64), dtype=np.uint8)
        brighter = (2 * image).astype(np.uint8)
        assert sharpness(brighter, MEASURE) == pytest.approx(sharpness(image, MEASURE), rel=1e-3)

    def test_only_the_region_counts(self) -> None:
        image = np.full((64, 96), 128, np.uint8)
        image[8:40, 16:64] = np.random.default_rng(0).integers(0, 256, (32, 48))
        whole = sharpness(image, MEASURE)
        assert sharpness(image, MEASURE, (16, 8, 48, 32)) > 3.0 * whole

    @pytest.mark.parametrize("region", [(90, 0, 10, 10), (0, 60, 10, 10), (-1, 0, 10, 10)])
    def test_region_outside(self, region: tuple[int, int, int, int]) -> None:
        with pytest.raises(CalibrationError, match="is not within an image of 96x64 px"):
            sharpness(np.zeros((64, 96), np.uint8), MEASURE, region)

    @pytest.mark.parametrize("grey", [0, 200])
    def test_image_of_one_colour(self, grey: int) -> None:
        with pytest.raises(CalibrationError, match="of one colour"):
            sharpness(np.full((64, 96), grey, np.uint8), MEASURE)


def test_samples_at_one_position_are_averaged() -> None:
    curve = focus_curve(np.array([3.0, 1.0, 3.0]), np.array([4.0, 5.0, 8.0]))
    assert (curve.positions.tolist(), curve.sharpness.tolist()) == ([1.0, 3.0], [5.0, 6.0])
