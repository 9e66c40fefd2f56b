"""``focdepth calibrate``: a wrong map is seen, the right one is found, and depth is good again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from calibrated_camera import (
    POSITIONS,
    sweep_slices,
    true_dioptres,
    true_map,
    worst_error,
    write_sweep,
    write_targets,
)
from cli_runs import run

from focdepth_ros.alignment import Aligner
from focdepth_ros.calibration.breathing import Breathing
from focdepth_ros.cli.calibrate_report import breathing_table
from focdepth_ros.files.image_io import read_image, write_image
from focdepth_ros.lens.lens_map import LensMap, read_lens_map, write_lens_map
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.simulation import RenderOptions, render_random_sweep

NONE = np.empty(0)
#: Right at 100 only, as a map guessed from the ends of the range may be.
WRONG = LensMap((0.0, 100.0, 255.0), (0.5, float(true_dioptres(100.0)), 3.0))


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration") / "targets"
    write_targets(folder)
    return folder


@pytest.fixture(scope="module")
def lens_file(targets: Path) -> Path:
    path = targets.parent / "lens.yaml"
    assert run("calibrate", "lens", targets, "--output", path) == 0
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slope from 0.3 to 1.5 m seen by the same camera, with its true depth."""
    folder = tmp_path_factory.mktemp("scene") / "scene"
    depth = np.tile((1.0 / np.linspace(1 / 0.3, 1 / 1.5, 128)).astype(np.float32), (96, 1))
    write_sweep(folder, sweep_slices(depth, 7), depth="depth.npy")
    np.save(folder / "depth.npy", depth)
    return folder


def abs_rel(scene: Path, lens_map: Path, output: Path) -> float:
    arguments = ("--backend", "graph_cut", "--align", "none", "--output", output)
    assert run("estimate", scene, "--lens-map", lens_map, *arguments) == 0
    result = json.loads((output / "result.json").read_text())
    return float(result["metrics"]["abs_rel"])


def test_a_wrong_map_is_seen_found_and_put_right(
    lens_file: Path, scene: Path, tmp_path: Path
) -> None:
    for name, lens_map in (("wrong", WRONG), ("true", true_map())):
        write_lens_map(tmp_path / f"{name}.yaml", lens_map)
    wrong = abs_rel(scene, tmp_path / "wrong.yaml", tmp_path / "a")
    ideal = abs_rel(scene, tmp_path / "true.yaml", tmp_path / "b")
    found = abs_rel(scene, lens_file, tmp_path / "c")
    assert worst_error(read_lens_map(lens_file)) < 0.01
    assert wrong > 5.0 * ideal
    assert found < 1.1 * ideal + 0.002


@pytest.mark.parametrize("truth", ["targets", "scene"])
def test_check_tells_how_far_a_map_is_off(
    truth: str,
    lens_file: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = request.getfixturevalue(truth)
    capsys.readouterr()
    options = ("--backend", "graph_cut", "--max-error", 0.06)
    assert run("calibrate", "check", lens_file, folder, *options) == 0
    assert "the map is off by" in capsys.readouterr().out
    write_lens_map(tmp_path / "wrong.yaml", WRONG)
    assert run("calibrate", "check", tmp_path / "wrong.yaml", folder, *options) == 1
    said = capsys.readouterr()
    assert "the lens map is wrong by more than 0.06 dioptres" in said.err
    if truth == "targets":
        row = next(line for line in said.out.splitlines() if line.startswith("0.2500m"))
        found = float(WRONG.to_dioptres(np.interp(4.0, true_dioptres(POSITIONS), POSITIONS)))
        assert float(row.split()[3]) == pytest.approx(found - 4.0, abs=0.02)


def test_what_is_written(lens_file: Path) -> None:
    content = lens_file.read_text(encoding="utf-8")
    assert content.startswith("# By focdepth calibrate lens: smooth through 8 targets; error of")
    assert yaml.safe_load(content)["unit"] == "raw"
    picture = read_image(lens_file.with_suffix(".png"))
    assert picture.shape == (3 * 340, 900, 3)
    colours = picture.astype(np.int64) @ np.array([65536, 256, 1])
    assert len(np.unique(colours)) > 10


def test_a_map_is_not_replaced_by_accident(
    targets: Path, lens_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lens_file.read_bytes()
    assert run("calibrate", "lens", targets, "--output", lens_file) == 2
    assert "exists; give --force to replace it" in capsys.readouterr().err
    assert lens_file.read_bytes() == before


@pytest.mark.parametrize(
    ("output", "plot", "words"),
    [
        ("same.png", None, "is where the picture goes; end it in .yaml"),
        ("lens.yaml", "lens.pdf", "no kind of picture has this name; end it in .png"),
        ("mine.yaml", None, "mine.png exists; give --force to replace it, or another --plot"),
    ],
)
def test_pictures_that_would_replace_something_are_refused_before_the_work(
    output: str,
    plot: str | None,
    words: str,
    targets: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine.png").write_text("mine")
    further = () if plot is None else ("--plot", tmp_path / plot)
    assert run("calibrate", "lens", targets, "-o", tmp_path / output, *further) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]
    assert (tmp_path / "mine.png").read_text() == "mine"


def test_a_map_beside_its_targets_is_checked_on_them(
    targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(targets, tmp_path / "targets")
    monkeypatch.chdir(tmp_path / "targets")
    (tmp_path / "targets" / "notes.txt").write_text("by hand")
    assert run("calibrate", "lens", ".") == 0
    assert run("calibrate", "check", "lens.yaml", ".") == 0


def test_what_is_wrong_with_targets_is_named(
    targets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "targets"
    shutil.copytree(targets, folder)
    (folder / "0.4000m").rename(folder / "0.5m_wrong")  # it is at 0.4 m
    blank = folder / "0.7m"
    shutil.copytree(folder / "1.0000m", blank)
    rng = np.random.default_rng(0)
    for path in blank.iterdir():
        write_image(path, (128 + rng.normal(0, 2, (72, 96))).astype(np.uint8))
    (folder / "notes").mkdir()
    assert run("calibrate", "lens", folder, "--output", tmp_path / "lens.yaml") == 1
    said = capsys.readouterr()
    assert "left out: 0.7m: the focus curve is flat" in said.err
    assert "left out: notes: " in said.err
    assert "warning: 0.5m_wrong: left out of the map, which is +0.4" in said.err
    assert "outlier" in said.out
    assert worst_error(read_lens_map(tmp_path / "lens.yaml")) < 0.02


def test_few_targets_are_doubtful(
    targets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0.2500m", "1.0000m"):
        shutil.copytree(targets / name, tmp_path / "two" / name)
    assert run("calibrate", "lens", tmp_path / "two", "-o", tmp_path / "lens.yaml") == 1
    assert "goes through 2 targets only" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "two" / "1.0000m")
    assert run("calibrate", "lens", tmp_path / "two", "-o", tmp_path / "lens.yaml", "--force") == 2
    assert "1 usable targets at 1 distances" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lens", "NONE"), "no such folder; give one with a folder for each distance"),
        (("lens", "TARGETS", "--region", "1,2,3"), "'1,2,3' is no part of an image"),
        (("lens", "TARGETS", "--measure", "taste"), "taste"),
        (("lens", "TARGETS", "--modle", "linear"), "'--modle' is no option without --live"),
        (("breathing", "NONE"), "no such folder"),
        (("breathing", "TARGETS", "--map", "NONE"), "cannot be read"),
        (("check", "NONE", "TARGETS"), "cannot be read"),
    ],
)
def test_what_cannot_be_used(
    arguments: tuple[str, ...],
    words: str,
    targets: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"NONE": tmp_path / "none", "TARGETS": targets}
    given = [places.get(argument, argument) for argument in arguments]
    if arguments[0] == "lens":
        given += ["--output", tmp_path / "lens.yaml"]
    assert run("calibrate", *given) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_breathing_goes_into_the_map(
    lens_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That of a thin lens of 16 mm, from 0.4 to 3 dioptres."""
    stack = render_random_sweep(
        1000, slices=9, near=1 / 3.0, far=2.5, width=200, height=150,
        options=RenderOptions(breathing=1.0),
    ).stack  # fmt: skip
    positions = np.interp(stack.dioptres, true_dioptres(POSITIONS), POSITIONS).round(1)
    slices = [replace(s, lens_position=p) for s, p in zip(stack.slices, positions, strict=True)]
    write_sweep(tmp_path / "sweep", slices)
    output, picture = tmp_path / "both.yaml", tmp_path / "both_breathing.png"
    arguments = ("--map", lens_file, "--output", output)
    # The map reaches beyond the sweep, which is said.
    assert run("calibrate", "breathing", tmp_path / "sweep", *arguments) == 1
    said = capsys.readouterr()
    assert "the image grows by +4." in said.out
    assert "beyond its ends the magnification is taken to stay" in said.err
    before, found = read_lens_map(lens_file), read_lens_map(output)
    at = np.linspace(*before.range, 50)
    np.testing.assert_allclose(found.to_dioptres(at), before.to_dioptres(at), atol=1e-6)
    inside = np.array([60.0, 120.0, 160.0])
    sizes = found.to_magnification(inside) * (1.0 - 16e-3 * true_dioptres(inside))
    assert np.ptp(sizes) < 2e-3 * sizes.mean()
    comment = output.read_text().splitlines()
    assert comment[0].startswith("# By focdepth calibrate lens")
    assert comment[1] == "# Magnification by focdepth calibrate breathing."
    assert read_image(picture).shape == (2 * 340, 900, 3)
    assert run("calibrate", "breathing", tmp_path / "sweep") == 0
    assert "alignment.breathing_table: " in capsys.readouterr().out
    assert run("calibrate", "breathing", tmp_path / "sweep", "--output", output) == 2
    assert "--output is for the lens map that --map gives" in capsys.readouterr().err


@pytest.mark.parametrize("count", [2, 9, 20, 26])
def test_the_table_goes_from_one_end_of_the_sweep_to_the_other(count: int) -> None:
    positions = np.arange(count) * 10.0
    found = Breathing(positions, 1.0 + 1e-4 * positions, 0.0, 1, 1, 0.0, np.empty((0, 2)), NONE)
    places = breathing_table(found).split(",")
    assert len(places) == min(count, 11)
    assert places[0] == "0:1.00000"
    assert places[-1] == f"{positions[-1]:g}:{1.0 + 1e-4 * positions[-1]:.5f}"
    # It is of the form that alignment takes.
    Aligner(AlignmentConfig(method="scale", breathing_table=",".join(places)))


def test_live_without_ros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("focdepth_ros.libraries.find_spec", lambda name: None)
    arguments = ("--live", "--output", tmp_path / "lens.yaml")
    assert run("calibrate", "lens", tmp_path / "targets", *arguments) == 2
    assert "--live: rclpy, sensor_msgs are not installed" in capsys.readouterr().err
