import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focdepth_ros.errors import CalibrationError, OptionError
from focdepth_ros.optics import circle_of_confusion, sweep_distances
from focdepth_ros.stack import Lens

LENS = Lens(focal_length=0.05, f_number=2.0, pixel_pitch=1e-5)


class TestCircleOfConfusion:
    def test_matches_the_textbook_by_hand(self) -> None:
        # Aperture 25 mm; |2 - 1| / 2 of it is blurred, times f / (Z_f - f) = 0.05 / 0.95:
        # 0.025 * 0.5 * 0.0526316 m = 0.657895 mm, which are 65.7895 px of 10 um.
        assert float(circle_of_confusion(LENS, 2.0, 1.0)) == pytest.approx(65.789474)

    def test_of_a_lens_focused_at_infinity(self) -> None:
        # f^2 / (N Z) = 0.0025 / (2 * 5) m = 0.25 mm.
        assert float(circle_of_confusion(LENS, 5.0, math.inf)) == pytest.approx(25.0)

    def test_of_points_at_infinity(self) -> None:
        # f^2 / (N (Z_f - f)) = 0.0025 / (2 * 0.95) m.
        assert float(circle_of_confusion(LENS, math.inf, 1.0)) == pytest.approx(131.578947)

    def test_vanishes_in_focus_and_keeps_the_shape(self) -> None:
        blur = circle_of_confusion(LENS, np.array([[1.0, 0.5], [2.0, 4.0]]), 1.0)
        assert blur.shape == (2, 2)
        assert blur[0, 0] == 0.0
        assert np.all(blur.ravel()[1:] > 0.0)

    @given(st.floats(0.1, 50.0), st.floats(0.1, 50.0))
    def test_agrees_with_the_form_in_metres(self, depth: float, focus: float) -> None:
        f, aperture = LENS.focal_length, LENS.focal_length / LENS.f_number
        metres = aperture * abs(depth - focus) / depth * f / (focus - f)
        expected = metres / LENS.pixel_pitch
        assert float(circle_of_confusion(LENS, depth, focus)) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("focus", [0.05, 0.01, -1.0, math.nan])
    def test_refuses_focus_within_the_focal_length(self, focus: float) -> None:
        with pytest.raises(CalibrationError, match=r"not beyond the focal length 0\.05 m"):
            circle_of_confusion(LENS, 1.0, focus)


class TestSweepDistances:
    def test_are_even_in_dioptres_and_exact_at_the_ends(self) -> None:
        distances = sweep_distances(0.4, 4.0, 10)
        assert distances[0] == 0.4
        assert distances[-1] == 4.0
        np.testing.assert_allclose(np.diff(1.0 / distances), -0.25)

    def test_reach_infinity(self) -> None:
        np.testing.assert_allclose(sweep_distances(0.5, math.inf, 3), [0.5, 1.0, math.inf])

    @pytest.mark.parametrize(
        ("near", "far"), [(0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (math.nan, 1.0), (1.0, math.nan)]
    )
    def test_refuse_an_empty_range(self, near: float, far: float) -> None:
        with pytest.raises(OptionError, match="give 0 < near < far"):
            sweep_distances(near, far, 5)

    def test_refuse_a_single_slice(self) -> None:
        with pytest.raises(OptionError, match="sweep of 1 slices"):
            sweep_distances(0.5, 1.0, 1)
