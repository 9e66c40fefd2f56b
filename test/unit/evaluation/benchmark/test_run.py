"""Backends measured in processes of their own, and the command that does it."""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

import benchmark_backends
import numpy as np
import pytest
import yaml
from benchmark_backends import ADD_SECONDS, FILLED_BYTES, FINISH_SECONDS

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.cli import main
from focdepth_ros.datasets.registry import open_dataset
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.evaluation.benchmark.process import (
    BackendProcess,
    Contender,
    MeasuredSweep,
)
from focdepth_ros.evaluation.benchmark.rows import benchmark_rows
from focdepth_ros.evaluation.benchmark.run import Benchmark
from focdepth_ros.evaluation.benchmark.stacks import DatasetStacks
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.simulation import render_random_sweep
from focdepth_ros.stack_folder.reading import load_ground_truth, load_stack
from focdepth_ros.stack_folder.saving import save_stack
from focdepth_ros.torch_device import cuda_missing_because

pytest.importorskip("jinja2")

SCENES = ("a/far", "a/near", "b")


def stacks_of(folder: Path, count: int | None = None) -> DatasetStacks:
    return DatasetStacks([open_dataset("stack_folders", folder)], count)


def run(output: Path, *options: object) -> int:
    return main(["benchmark", "-o", str(output), *map(str, options)])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stacks, large enough for a backend to be sure of something; not to change."""
    root = tmp_path_factory.mktemp("simulated")
    for seed in (1000, 1001):
        sweep = render_random_sweep(seed, width=160, height=120)
        save_stack(root / str(seed), sweep.stack, depth=sweep.depth)
    return root


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, simulated: Path) -> Path:
    """What the command leaves of two backends, two stacks, two sizes; not to change."""
    folder = tmp_path_factory.mktemp("benchmark")
    options = ("-b", "argmax", "-b", "graph_cut", "--sizes", "160x120,64x64", "--repeat", 3)
    assert run(folder, *options, "--stack", simulated, "--threads", 1) == 0
    return folder


def values_of(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "benchmark.json").read_text(encoding="utf-8"))
    return values


def test_accuracy_is_that_of_the_backend_itself(measured: Path, simulated: Path) -> None:
    rows = values_of(measured)["rows"]
    assert [(row["size"], row["backend"]) for row in rows] == [
        ("160x120", "argmax"), ("160x120", "graph_cut"),
        ("64x64", "argmax"), ("64x64", "graph_cut"),
    ]  # fmt: skip
    for row in rows[:2]:
        every, sure = [], []
        for folder in simulated.iterdir():
            answer = create_backend(row["backend"]).estimate(load_stack(folder))
            truth = load_ground_truth(folder)
            assert truth is not None
            every.append(depth_metrics(answer.depth, truth))
            unsure = answer.confidence < DEFAULT_MIN_CONFIDENCE
            sure.append(depth_metrics(np.where(unsure, np.nan, answer.depth), truth))
        assert (row["stacks"], row["failed"], row["sweeps"]) == (2, 0, 6)
        for name in ("abs_rel", "rmse", "coverage"):
            for key, expected in (("all_pixels", every), ("sure_pixels", sure)):
                known = [figures[name] for figures in expected if not math.isnan(figures[name])]
                assert row[key][name] == pytest.approx(statistics.mean(known), abs=1e-9)
        assert row["all_pixels"]["coverage"] == 1.0
        assert 0.0 < row["sure_pixels"]["coverage"] < 1.0


def test_times_are_medians_and_ratios_of_the_sweeps(measured: Path) -> None:
    values = values_of(measured)
    rate = values["frame_rate"]
    assert (rate, values["reference"]) == (30.0, "graph_cut")

    def sweeps(size: str, backend: str) -> list[dict[str, Any]]:
        return [
            sweep
            for stack in values["stacks"]
            if (stack["size"], stack["all_pixels"]["backend"]) == (size, backend)
            for sweep in stack["sweeps"]
        ]

    def total(sweep: dict[str, Any]) -> float:
        return float(sum(sweep["frame_seconds"]) + sweep["finish_seconds"])

    for row in values["rows"]:
        ours = sweeps(row["size"], row["backend"])
        reference = sweeps(row["size"], "graph_cut")
        assert all(len(sweep["frame_seconds"]) == 10 for sweep in ours)
        finish = [sweep["finish_seconds"] for sweep in ours]
        assert row["finish_seconds"]["median"] == pytest.approx(statistics.median(finish))
        assert row["finish_seconds"]["p95"] <= max(finish)
        ratios = [total(one) / total(other) for one, other in zip(ours, reference, strict=True)]
        assert row["ratios"]["total"] == pytest.approx(statistics.median(ratios))
        if row["backend"] == "graph_cut":
            assert row["ratios"] == {"latency": 1.0, "total": 1.0}
        assert 0.0 < row["finish_seconds"]["median"] <= row["latency_seconds"]["median"]
        assert row["memory_bytes"] > 0
        assert row["gpu_memory_bytes"] is None
        assert row["start_seconds"] > 0.0
        assert row["first_sweep_seconds"] > 0.0


def test_the_table_can_be_pasted_and_the_page_opened(
    measured: Path, stack_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (measured / "benchmark.md").read_text(encoding="utf-8")
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    first: dict[str, str] = {}
    for lines in tables:
        assert len(lines) == 2 + 4
        header, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
        assert [row[:2] for row in rows[:2]] == [["160x120", "argmax"], ["160x120", "graph_cut"]]
        first.update(zip(header, rows[0], strict=True))
    assert len(tables) == 2
    expected = values_of(measured)["rows"][0]
    assert float(first["abs_rel"]) == pytest.approx(expected["all_pixels"]["abs_rel"], abs=6e-4)
    assert float(first["finish [ms]"]) == pytest.approx(
        1e3 * expected["finish_seconds"]["median"], rel=6e-3
    )
    assert "memory [MB]" in first
    assert "GPU [MB]" not in first
    assert "processor: " in text
    assert "threads 1" in text

    page = (measured / "benchmark.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 2 * 2 * (1 + 2) + 1 + 2 * 2 * 2
    assert "http" not in page
    assert not re.findall(r"(?:src|href)=", page)
    assert 'class="best"' in page

    assert run(measured, "-b", "argmax", "--stack", stack_folders) == 2
    assert "has a benchmark; choose another folder, or give --force" in capsys.readouterr().err


def test_what_cannot_be_measured_is_named_and_the_rest_is_measured(stack_folders: Path) -> None:
    benchmark = Benchmark(
        [
            Contender("unavailable", benchmark_backends.make_unavailable),
            Contender("dying", benchmark_backends.make_dying),
            Contender("failing", benchmark_backends.make_failing),
            Contender("slow", benchmark_backends.make_slow),
            Contender("argmax", benchmark_backends.make_argmax),
        ],
        stacks_of(stack_folders, 2),
        [None],
        repeat=2,
    )
    steps: list[int] = []
    benchmark.run(lambda: steps.append(1))
    assert len(steps) == benchmark.steps == 2 * 2
    assert [line.partition(":")[0] for line in benchmark.left_out] == [
        "unavailable, as they are",
        "dying, as they are, a/far",
        "failing, as they are, a/far",
        "dying, as they are, b",
        "failing, as they are, b",
    ]
    lines = {line.split(",")[0]: line for line in benchmark.left_out}
    assert "cannot be used here: no such device" in lines["unavailable"]
    assert "process of 'dying' ended with status 3" in lines["dying"]
    assert "'failing' gave no answer" in lines["failing"]
    assert "no room" in lines["failing"]

    slow, argmax = benchmark_rows(benchmark)
    assert (slow.backend, argmax.backend) == ("slow", "argmax")
    assert (slow.size, slow.every.scenes, slow.sweeps) == ("64x48", 2, 4)
    np.testing.assert_equal(slow.every.figures, argmax.every.figures)
    assert slow.times["frame"].median >= ADD_SECONDS
    assert slow.times["finish"].median >= FINISH_SECONDS
    assert slow.times["latency"].median >= ADD_SECONDS + FINISH_SECONDS
    assert slow.times["total"].median >= 4 * ADD_SECONDS + FINISH_SECONDS
    assert FILLED_BYTES <= slow.memory <= 2 * FILLED_BYTES
    assert 0.0 < argmax.memory < FILLED_BYTES
    # The first of those asked for is the reference where there is no graph cut; it has no time.
    assert benchmark.reference == "unavailable"
    assert math.isnan(slow.ratios["latency"])


def test_stacks_without_truth_are_timed(stack_folders: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(stack_folders / "b", tmp_path / "b"))
    description = root / "stack.yaml"
    description.write_text(re.sub(r"(?m)^depth:.*$", "", description.read_text()))
    contender = Contender("argmax", benchmark_backends.make_argmax)
    benchmark = Benchmark([contender], stacks_of(root), [None], repeat=1)
    benchmark.run()
    (row,) = benchmark_rows(benchmark)
    assert math.isnan(row.every.figures["abs_rel"])
    assert row.every.figures["coverage"] == 1.0
    confidence = create_backend("argmax").estimate(load_stack(root)).confidence
    share = np.mean(confidence >= DEFAULT_MIN_CONFIDENCE)
    assert row.sure.figures["coverage"] == pytest.approx(share)
    assert row.times["latency"].median > 0.0


def test_an_unreadable_stack_is_left_out(
    stack_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(stack_folders, tmp_path / "stacks"))
    next((root / "a/near").glob("*.png")).write_bytes(b"no picture")
    assert run(tmp_path / "out", "-b", "argmax", "--stack", root, "--repeat", 1) == 1
    captured = capsys.readouterr()
    assert "not measured: a/near: " in captured.err
    assert re.search(r"64x48 +argmax ", captured.out)
    values = values_of(tmp_path / "out")
    assert values["rows"][0]["stacks"] == 2
    assert len(values["left_out"]) == 1
    assert values["left_out"][0] in (tmp_path / "out" / "benchmark.md").read_text()


def test_what_was_measured_stays_when_it_is_interrupted(
    stack_folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep = BackendProcess.sweep
    sweeps: list[MeasuredSweep] = []

    def interrupted(self: BackendProcess) -> MeasuredSweep:
        if len(sweeps) == 1 + 3 + 2:  # in the midst of the second stack
            raise KeyboardInterrupt
        sweeps.append(sweep(self))
        return sweeps[-1]

    monkeypatch.setattr(BackendProcess, "sweep", interrupted)
    out = tmp_path / "out"
    assert run(out, "-b", "argmax", "--stack", stack_folders, "--repeat", 3) == 130
    assert "interrupted" in capsys.readouterr().err
    values = values_of(out)
    assert [(row["stacks"], row["sweeps"]) for row in values["rows"]] == [(2, 5)]
    assert "interrupted" in values["about"]["stacks"]
    assert (out / "benchmark.html").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-b", "none_such"), "there is no backend 'none_such'"),
        (("-b", "argmax", "--option", "graph_cut.sigma=1"), "does not begin with a backend"),
        (("-b", "argmax", "--option", "argmax.none_such=3"), "no option 'none_such'"),
        (("-b", "argmax", "--option", "argmax.window_sigma=1e9"), "window_sigma"),
        (("--sizes", "640"), "'640' is no image size"),
        (("--align", "none_such"), "none_such"),
        (("--rate", "0"), "--rate is 0.0"),
        (("--rate", "nan"), "--rate is nan"),
        (("--stack", "nowhere"), "nowhere: no such file or folder"),
        (("--stack", "nowhere", "--dataset", "middlebury"), "give one of --stack and --dataset"),
        (("--dataset", "middlebury"), "--dataset and --path go together"),
        (("--split", "2006"), "--split is of a --dataset"),
        (("--stack", "nowhere", "--slices", "5"), "--slices is for simulated stacks"),
        (("--dataset", "none_such", "--path", "."), "there is no dataset 'none_such'"),
    ],
)
def test_bad_input(
    options: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(cuda_missing_because() is None, reason="there is a GPU")
def test_a_backend_asked_for_that_cannot_be_used_fails(
    stack_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--option", "graph_cut.device=cuda", "--repeat", 1, "--scenes", 1)
    named = ("-b", "graph_cut", "-b", "argmax", "--stack", stack_folders)
    assert run(tmp_path / "out", *named, *options) == 1
    assert "graph_cut, as they are: device 'cuda' cannot be used here" in capsys.readouterr().err
    assert [row["backend"] for row in values_of(tmp_path / "out")["rows"]] == ["argmax"]
    alone = ("-b", "graph_cut", "--stack", stack_folders)
    assert run(tmp_path / "alone", *alone, *options) == 1
    assert "Not measured" in (tmp_path / "alone" / "benchmark.html").read_text()


def test_errors_that_are_fitted_or_lacking_are_said_to_be(tmp_path: Path, simulated: Path) -> None:
    stacks = Path(shutil.copytree(simulated, tmp_path / "stacks"))
    shutil.copytree(stacks / "1000", stacks / "relative")
    for name, key in (("1001", "depth"), ("relative", "focus_distances")):
        path = stacks / name / "stack.yaml"
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        del told[key]
        path.write_text(yaml.safe_dump(told), encoding="utf-8")
    assert run(tmp_path / "out", "-b", "argmax", "--stack", stacks, "--repeat", 1) == 0
    for name in ("benchmark.md", "benchmark.html"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "Errors are of the 2 of 3 stacks that have a ground truth." in text
        assert "Of 1 of 2 stacks, which have no focus distances, scale and shift" in text
