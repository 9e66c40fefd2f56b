"""Folders of targets: distances and lens positions are read, and never guessed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from calibrated_camera import POSITIONS, target_slices, write_sweep

from focdepth_ros.calibration.target_folders import read_target, target_distance, target_folders
from focdepth_ros.classical.focus_operators import create_focus_measure
from focdepth_ros.errors import CalibrationError, StackFileError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.stack_folder.positions import positions_in_names, with_lens_map
from focdepth_ros.stack_folder.reading import StackFolder, load_stack
from focdepth_ros.stack_folder.saving import save_stack

MEASURE = create_focus_measure()


@pytest.mark.parametrize(
    ("names", "positions"),
    [
        (["focus_000", "focus_010", "focus_120"], (0.0, 10.0, 120.0)),
        (["cam0_1280x720_2.5", "cam0_1280x720_0.5"], (2.5, 0.5)),
        (["3", "7", "12"], (3.0, 7.0, 12.0)),
    ],
)
def test_positions_in_names(names: list[str], positions: tuple[float, ...]) -> None:
    assert positions_in_names(names) == positions


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a1b2", "a2b3"], "differ in 2 numbers"),
        (["near", "far"], "differ in 0 numbers"),
        (["f1", "f1_2"], "different numbers of numbers"),
        (["000", "001", "002"], "seems to count them only"),
        (["img_1", "img_3", "img_2"], "seems to count them only"),
    ],
)
def test_names_that_tell_no_position(names: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        positions_in_names(names)


@pytest.mark.parametrize(
    ("name", "metres"),
    [
        ("0.5m", 0.5),
        ("0,5m", 0.5),
        ("50cm", 0.5),
        ("500 mm", 0.5),
        ("target_1.25m_b", 1.25),
        ("0.5m_2", 0.5),
        ("inf", math.inf),
    ],
)
def test_distance_in_the_name(tmp_path: Path, name: str, metres: float) -> None:
    write_sweep(tmp_path / name, target_slices(0.5)[:2])
    assert target_distance(StackFolder.open(tmp_path / name)) == pytest.approx(metres)


@pytest.mark.parametrize("name", ["near", "0.5", "0m", "1m_2m", "5metres", "1,2,5m"])
def test_names_that_tell_no_distance(tmp_path: Path, name: str) -> None:
    write_sweep(tmp_path / name, target_slices(0.5)[:2])
    with pytest.raises(StackFileError, match="how far the target is away is not known"):
        target_distance(StackFolder.open(tmp_path / name))


def test_stack_yaml_goes_before_names(tmp_path: Path) -> None:
    slices = target_slices(0.5)
    positions = (2.0 * POSITIONS).tolist()
    write_sweep(tmp_path / "9m", slices, target_distance=0.5, lens_positions=positions)
    found = read_target(tmp_path / "9m", MEASURE)
    assert (found.distance, found.dioptre) == (0.5, 2.0)
    assert found.curve.positions.tolist() == positions


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"lens_positions": [1, 2]}, "2 lens positions for 26 images"),
        ({"lens_positions": [1, float("nan")]}, "write finite numbers"),
        ({"lens_positions": 3}, "lens_positions is 3; write a list of numbers"),
        ({"target_distance": -1}, "target_distance is -1.0; write metres above 0"),
        ({"target_distance": "near"}, "target_distance is 'near'; write a number"),
    ],
)
def test_bad_descriptions(tmp_path: Path, description: dict[str, object], words: str) -> None:
    write_sweep(tmp_path / "1m", target_slices(0.5), **description)
    with pytest.raises(StackFileError) as caught:
        read_target(tmp_path / "1m", MEASURE)
    assert words in str(caught.value)


def test_a_blank_image_is_named(tmp_path: Path) -> None:
    write_sweep(tmp_path / "1m", target_slices(0.5))
    write_image(tmp_path / "1m" / "focus_030.0.png", np.zeros((72, 96, 3), np.uint8))
    with pytest.raises(CalibrationError, match=r"focus_030\.0\.png: the image is of one colour"):
        read_target(tmp_path / "1m", MEASURE)


def test_folder_of_folders(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match="no such folder"):
        target_folders(tmp_path / "none")
    with pytest.raises(StackFileError, match="has no folders in it"):
        target_folders(tmp_path)
    for name in ("1m", "0.5m", ".hidden"):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in target_folders(tmp_path)] == ["0.5m", "1m"]


class TestLensMapOfAFolder:
    def test_gives_it_distances(self, tmp_path: Path) -> None:
        write_sweep(tmp_path / "s", target_slices(0.5))
        lens_map = LensMap((0.0, 250.0), (0.0, 5.0))
        folder = with_lens_map(StackFolder.open(tmp_path / "s"), lens_map)
        stack = folder.load()
        np.testing.assert_allclose(stack.dioptres, np.sort(POSITIONS * 0.02)[::-1])
        assert stack.slices[-1].focus_distance == math.inf
        assert [s.lens_position for s in stack.slices] == POSITIONS[::-1].tolist()

    def test_leaves_out_what_it_does_not_know(self, tmp_path: Path) -> None:
        write_sweep(tmp_path / "s", target_slices(0.5))
        folder = StackFolder.open(tmp_path / "s")
        known = with_lens_map(folder, LensMap((45.0, 105.0), (1.0, 2.0)))
        assert known.lens_positions == (50.0, 60.0, 70.0, 80.0, 90.0, 100.0)
        assert len(known.left_out) == 20
        with pytest.raises(StackFileError, match="the lens map knows 1: it covers 45 to 55"):
            with_lens_map(folder, LensMap((45.0, 55.0), (1.0, 2.0)))

    def test_needs_positions(self, tmp_path: Path) -> None:
        for i in range(3):
            write_image(tmp_path / f"{i}.png", np.zeros((8, 8), np.uint8))
        with pytest.raises(StackFileError, match="at which lens positions .* is not known"):
            with_lens_map(StackFolder.open(tmp_path), LensMap((0.0, 3.0), (1.0, 2.0)))


def test_lens_positions_are_kept_in_stack_folders(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", target_slices(0.5)[:4])
    stack = with_lens_map(StackFolder.open(tmp_path / "s"), LensMap((0.0, 30.0), (1.0, 2.0))).load()
    save_stack(tmp_path / "kept", stack)
    kept = yaml.safe_load((tmp_path / "kept" / "stack.yaml").read_text())
    assert kept["lens_positions"] == [30.0, 20.0, 10.0, 0.0]
    assert [s.lens_position for s in load_stack(tmp_path / "kept").slices] == [30, 20, 10, 0]
    folder = StackFolder.open(tmp_path / "kept").reversed()
    assert folder.lens_positions == (0.0, 10.0, 20.0, 30.0)
