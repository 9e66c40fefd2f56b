import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

import focdepth_ros
from focdepth_ros.backends.registry import backend_names
from focdepth_ros.cli import main
from focdepth_ros.evaluation.metrics import METRICS
from focdepth_ros.image_io import write_image
from focdepth_ros.stack_io import load_ground_truth, load_stack

SLICES = 4
ALL_FILES = {
    "depth.npy",
    "depth.png",
    "depth_preview.png",
    "all_in_focus.png",
    "confidence.npy",
    "slice_index.npy",
    "cloud.ply",
    "result.json",
}


def run_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "focdepth_ros.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated stack with ground truth, written by the command itself; not to change."""
    folder = tmp_path_factory.mktemp("simulated")
    assert run("simulate", folder, "--seed", 5, "--slices", SLICES, "--size", "96x72") == 0
    return folder


@pytest.fixture
def stack_dir(simulated: Path, tmp_path: Path) -> Path:
    """The simulated stack, to change."""
    return Path(shutil.copytree(simulated, tmp_path / "stack"))


def change(stack_dir: Path, *without: str, **changes: object) -> None:
    path = stack_dir / "stack.yaml"
    content = yaml.safe_load(path.read_text())
    content = {key: value for key, value in content.items() if key not in without} | changes
    path.write_text(yaml.safe_dump(content))


def result_of(output: Path) -> dict[str, object]:
    content = json.loads((output / "result.json").read_text())
    assert isinstance(content, dict)
    return content


class TestEntry:
    def test_runs_as_a_process(self) -> None:
        done = run_process("--version")
        assert done.returncode == 0
        assert done.stdout == f"focdepth {focdepth_ros.__version__}\n"

    @pytest.mark.parametrize(
        "arguments",
        [(), ("--help",), *((name, "--help") for name in ("estimate", "backends", "simulate"))],
    )
    def test_helps_everywhere(
        self, arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(*arguments) == 0
        captured = capsys.readouterr()
        assert "Usage: focdepth" in captured.out
        assert captured.err == ""

    def test_imports_nothing_heavy_before_it_works(self) -> None:
        code = (
            "import sys; from focdepth_ros.cli import main; main(['--help']); "
            "sys.exit(bool({'cv2', 'numpy', 'yaml', 'torch'} & set(sys.modules)))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestEstimate:
    @pytest.mark.parametrize("backend", [*backend_names(), "auto"])
    def test_writes_every_file_and_prints_the_measures(
        self, simulated: Path, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "new" / "out"
        options = ("--backend", backend, "--min-confidence", "0.2", "--output", output)
        assert run("estimate", simulated, *options) == 0
        assert {path.name for path in output.iterdir()} == ALL_FILES
        result = result_of(output)
        name = backend_names()[0] if backend == "auto" else backend
        assert result["backend"] == name
        measures, timings = result["metrics"], result["timings"]
        assert isinstance(measures, dict)
        assert isinstance(timings, dict)
        assert set(measures) == {*METRICS, "coverage"}
        assert {"load", "add", "finish"} <= set(timings)
        depth = np.load(output / "depth.npy")
        known = ~np.isnan(depth)
        assert result["coverage"] == pytest.approx(known.mean())
        confidence = np.load(output / "confidence.npy")
        np.testing.assert_array_equal(known, confidence >= 0.2)
        captured = capsys.readouterr()
        assert f"{name}: depth of {100 * known.mean():.1f} % of the pixels" in captured.out
        assert f"abs_rel {measures['abs_rel']:.4g}" in captured.out
        assert str(output) in captured.out
        assert captured.err == ""

    def test_answers_every_pixel_without_a_limit(self, simulated: Path, tmp_path: Path) -> None:
        assert run("estimate", simulated, "-o", tmp_path, "--min-confidence", 0) == 0
        assert not np.isnan(np.load(tmp_path / "depth.npy")).any()
        measures = result_of(tmp_path)["metrics"]
        assert isinstance(measures, dict)
        assert measures["coverage"] == 1.0

    def test_measures_are_those_of_the_written_depth(self, simulated: Path, tmp_path: Path) -> None:
        assert run("estimate", simulated, "-o", tmp_path, "--min-confidence", 0) == 0
        truth = load_ground_truth(simulated)
        assert truth is not None
        error = np.abs(np.load(tmp_path / "depth.npy") - truth) / truth
        measures = result_of(tmp_path)["metrics"]
        assert isinstance(measures, dict)
        assert measures["abs_rel"] == pytest.approx(error.mean(), rel=1e-4)

    def test_of_a_relative_stack_gives_the_slice_index(
        self, stack_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        change(stack_dir, "focus_distances")
        output = tmp_path / "out"
        assert run("estimate", stack_dir, "-o", output, "--min-confidence", 0) == 0
        assert {path.name for path in output.iterdir()} == ALL_FILES - {"depth.png", "cloud.ply"}
        depth = np.load(output / "depth.npy")
        assert depth.min() >= 0.0
        assert depth.max() <= SLICES - 1
        result = result_of(output)
        assert result["metric"] is False
        assert result["metrics"] is None
        captured = capsys.readouterr()
        assert "not written: cloud.ply: the stack is relative" in captured.out
        assert "warning: the ground truth is not used" in captured.err

    def test_takes_distances_from_the_command_line(self, stack_dir: Path, tmp_path: Path) -> None:
        (stack_dir / "stack.yaml").unlink()
        distances = "0.4,0.5,1,inf"
        output = tmp_path / "out"
        assert run("estimate", stack_dir, "-o", output, "--focus-distances", distances) == 0
        assert result_of(output)["focus_distances"] == [0.4, 0.5, 1.0, "inf"]
        assert result_of(output)["metric"] is True

    def test_needs_a_field_of_view_for_the_cloud_of_an_unknown_camera(
        self, stack_dir: Path, tmp_path: Path
    ) -> None:
        change(stack_dir, "intrinsics", "lens")
        without, with_fov = tmp_path / "without", tmp_path / "with"
        assert run("estimate", stack_dir, "-o", without) == 0
        assert not (without / "cloud.ply").exists()
        assert "cloud.ply" in str(result_of(without)["skipped"])
        assert run("estimate", stack_dir, "-o", with_fov, "--fov", 60) == 0
        assert (with_fov / "cloud.ply").exists()

    def test_passes_settings_to_the_backend(self, simulated: Path, tmp_path: Path) -> None:
        command = ("estimate", simulated, "--backend", "graph_cut", "--min-confidence", 0)
        assert run(*command, "-o", tmp_path / "a") == 0
        options = ("--option", "window_sigma=1", "--option", "max_cycles=2")
        assert run(*command, "-o", tmp_path / "b", *options) == 0
        settings = result_of(tmp_path / "b")["settings"]
        assert isinstance(settings, dict)
        assert settings["options"] == {"window_sigma": 1.0, "max_cycles": 2}
        plain, changed = (np.load(tmp_path / name / "slice_index.npy") for name in "ab")
        assert (plain != changed).any()

    def test_scales_large_images_down(self, simulated: Path, tmp_path: Path) -> None:
        assert run("estimate", simulated, "-o", tmp_path, "--max-size", 48) == 0
        assert np.load(tmp_path / "depth.npy").shape == (36, 48)
        assert result_of(tmp_path)["metrics"] is not None

    def test_reports_pictures_that_are_no_slices(
        self, stack_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (stack_dir / "stack.yaml").unlink()
        write_image(stack_dir / "index_map.png", np.zeros((72, 96), np.uint8))
        assert run("estimate", stack_dir, "-o", tmp_path / "out") == 0
        assert "taken for no slices: index_map.png" in capsys.readouterr().err
        assert "index_map.png" in str(result_of(tmp_path / "out")["warnings"])

    def test_names_the_results_after_the_stack(
        self, simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run("estimate", simulated) == 0
        assert (tmp_path / f"{simulated.name}_depth" / "depth.npy").is_file()

    def test_does_not_write_over_the_stack(
        self, simulated: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        before = (simulated / "depth.npy").read_bytes()
        assert run("estimate", simulated, "--output", simulated) == 2
        assert "is where the focal stack lies" in capfd.readouterr().err
        assert (simulated / "depth.npy").read_bytes() == before

    def test_shows_progress_on_a_terminal_only(self, simulated: Path, tmp_path: Path) -> None:
        arguments = ["estimate", simulated, "--output", tmp_path]
        assert run_process(*arguments).stderr == ""
        try:
            terminal, other_end = pty.openpty()
        except OSError as error:
            pytest.skip(f"no terminal can be made here: {error}")
        command = [sys.executable, "-m", "focdepth_ros.cli", *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other_end) as process:
            os.close(other_end)
            shown = b""
            try:
                while part := os.read(terminal, 4096):
                    shown += part
            except OSError:  # how Linux says that the other end is closed
                pass
            finally:
                os.close(terminal)
            assert process.wait(timeout=120) == 0
        assert b"Reading images" in shown
        assert b"Estimating depth" in shown
        assert b"100%" in shown


class TestBackends:
    def test_lists_all_of_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("backends") == 0
        lines = capsys.readouterr().out.splitlines()
        for name in backend_names():
            assert any(line.split()[0] == name and "usable" in line for line in lines)


class TestSimulate:
    def test_writes_a_stack_with_ground_truth(self, simulated: Path) -> None:
        stack = load_stack(simulated)
        assert len(stack) == SLICES
        assert stack.size == (72, 96)
        assert stack.is_metric
        assert stack.lens is not None
        assert stack.intrinsics is not None
        truth = load_ground_truth(simulated)
        assert truth is not None
        assert 0.4 < np.nanmin(truth) < np.nanmax(truth) <= 4.0

    def test_gives_the_same_again_for_the_same_seed(self, simulated: Path, tmp_path: Path) -> None:
        size = ("--slices", SLICES, "--size", "96x72")
        assert run("simulate", tmp_path / "same", "--seed", 5, *size) == 0
        assert run("simulate", tmp_path / "other", "--seed", 6, *size) == 0
        image = (simulated / "000.png").read_bytes()
        assert (tmp_path / "same" / "000.png").read_bytes() == image
        assert (tmp_path / "other" / "000.png").read_bytes() != image

    def test_replaces_no_pictures_unless_forced(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        mine = tmp_path / "000.png"
        mine.write_bytes(b"a picture of mine")
        command = ("simulate", tmp_path, "--slices", SLICES, "--size", "96x72")
        assert run(*command) == 2
        assert "is not empty" in capfd.readouterr().err
        assert mine.read_bytes() == b"a picture of mine"
        assert run(*command, "--force") == 0
        assert len(load_stack(tmp_path)) == SLICES


def corrupt_image(folder: Path) -> None:
    (folder / "001.png").write_bytes(b"junk")


def cut_image(folder: Path) -> None:
    data = (folder / "001.png").read_bytes()
    (folder / "001.png").write_bytes(data[: len(data) // 2])


def other_size(folder: Path) -> None:
    write_image(folder / "002.png", np.zeros((72, 97, 3), np.uint8))


def remove_images(folder: Path) -> None:
    for path in folder.glob("0*.png"):
        path.unlink()
    (folder / "stack.yaml").unlink()


def other_truth(folder: Path) -> None:
    np.save(folder / "depth.npy", np.ones((5, 5), np.float32))


BAD_STACKS = {
    "no images": (remove_images, "stack: no images in it; give a folder of"),
    "unreadable image": (corrupt_image, "001.png: cannot be decoded as an image; save it again"),
    "cut-off image": (cut_image, "001.png: the image is damaged or cut off after"),
    "other size": (other_size, "002.png: 97x72 px colour, but 000.png is 96x72 px colour; all"),
    "missing truth": (
        lambda folder: (folder / "depth.npy").unlink(),
        "depth.npy: no such file, but stack.yaml names it",
    ),
    "other truth": (other_truth, "depth.npy: 5x5 px, but 000.png is 96x72 px; the ground truth"),
    "corrupt YAML": (
        lambda folder: (folder / "stack.yaml").write_text("focus_distances: [1, 2"),
        "stack.yaml: not valid YAML",
    ),
    "unknown key": (
        lambda folder: change(folder, distances=[1, 2]),
        "stack.yaml: unknown key 'distances'; known are focus_distances",
    ),
    "wrong number of distances": (
        lambda folder: change(folder, focus_distances=[1.0, 2.0]),
        "stack.yaml: 2 focus distances for 4 images (000.png … 003.png); give one per image",
    ),
    "bad distance": (
        lambda folder: change(folder, focus_distances=[1.0, 2.0, -3.0, 4.0]),
        "stack.yaml: focus distance -3.0 of 002.png is not in (0, inf]; give metres",
    ),
}


class TestBadInput:
    """Each gives one line that names what is wrong and what to do, and exit status 2."""

    def check(
        self, arguments: Sequence[object], message: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        capfd.readouterr()
        assert run(*arguments) == 2
        captured = capfd.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        assert captured.err.endswith("\n")
        assert message in captured.err

    @pytest.mark.parametrize("name", list(BAD_STACKS))
    def test_stack(
        self, name: str, stack_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        spoil, message = BAD_STACKS[name]
        spoil(stack_dir)
        output = tmp_path / "out"
        self.check(("estimate", stack_dir, "--output", output), message, capfd)
        assert not output.exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("estimate", "/no/where", "-o", "x"), "/no/where: no such folder; give the folder"),
            (("estimate", __file__, "-o", "x"), "test_cli.py: not a folder; give the folder that"),
            (("estimate",), "Missing argument 'STACK_DIR'; see `focdepth estimate --help`"),
            (("estimate", "/no/where"), "/no/where: no such folder"),
            (("guess",), "No such command 'guess'; see `focdepth --help`"),
            (("estimate", "a", "-o", "b", "--bogus"), "No such option"),
            (
                ("estimate", "a", "-o", "b", "-b", "magic"),
                "there is no backend 'magic'; choose one",
            ),
            (("estimate", "a", "-o", "b", "--option", "x=1"), "has no option 'x'; it has"),
            (("estimate", "a", "-o", "b", "--option", "x"), "'x' has no key or no value; write it"),
            (
                ("estimate", "a", "-o", "b", "-b", "graph_cut", "--option", "smoothness=much"),
                "'much' in 'smoothness=much' is not a number",
            ),
            (
                ("estimate", "a", "-o", "b", "-b", "graph_cut", "--option", "max_cycles=1.5"),
                "'1.5' in 'max_cycles=1.5' is not a whole number",
            ),
            (
                ("estimate", "a", "-o", "b", "-b", "graph_cut", "--option", "smoothness=-1"),
                "smoothness=-1.0 is not in",
            ),
            (
                ("estimate", "a", "-o", "b", "--min-confidence", "2"),
                "min_confidence 2.0 is not in [0, 1]",
            ),
            (
                ("estimate", "a", "-o", "b", "--min-confidence", "much"),
                "Invalid value for '--min-confidence': ",
            ),
            (
                ("estimate", "a", "-o", "b", "--focus-distances", "1;2"),
                "'1;2' is not a list of metres",
            ),
            (("simulate", "a", "--size", "640"), "'640' is no image size with sides from 16"),
            (("simulate", "a", "--near", "3", "--far", "2"), "focus sweep from 3.0 m to 2.0 m"),
            (("simulate", "a", "--slices", "201"), "--slices is 201; give at most 200"),
            (("simulate", "a", "--slices", "1"), "a focus sweep of 1 slices; give at least 2"),
        ],
    )
    def test_arguments(
        self,
        arguments: Sequence[str],
        message: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        self.check(arguments, message, capfd)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("distances", ["1,2", "1,2,nan,4", "1,2,2,4", "0,1,2,3"])
    def test_distances(
        self, distances: str, simulated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ("estimate", simulated, "-o", tmp_path, "--focus-distances", distances)
        self.check(arguments, f"{simulated}: ", capfd)

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--fov", "180", "field of view of 180.0 degrees is not in (0, 180)"),
            ("--max-size", "0", "max_size 0 px is not positive; give pixels"),
        ],
    )
    def test_values_that_matter_for_the_images(
        self,
        option: str,
        value: str,
        message: str,
        simulated: Path,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        output = tmp_path / "out"
        self.check(("estimate", simulated, "-o", output, option, value), message, capfd)
        assert not output.exists()

    @pytest.mark.parametrize("command", ["estimate", "simulate"])
    def test_output_that_cannot_be_written(
        self, command: str, simulated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("in the way")
        output = blocked / "out"
        arguments = (
            ("simulate", output) if command == "simulate" else (command, simulated, "-o", output)
        )
        self.check(arguments, f"{output}: Not a directory; check the path", capfd)

    def test_leaves_no_traceback_in_a_process(self, tmp_path: Path) -> None:
        done = run_process("estimate", tmp_path, "--output", tmp_path / "out")
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith(f"error: {tmp_path}: no images in it")
        assert done.stderr.count("\n") == 1
