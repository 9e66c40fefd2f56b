"""``focdepth datasets`` from the outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import run

from focdepth_ros.datasets.registry import dataset_class, dataset_names
from focdepth_ros.files.image_io import write_image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two stacks of the split train of one dataset, one of another."""
    stacks = ("fusion_folders/train/a", "fusion_folders/train/b", "stack_folders/mine")
    for stack in stacks:
        (tmp_path / stack).mkdir(parents=True)
        for number in (1, 2):
            write_image(tmp_path / stack / f"{number}.png", np.zeros((3, 4), np.uint8))
    return tmp_path


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("datasets", "--help") == 0
    assert "Usage: focdepth datasets" in capsys.readouterr().out


def test_lists_all_of_them_with_their_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("datasets") == 0
    out = capsys.readouterr().out
    heads = [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert heads == list(dataset_names())
    text = unwrapped(out)
    for name in dataset_names():
        dataset = dataset_class(name)
        facts = (dataset.title, dataset.measured, dataset.licence, dataset.homepage)
        assert all(unwrapped(fact) in text for fact in facts)
        assert f"splits {', '.join(dataset.splits)}" in text
    assert "files" not in text.split()


def test_shows_one_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("datasets", "inria_3d_movie") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "inria_3d_movie: Inria 3DMovie Dataset v2"
    assert max(map(len, lines)) <= 96
    layout = [line for line in lines if "SPLIT/" in line]
    assert layout[0].startswith("    files     SPLIT/frames/[SEQUENCE/]FRAME.jpg")
    assert layout[1] == "              SPLIT/disparity/[SEQUENCE/]FRAME.jpg_disparity.mat (uv)"
    assert len(layout) == 3


def test_counts_what_is_there_of_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "fusion_folders"
    assert run("datasets", "fusion_folders", "--path", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"fusion_folders: {folder}" in lines
    assert "    train  2 scenes" in lines
    text = unwrapped(" ".join(lines))
    assert f"val none: {folder}: holds no scene of the split 'val' of Multi-focus" in text
    assert "Usage" not in text


def test_counts_what_is_there_of_all_by_their_names(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("datasets", "--path", root) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert [head.split(":")[0] for head in heads] == list(dataset_names())
    assert f"ddff12: no folder {root / 'ddff12'}" in heads
    assert lines[lines.index(f"stack_folders: {root / 'stack_folders'}") + 1] == "    all  1 scene"
    assert "    train  2 scenes" in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("middlebry",), "there is no dataset 'middlebry'; choose one of ddff12, "),
        (("--path", "absent"), "absent: no such folder; give the one that the datasets lie in"),
        (("fod500", "--path", "absent"), "absent: no such folder"),
    ],
)
def test_says_what_is_wrong(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("datasets", *arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
