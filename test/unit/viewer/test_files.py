"""Results and bags in a recording of the viewer, read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import run
from viewer_recordings import Recording, needs_viewer

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import read_image
from focdepth_ros.files.ply import read_ply
from focdepth_ros.libraries import how_to_install

SIZE = (72, 96)


@pytest.fixture(scope="module")
def results(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "my_depth"
    assert run("estimate", simulated, "--output", folder, "--min-confidence", "0.01") == 0
    return folder


@needs_viewer
def test_results_are_shown_as_they_are(results: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.rrd"
    assert run("view", results, "--save", file) == 0
    shown = Recording(file)
    for name, place in (("depth", "depth/values"), ("confidence", "confidence")):
        values = np.load(results / f"{name}.npy")
        np.testing.assert_array_equal(shown.image(f"/camera/{place}", None, SIZE, "<f4"), values)
    picture = shown.image("/camera/all_in_focus", None, (*SIZE, 3), "u1")
    np.testing.assert_array_equal(picture, read_image(results / "all_in_focus.png"))
    points, colours = shown.cloud(None)
    expected = read_ply(results / "cloud.ply")
    np.testing.assert_array_equal(points, expected[0])
    np.testing.assert_array_equal(colours, expected[1])
    assert len(points) == np.isfinite(np.load(results / "depth.npy")).sum() > 100
    (text,) = shown.rows["/sweep"][None]["TextDocument:text"]
    assert "**my\\_depth**" in text
    assert "- backend: graph\\_cut" in text


@needs_viewer
def test_fused_stacks_are_shown(simulated: Path, tmp_path: Path) -> None:
    assert run("fuse", simulated, "--output", tmp_path / "fused") == 0
    assert run("view", tmp_path / "fused", "--save", tmp_path / "fused.rrd") == 0
    assert "/camera/all_in_focus" in Recording(tmp_path / "fused.rrd").rows


@needs_viewer
def test_a_bag_is_worked_out_and_shown_at_its_stamps(simulated: Path, tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    assert run("bag", "record", tmp_path / "bag", "--stack", simulated, "--sweeps", 2) == 0
    options = ("--save", tmp_path / "bag.rrd", "-b", "argmax", "--min-confidence", 0)
    assert run("view", tmp_path / "bag", *options) == 0
    shown = Recording(tmp_path / "bag.rrd")
    stamps = sorted(shown.rows["/camera/depth/values"])
    assert len(stamps) == 2
    assert None not in stamps
    for stamp in stamps:
        depth = shown.image("/camera/depth/values", stamp, SIZE, "<f4")
        points, _ = shown.cloud(stamp)
        assert len(points) == np.isfinite(depth).sum()
        np.testing.assert_allclose(np.sort(points[:, 2]), np.sort(depth[np.isfinite(depth)]))
        assert "Scalars:scalars" in shown.rows["/figures/seconds/finish"][stamp]


@needs_viewer
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "nowhere: no such folder; give a folder that `focdepth estimate` has"),
        ((".",), ".: no results and no bag"),
        ((".", "-n", "robot"), "--namespace is of a running depth_node"),
        ((".", "--save", "a.txt"), "must have a name that ends in .rrd"),
        ((".", "--host", "robot"), "host 'robot' is no IP address"),
        ((".", "--port", "9876"), "page and data cannot both have port 9876"),
    ],
)
def test_what_cannot_be_shown_is_told(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("view", *arguments) == 2
    assert words in capsys.readouterr().err


@needs_viewer
def test_damaged_results_are_named(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps({"backend": "graph_cut", "metric": True}))
    (folder / "depth.npy").write_bytes(b"no array")
    assert run("view", folder, "--save", tmp_path / "a.rrd") == 2
    assert "depth.npy is damaged" in capsys.readouterr().err
    (folder / "result.json").write_text("{")
    assert run("view", folder, "--save", tmp_path / "a.rrd") == 2
    assert "result.json is damaged" in capsys.readouterr().err


def test_without_rerun_or_ros_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = {"rerun", "rerun_cli"}
    monkeypatch.setattr(
        "focdepth_ros.libraries.find_spec", lambda name: None if name in missing else object()
    )
    assert run("view") == 2
    words = f"rerun, rerun_cli are not installed; {how_to_install('view')}"
    assert words in capsys.readouterr().err
    missing.clear()
    missing.update({"rclpy", "sensor_msgs"})
    assert run("view") == 2
    said = capsys.readouterr().err
    assert "the topics cannot be subscribed to: rclpy, sensor_msgs are not installed" in said
    assert "or source an installed ROS 2; results and bags can be viewed without" in said


def test_a_cloud_is_read_as_it_was_written(results: Path, tmp_path: Path) -> None:
    points, colours = read_ply(results / "cloud.ply")
    depth, picture = np.load(results / "depth.npy"), read_image(results / "all_in_focus.png")
    np.testing.assert_array_equal(points[:, 2], depth[np.isfinite(depth)])
    np.testing.assert_array_equal(colours, picture[np.isfinite(depth)])
    content = (results / "cloud.ply").read_bytes()
    for damaged in (b"", b"ply\n", content[:-1], content[15:], content + bytes(15)):
        (tmp_path / "cloud.ply").write_bytes(damaged)
        with pytest.raises(StackFileError, match=r"cloud\.ply is no cloud as"):
            read_ply(tmp_path / "cloud.ply")
