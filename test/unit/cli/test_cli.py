import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from cli_runs import SLICES, change, run, run_process, shown_on_a_terminal

import focdepth_ros
from focdepth_ros.backends.registry import backend_names
from focdepth_ros.cli import _app
from focdepth_ros.evaluation.metrics import METRICS
from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack_folder.reading import load_ground_truth, load_stack

CLASSICAL = ("graph_cut", "argmax")
# What a first answer must not wait for.
HEAVY = {"cv2", "distributed", "gradio", "h5py", "jinja2", "lightning_fabric", "numpy", "onnx",
         "rclpy", "rerun", "rosbags", "scipy", "skimage", "timm", "torch", "yaml"}  # fmt: skip
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


@cache
def every_command() -> dict[tuple[str, ...], Any]:
    """Every command, those that have commands of their own, and the one without a word."""
    found: dict[tuple[str, ...], Any] = {}
    pending: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(_app))]
    while pending:
        words, command = pending.pop(0)
        found[words] = command
        commands = getattr(command, "commands", {}).items()
        pending += [((*words, name), sub) for name, sub in commands]
    return found


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
        [(), *((*words, "--help") for words in every_command())],
    )
    def test_helps_everywhere(
        self, arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(*arguments) == 0
        captured = capsys.readouterr()
        assert "Usage: focdepth" in captured.out
        assert captured.err == ""

    def test_explains_every_option_and_tells_its_default(self) -> None:
        options = [
            (*words, option.name, option)
            for words, command in every_command().items()
            for option in command.params
        ]
        assert len(options) > 100
        assert [place for *place, option in options if not option.help] == []
        # An empty text stands for something, which is to be said.
        empty = [(place, option) for *place, option in options if option.default == ""]
        assert [place for place, option in empty if option.show_default in (True, None)] == []

    def test_says_what_a_mistyped_command_may_mean(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("bag", "evel") == 2
        error = capsys.readouterr().err
        assert error.startswith("error: No such command 'evel'")
        assert error.endswith("see `focdepth bag --help`\n")
        assert "?;" not in error

    def test_loads_nothing_heavy_for_any_help(self) -> None:
        commands = [[*words, "--help"] for words in every_command()]
        code = (
            "import sys; from focdepth_ros.cli import main\n"
            f"for words in {commands!r}: main(words)\n"
            "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.count("Usage: focdepth") == len(commands)
        assert HEAVY & set(done.stderr.split()) == set()

    def test_estimates_without_libraries_of_extras(self, simulated: Path, tmp_path: Path) -> None:
        words = ["estimate", str(simulated), "--output", str(tmp_path / "out")]
        words += ["--backend", "graph_cut", "--option", "device=cpu"]
        code = (
            "import sys; from focdepth_ros.cli import main\n"
            f"assert main({words!r}) == 0\n"
            "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        loaded = set(done.stdout.splitlines()[-1].split())
        assert "cv2" in loaded
        assert (HEAVY - {"cv2", "numpy", "yaml"}) & loaded == set()


class TestEstimate:
    @pytest.mark.parametrize("backend", [*CLASSICAL, "auto"])
    def test_writes_every_file_and_prints_the_measures(
        self, simulated: Path, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "new" / "out"
        options = ("--backend", backend, "--min-confidence", "0.2", "--output", output)
        assert run("estimate", simulated, *options) == 0
        assert {path.name for path in output.iterdir()} == ALL_FILES
        result = result_of(output)
        name = CLASSICAL[0] if backend == "auto" else backend
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

    def test_turns_a_relative_stack_round(self, stack_dir: Path, tmp_path: Path) -> None:
        change(stack_dir, "focus_distances")
        # Alignment takes the grid of the first slice, which is another one the other way round.
        command = ("estimate", stack_dir, "--min-confidence", 0, "--align", "none")
        assert run(*command, "-o", tmp_path / "a") == 0
        assert run(*command, "-o", tmp_path / "b", "--reverse") == 0
        plain, turned = (np.load(tmp_path / name / "depth.npy") for name in "ab")
        away = np.abs(plain + turned - (SLICES - 1))
        assert np.median(away) < 0.05
        assert np.abs(plain - turned).max() > 1.0

    def test_fills_holes_and_marks_them(self, simulated: Path, tmp_path: Path) -> None:
        command = ("estimate", simulated, "--min-confidence", 0.5)
        assert run(*command, "-o", tmp_path / "a") == 0
        assert run(*command, "-o", tmp_path / "b", "--fill-holes") == 0
        plain, filled = (np.load(tmp_path / name / "depth.npy") for name in "ab")
        unknown = np.isnan(plain)
        assert unknown.any()
        assert not np.isnan(filled).any()
        np.testing.assert_array_equal(filled[~unknown], plain[~unknown])
        np.testing.assert_array_equal(np.load(tmp_path / "b" / "confidence.npy") == 0.0, unknown)

    def test_writes_what_alignment_did(self, simulated: Path, tmp_path: Path) -> None:
        pictures = tmp_path / "pictures"
        options = ("--align", "ecc", "--align-option", "ecc_model=homography")
        output = tmp_path / "out"
        assert run("estimate", simulated, "-o", output, *options, "--align-pictures", pictures) == 0
        result = result_of(output)
        assert len(list(pictures.iterdir())) == SLICES - 1 - int(str(result["left_out"]))
        settings = result["settings"]
        assert isinstance(settings, dict)
        assert settings["alignment"]["method"] == "ecc"
        assert settings["alignment"]["ecc_model"] == "homography"

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
        assert "taken for no slices: all_in_focus.png, index_map.png" in capsys.readouterr().err
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
        shown = shown_on_a_terminal(*arguments)
        assert b"Reading images" in shown
        assert b"Estimating depth" in shown
        assert b"100%" in shown


class TestBackends:
    def test_lists_all_of_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("backends") == 0
        lines = capsys.readouterr().out.splitlines()
        for name in backend_names():
            assert any(line.split()[0] == name and "usable" in line for line in lines)

    @pytest.mark.parametrize("name", CLASSICAL)
    def test_lists_the_settings_of_one(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("backends", name) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "measure=laplacian_of_gaussian" in lines
        assert any("One of laplacian_of_gaussian," in line for line in lines)
        assert max(map(len, lines)) <= 96

    def test_lists_the_settings_of_a_network_also_without_torch(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("backends", "focdepthformer") == 0
        lines = capsys.readouterr().out.splitlines()
        assert {"weights=", "device=auto", "precision=auto", "compile=auto"} <= set(lines)
        assert not any("inf" in line for line in lines)

    def test_says_what_auto_passes_over(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network = "focdepth_ros.backends.focdepthformer.FocDepthFormerBackend"
        usable = classmethod(lambda cls, config=None: None)
        monkeypatch.setattr(f"{network}.unusable_because", usable)
        assert run("backends") == 0
        first, why, *_ = capsys.readouterr().out.splitlines()
        assert first.split()[:2] == ["focdepthformer", "usable"]
        assert why.strip() == "not by 'auto': left out in the unit tests"

    def test_names_one_that_does_not_exist(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("backends", "graphcut") != 0
        assert "there is no backend 'graphcut'" in capsys.readouterr().err


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
        assert (simulated / "all_in_focus.png").is_file()

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
