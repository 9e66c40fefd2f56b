"""The command that evaluates, and the page that it leaves."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from focdepth_ros.cli import main
from focdepth_ros.evaluation.report_tables import number
from focdepth_ros.evaluation.scores import FIGURES

pytest.importorskip("jinja2")


def evaluate(root: Path, output: Path, *options: str) -> int:
    return main(["evaluate", "-d", "stack_folders", "-p", str(root), "-o", str(output), *options])


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.rows = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.rows += tag == "tr"
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_report_opens_without_a_network(
    stack_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("-b", "argmax", "-b", "graph_cut", "--align", "none")
    assert evaluate(stack_folders, tmp_path, *options) == 0
    out = capsys.readouterr().out
    assert "argmax" in out
    assert f"report: {tmp_path / 'report.html'}" in out

    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert len(page.sources) == 3 * (2 + 2 * 2)  # scene and truth, depth and error by two
    # Head, scenes, measures without psnr and ssim, times; head and scenes.
    assert page.rows == 1 + 1 + (len(FIGURES) - 2) + 2 + 1 + 3 * 2
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<polyline") == 2
    for scene in ("a/far", "a/near", "b"):
        assert f">{scene}<" in text
        assert f">{scene} <" in text
    for words in ("rmse <small>m</small>", "≥ 20 %", " m</span>"):
        assert words in text
    assert text.count("linear-gradient(90deg,#") == 3 * 2  # colour bars of depth and error

    with (tmp_path / "scenes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scene"], row["backend"]) for row in rows[:2]] == [
        ("a/far", "argmax"),
        ("a/far", "graph_cut"),
    ]
    assert set(FIGURES) <= set(rows[0])
    summary = json.loads((tmp_path / "summary.json").read_text())
    mean = sum(float(row["abs_rel"]) for row in rows if row["backend"] == "argmax") / 3
    assert summary["backends"][0]["abs_rel"] == pytest.approx(mean)
    assert summary["scenes"] == 3


def test_what_could_not_be_measured_is_told_and_fails(
    stack_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(stack_folders, tmp_path / "stacks"))
    shutil.rmtree(root / "a/far")
    description = root / "b" / "stack.yaml"
    description.write_text(re.sub(r"(?m)^depth:.*$", "", description.read_text()))
    assert evaluate(root, tmp_path / "out", "-b", "argmax", "--no-pictures") == 1
    error = capsys.readouterr().err
    assert "1 of 2 could not be measured" in error
    assert "b, argmax: its depth is not known" in error
    assert "its depth is not known" in (tmp_path / "out" / "report.html").read_text()
    assert not (tmp_path / "out" / "pictures").exists()


def test_pictures_of_many_scenes_are_those_of_some(
    stack_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("focdepth_ros.evaluation.report._MOST_PICTURED", 2)
    assert evaluate(stack_folders, tmp_path, "-b", "argmax", "--align", "none") == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Pictures of 2 of 3 scenes, evenly spread" in text
    assert len(_Page(text).sources) == 2 * (2 + 2)
    assert len(list((tmp_path / "pictures").iterdir())) == 3


def test_numbers_keep_the_digits_that_matter() -> None:
    shown = [
        (0.012345, "mae"),
        (0.0000321, "mse"),
        (12.345, "psnr"),
        (1.5, "seconds"),
        (0.0, "mae"),
    ]
    texts = [number(value, name) for value, name in shown]
    assert texts == ["0.0123", "0.000032", "12.35", "1.500", "0.0000"]
    assert number(float("nan"), "mae") == "–"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-b", "none_such"), "none_such"),
        (("-b", "argmax", "--option", "window=3"), "does not begin with a backend"),
        (("-b", "argmax", "--option", "argmax.none_such=3"), "none_such"),
        (("-b", "argmax", "--split", "test"), "has no split 'test'; choose one of all"),
        (("-b", "argmax", "--min-confidence", "2"), "min_confidence 2.0 is not in [0, 1]"),
    ],
)
def test_bad_input(
    options: tuple[str, ...],
    words: str,
    stack_folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(stack_folders, tmp_path / "out", *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
