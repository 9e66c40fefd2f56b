"""Positions become dioptres and come back; what is no lens map is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.errors import CalibrationError
from focdepth_ros.lens.lens_map import LensMap, read_lens_map, write_lens_map

RISING = LensMap((0.0, 100.0, 255.0), (0.2, 1.5, 6.0), magnification=(1.0, 1.01, 1.03))
FALLING = LensMap((255.0, 100.0, 0.0), (0.2, 1.5, 6.0))


@pytest.mark.parametrize("lens_map", [RISING, FALLING])
def test_there_and_back(lens_map: LensMap) -> None:
    dioptres = np.linspace(0.2, 6.0, 50)
    np.testing.assert_allclose(lens_map.to_dioptres(lens_map.to_positions(dioptres)), dioptres)


def test_linear_between_the_points() -> None:
    np.testing.assert_allclose(RISING.to_dioptres([0, 50, 100]), [0.2, 0.85, 1.5])
    np.testing.assert_allclose(FALLING.to_dioptres([255, 50]), [0.2, 3.75])
    np.testing.assert_allclose(RISING.to_magnification([50, 255]), [1.005, 1.03])
    np.testing.assert_array_equal(FALLING.to_magnification([50, 255]), 1.0)


def test_outside_is_not_known() -> None:
    assert RISING.range == FALLING.range == (0.0, 255.0)
    assert np.isnan(RISING.to_dioptres([-1.0, 256.0, np.nan])).all()
    assert np.isnan(RISING.to_positions([0.1, 6.1])).all()
    assert np.isfinite(RISING.to_positions(np.float32(6.0)))


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "lens.yaml"
    write_lens_map(path, RISING, comment="measured today\nby hand")
    assert read_lens_map(path) == RISING
    assert path.read_text(encoding="utf-8").startswith("# measured today\n# by hand\nunit: raw\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no valid YAML"),
        ("[1, 2]", "lens map is list"),
        ("positions: [1, 2]", r"lacks \['dioptres'\]"),
        ("{positions: [1, 2], dioptres: [1, 2], zoom: 3}", r"unknown keys \['zoom'\]"),
        ("{positions: [1, true], dioptres: [1, 2]}", "give a list of numbers"),
        ("{positions: 3, dioptres: [1, 2]}", "give a list of numbers"),
        ("{positions: [1, 2, 2], dioptres: [1, 2, 3]}", "only rise or only fall"),
        ("{positions: [1], dioptres: [1]}", "at least two"),
        ("{positions: [1, 2], dioptres: [1, .inf]}", "finite"),
        ("{positions: [1, 2], dioptres: [1, -2]}", "beyond infinity"),
        ("{positions: [1, 2], dioptres: [1, 2, 3]}", "2 positions and 3 of dioptres"),
        ("{positions: [1, 2], dioptres: [1, 2], magnification: [1, 9]}", "factors about 1"),
    ],
)
def test_what_is_no_lens_map(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CalibrationError, match=words) as caught:
        read_lens_map(path)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot be read: No such file"):
        read_lens_map(tmp_path / "none.yaml")
