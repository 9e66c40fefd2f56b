"""Several datasets in one report, and what is said of those that are broken."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import run

from focdepth_ros.files.image_io import write_image

pytest.importorskip("jinja2")

REAL = Path(__file__).parents[4] / "shared/data/rgbd"
FAST = ("--align", "none")


@pytest.fixture(scope="module")
def seven_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames as of 7-Scenes, small ones; not to change."""
    root = tmp_path_factory.mktemp("7scenes")
    rng = np.random.default_rng(0)
    for number in (0, 25):
        depth = np.full((36, 48), 1500 + number, np.uint16)
        depth[:, 20:] = 3000
        depth[0, :5] = 65535
        write_image(
            root / f"frame-{number:06}.color.png", rng.integers(0, 256, (36, 48, 3), np.uint8)
        )
        write_image(root / f"frame-{number:06}.depth.png", depth)
    return root


def evaluate(output: Path, *arguments: Any) -> int:
    return run("evaluate", "-o", output, *FAST, *arguments)


def table(output: Path) -> list[dict[str, str]]:
    with (output / "scenes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_report_of_several(
    stack_folders: Path, seven_scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datasets = ("-d", "stack_folders", "-p", stack_folders, "-d", "7scenes:all", "-p", seven_scenes)
    backends = ("-b", "argmax", "-b", "graph_cut")
    assert evaluate(tmp_path, *datasets, *backends) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.endswith(":")] == [
        "stack_folders:", "7scenes:all:", "mean over datasets:", "mean over scenes:"
    ]  # fmt: skip

    rows = [row for row in table(tmp_path) if row["backend"] == "argmax"]
    assert [(row["dataset"], row["scene"]) for row in rows] == [
        ("stack_folders", "a/far"),
        ("stack_folders", "a/near"),
        ("stack_folders", "b"),
        ("7scenes:all", "frame-000000"),
        ("7scenes:all", "frame-000025"),
    ]
    errors = np.array([float(row["abs_rel"]) for row in rows])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["backends"][0]["abs_rel"] == pytest.approx(errors.mean())
    of_datasets = [errors[:3].mean(), errors[3:].mean()]
    over_datasets = summary["backends_over_datasets"][0]["abs_rel"]
    assert over_datasets == pytest.approx(np.mean(of_datasets))
    assert abs(over_datasets - errors.mean()) > 1e-6
    assert [
        found["backends"][0]["abs_rel"] for found in summary["datasets"].values()
    ] == pytest.approx(of_datasets)

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<section>") == 2
    assert page.count("<polyline") == 3 * 2  # of both, and over both
    assert page.count("data:image/jpeg;base64,") == 5 * (2 + 2 * 2)
    assert "2 datasets: depth against the truth" in page
    assert len(list((tmp_path / "pictures").iterdir())) == 5

    # Nothing is done twice, and the other way round it is the same evaluation.
    before = (tmp_path / "scores.jsonl").read_text()
    assert evaluate(tmp_path, *datasets, *backends, "--resume", "--workers", 2) == 0
    assert (tmp_path / "scores.jsonl").read_text() == before


def test_workers_share_the_scenes_of_the_same_dataset_at_two_places(
    stack_folders: Path, tmp_path: Path
) -> None:
    others = Path(shutil.copytree(stack_folders, tmp_path / "others"))
    datasets = ("-d", "stack_folders", "-p", stack_folders, "-d", "stack_folders", "-p", others)
    for workers in (1, 2):
        output = tmp_path / str(workers)
        options = ("-b", "argmax", "--scenes", 2, "--workers", workers)
        assert evaluate(output, *datasets, *options) == 0
    times = ("seconds", "finish_seconds")
    alone, shared = (
        [{name: row[name] for name in row if name not in times} for row in table(tmp_path / n)]
        for n in ("1", "2")
    )
    assert alone == shared
    first, second = f"stack_folders {stack_folders}", f"stack_folders {others}"
    assert [row["dataset"] for row in alone] == [first, first, second, second]


def test_what_is_broken_is_named_and_the_rest_measured(
    stack_folders: Path, seven_scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = Path(shutil.copytree(seven_scenes, tmp_path / "frames"))
    write_image(frames / "frame-000025.depth.png", np.full((18, 24), 2000, np.uint16))
    stacks = Path(shutil.copytree(stack_folders, tmp_path / "stacks"))
    np.save(stacks / "a/near/depth.npy", np.ones((7, 9), np.float32))
    description = stacks / "a/near/stack.yaml"
    description.write_text(re.sub(r"(?m)^depth:.*$", "depth: depth.npy", description.read_text()))
    missing = next((stacks / "b").glob("*.png"))
    missing.unlink()
    datasets = (
        *("-d", "7scenes", "-p", frames),
        *("-d", "stack_folders", "-p", stacks),
        *("-d", "icl_nuim", "-p", tmp_path / "nowhere"),
    )
    output = tmp_path / "out"
    assert evaluate(output, *datasets, "-b", "argmax") == 1
    err = capsys.readouterr().err
    assert "3 of 5 could not be measured:" in err
    assert "1 dataset could not be read:" in err
    page = (output / "report.html").read_text(encoding="utf-8")
    for words in (
        r"7scenes: frame-000025, argmax: .*\(18, 24\)",
        r"stack_folders: a/near, argmax: .*depth.npy: 9x7 px, but",
        rf"stack_folders: b, argmax: .*{missing.name}",
        r"icl_nuim: .*nowhere: no such file or folder",
    ):
        assert re.search(words, err), words
    for words in ("(18, 24)", "9x7 px", missing.name, "nowhere: no such file or folder"):
        assert words in page
    measured = {row["scene"] for row in table(output) if not row["error"]}
    assert measured == {"frame-000000", "a/far"}
    summary = json.loads((output / "summary.json").read_text())
    assert "no such file" in summary["datasets"]["icl_nuim"]["error"]
    # What was broken then may be there now; what was measured stays.
    assert evaluate(output, *datasets, "-b", "argmax", "--resume") == 1


def test_nothing_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datasets = ("-d", "7scenes", "-p", tmp_path / "x", "-d", "icl_nuim", "-p", tmp_path / "y")
    assert evaluate(tmp_path / "out", *datasets) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path}/x: no such file" in err
    assert f"{tmp_path}/y: no such file" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-d", "7scenes", "-d", "icl_nuim", "-p", "a"), "there are 2 --dataset and 1 --path"),
        (("-d", "7scenes", "-p", "a", "-p", "b"), "there are 1 --dataset and 2 --path"),
        (
            ("-d", "7scenes", "-p", "a", "-d", "icl_nuim", "-p", "b", "--split", "test"),
            "write it behind its name, like --dataset 7scenes:test",
        ),
        (("-d", "7scenes:test", "-p", "a", "--split", "all"), "name two splits; give one"),
        (("-d", "7scenes:tset", "-p", "a"), "has no split 'tset'; choose one of all, train, test"),
        (("-d", "icl_nuim", "-p", "a", "-d", "icl_nuim", "-p", "a"), "'icl_nuim a' is given 2"),
        (("-d", "none_such", "-p", "a"), "there is no dataset 'none_such'; choose one of"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(tmp_path / "out", *arguments) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the data are not here")
def test_real_ones(tmp_path: Path) -> None:
    places = {
        "middlebury": "middlebury2001_2006",
        "7scenes": "7scenes",
        "icl_nuim": "icl_livingroom1",
    }
    datasets = [word for n, at in places.items() for word in ("-d", n, "-p", REAL / at)]
    options = ("-b", "argmax", "-b", "graph_cut", "--scenes", 2)
    assert evaluate(tmp_path, *datasets, *options) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    for found in (summary, *summary["datasets"].values()):
        argmax, graph_cut = found["backends"]
        assert graph_cut["abs_rel"] < argmax["abs_rel"] < 0.2
