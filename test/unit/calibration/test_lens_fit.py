"""Lens maps are recovered from noisy sweeps, and points that lie are found out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
from calibrated_camera import (
    NOISY,
    POSITIONS,
    TARGETS,
    target_slices,
    true_dioptres,
    worst_error,
)

from focdepth_ros.calibration.focus_peak import (
    FocusCurve,
    FocusPeak,
    find_peak,
    focus_curve,
    sharpness,
)
from focdepth_ros.calibration.lens_fit import TargetPoint, find_outliers, find_points, fit_lens
from focdepth_ros.calibration.target_folders import TargetSweep
from focdepth_ros.classical.focus_operators import create_focus_measure
from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.simulation import RenderOptions

MEASURE = create_focus_measure()


def target(distance: float, seed: int, options: RenderOptions = NOISY) -> TargetSweep:
    slices = target_slices(distance, seed, options)
    values = np.array([sharpness(item.image, MEASURE) for item in slices])
    return TargetSweep(f"{distance:.3f}m", distance, focus_curve(POSITIONS, values))


@lru_cache(maxsize=1)
def noisy_targets() -> tuple[TargetSweep, ...]:
    return tuple(target(distance, seed) for seed, distance in enumerate(TARGETS))


def points_at(
    positions: list[float], dioptre_of: Callable[[float], float]
) -> tuple[TargetPoint, ...]:
    return tuple(
        TargetPoint(f"t{i}", 1.0 / dioptre_of(x), FocusPeak(x, 0.1, 5, None))
        for i, x in enumerate(positions)
    )


class TestRecovery:
    def test_within_one_percent_of_every_dioptre(self) -> None:
        points, left_out = find_points(noisy_targets())
        assert left_out == {}
        fit = fit_lens(points)
        assert fit.model == "smooth"
        assert not any(fit.outliers)
        assert worst_error(fit.lens_map) < 0.01
        assert fit.rms_error < 0.02
        assert fit.lens_map.to_dioptres(fit.lens_map.range) == pytest.approx([0.5, 4.0], rel=1e-3)

    def test_with_breathing(self) -> None:
        options = RenderOptions(full_well=1000.0, read_noise=10.0, flicker=0.05, breathing=1.0)
        sweeps = [target(distance, seed, options) for seed, distance in enumerate(TARGETS[1::2])]
        fit = fit_lens(find_points(sweeps)[0])
        assert fit.model == "smooth"
        assert worst_error(fit.lens_map) < 0.02

    def test_peaks_in_dioptres_are_better_than_in_positions(self) -> None:
        """Steps of the position are smaller in dioptres on the far side, so curves are lopsided."""
        at = true_dioptres(POSITIONS)
        sweeps = [
            TargetSweep(f"{d}", 1.0 / d, FocusCurve(POSITIONS, (1.0 + ((at - d) / 0.6) ** 2) ** -2))
            for d in np.linspace(0.6, 4.0, 6)
        ]
        truths = [sweep.dioptre for sweep in sweeps]
        plain = true_dioptres([find_peak(sweep.curve).position for sweep in sweeps])
        refined = true_dioptres([point.peak.position for point in find_points(sweeps)[0]])
        errors = [np.abs(found - truths).max() for found in (plain, refined)]
        assert errors[0] > 0.01
        assert errors[1] < 0.3 * errors[0]

    def test_a_wrong_distance_is_found_out(self) -> None:
        sweeps = list(noisy_targets())
        sweeps[4] = TargetSweep("liar", 0.5, sweeps[4].curve)  # it is at 0.4 m
        fit = fit_lens(find_points(sweeps)[0])
        liars = [p.name for p, out in zip(fit.points, fit.outliers, strict=True) if out]
        assert liars == ["liar"]
        error = fit.errors[[p.name for p in fit.points].index("liar")]
        assert error == pytest.approx(2.5 - 2.0, abs=0.05)
        assert worst_error(fit.lens_map) < 0.02

    def test_what_has_no_peak_is_left_out_and_named(self) -> None:
        flat = focus_curve(POSITIONS, 1.0 + 0.01 * np.sin(POSITIONS))
        points, left_out = find_points([*noisy_targets(), TargetSweep("blank", 0.7, flat)])
        assert len(points) == len(TARGETS)
        assert list(left_out) == ["blank"]
        assert "flat" in left_out["blank"]


class TestModels:
    def test_linear_lens_is_told_from_a_curved_one(self) -> None:
        positions = [20.0, 60.0, 110.0, 140.0, 190.0, 240.0]
        rng = np.random.default_rng(1)
        straight = points_at(positions, lambda x: 0.1 + 0.02 * x + 0.01 * rng.standard_normal())
        assert fit_lens(straight).model == "linear"
        curved = points_at(positions, lambda x: float(true_dioptres(x)))
        assert fit_lens(curved).model == "smooth"
        assert fit_lens(curved, model="piecewise").lens_map.positions == tuple(positions)

    def test_linear_goes_on_to_the_ends_of_the_sweep_but_not_beyond_infinity(self) -> None:
        points = points_at([50.0, 100.0, 200.0], lambda x: 0.02 * (x - 25.0))
        lens_map = fit_lens(points, model="linear", sweep_range=(0.0, 255.0)).lens_map
        assert lens_map.range == pytest.approx((25.0, 255.0))
        assert lens_map.dioptres == pytest.approx((0.0, 4.6))
        others = fit_lens(points, model="piecewise", sweep_range=(0.0, 255.0)).lens_map
        assert others.range == (50.0, 200.0)

    @pytest.mark.parametrize("model", ["linear", "piecewise", "smooth"])
    def test_positions_that_fall_towards_near(self, model: str) -> None:
        points = points_at([20.0, 60.0, 110.0, 190.0, 240.0], lambda x: 0.02 * (260.0 - x))
        lens_map = fit_lens(points, model=model).lens_map  # type: ignore[arg-type]
        assert lens_map.to_dioptres([30.0, 120.0, 200.0]) == pytest.approx([4.6, 2.8, 1.2])

    def test_a_target_at_infinity(self) -> None:
        points = (
            TargetPoint("far", float("inf"), FocusPeak(10.0, 0.1, 5, None)),
            *points_at([60.0, 110.0, 160.0, 210.0], lambda x: 0.02 * (x - 10.0)),
        )
        assert fit_lens(points).lens_map.to_dioptres(10.0) == pytest.approx(0.0, abs=1e-9)

    def test_points_out_of_order_are_averaged(self) -> None:
        values = {20.0: 1.0, 60.0: 2.0, 62.0: 1.9, 100.0: 3.0, 140.0: 4.0}
        lens_map = fit_lens(points_at(list(values), values.__getitem__), model="piecewise").lens_map
        assert lens_map.positions == (20.0, 61.0, 100.0, 140.0)
        assert lens_map.dioptres == pytest.approx((1.0, 1.95, 3.0, 4.0))

    def test_several_sweeps_of_one_distance(self) -> None:
        points = points_at([20.0, 60.0, 62.0, 100.0], lambda x: {20.0: 1.0, 100.0: 3.0}.get(x, 2.0))
        assert fit_lens(points, model="smooth").lens_map.to_dioptres(61.0) == pytest.approx(2.0)

    def test_what_cannot_be_fitted(self) -> None:
        with pytest.raises(
            CalibrationError, match="1 usable targets at 1 distances; a lens map needs"
        ):
            fit_lens(points_at([20.0], lambda x: 1.0))
        with pytest.raises(CalibrationError, match="0 usable targets"):
            fit_lens([])
        with pytest.raises(OptionError, match="model is 'cubic'"):
            fit_lens(points_at([20.0, 30.0], lambda x: x), model="cubic")  # type: ignore[arg-type]


class TestOutliers:
    def test_none_among_few(self) -> None:
        assert not find_outliers(np.arange(5.0), np.array([0.0, 1.0, 9.0, 3.0, 4.0])).any()

    @pytest.mark.parametrize("liars", [[2], [2, 6], [0], [8], [0, 8]])
    def test_up_to_a_third(self, liars: list[int]) -> None:
        x = np.linspace(0.0, 250.0, 9)
        y = true_dioptres(x) + 0.005 * np.random.default_rng(0).standard_normal(9)
        y[liars] += 0.6
        assert np.flatnonzero(find_outliers(x, y)).tolist() == liars

    def test_a_curved_lens_has_none(self) -> None:
        x = np.linspace(0.0, 250.0, 10)
        assert not find_outliers(x, true_dioptres(x)).any()
        assert not find_outliers(x, 0.3 + 4.0 * (x / 250.0) ** 3).any()
