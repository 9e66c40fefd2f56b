"""The page of one focal stack, and the option of `focdepth estimate` that writes it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import run

pytest.importorskip("jinja2")

from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.evaluation.stack_report import write_stack_report
from focdepth_ros.libraries import how_to_install
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation import SimulatedStack, render_random_sweep
from focdepth_ros.stack import FocalStack, Slice
from focdepth_ros.stack_folder.saving import save_stack


class _Page(HTMLParser):
    """What the page fetches, and the cells of its tables by the name of the row."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.unnamed = 0
        self.rows: list[list[str]] = []
        self._in_cell = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        self.unnamed += tag == "img" and not given.get("alt")
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in ("td", "th") or (self._in_cell and tag == "small")
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._in_cell and self.rows:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def value(self, name: str) -> str:
        return next(row[1] for row in self.rows if row[0].split()[:1] == name.split()[:1])

    def pictures(self) -> list[np.ndarray]:
        start = "data:image/jpeg;base64,"
        assert all(source.startswith(start) for source in self.sources)
        packed = [base64.b64decode(source.removeprefix(start)) for source in self.sources]
        return [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in packed]


@pytest.fixture(scope="module")
def sweep() -> SimulatedStack:
    return render_random_sweep(3, slices=4, width=96, height=72)


def depth_of(stack: FocalStack) -> DepthEstimate:
    return DepthPipeline(ArgmaxBackend(), min_confidence=0.15).estimate(stack)


def test_it_holds_everything_and_fetches_nothing(sweep: SimulatedStack, tmp_path: Path) -> None:
    estimate = replace(depth_of(sweep.stack), warnings=("the lamp <b>flickered</b>",))
    metrics = depth_metrics(estimate.depth, sweep.depth)
    path = tmp_path / "page.html"
    settings = {"backend": "auto", "alignment": {"method": "ecc", "flow_path": ""}}
    write_stack_report(
        path, "A <i>stack</i>", sweep.stack, estimate,
        truth=sweep.depth, metrics=metrics, settings=settings, notes=("a note",),
    )  # fmt: skip
    text, page = path.read_text(encoding="utf-8"), _Page(path)
    assert "http" not in text
    assert "<i>stack" not in text
    assert "flickered" in text
    assert "<b>flickered" not in text
    assert "a note" in text
    pictures = page.pictures()
    assert page.unnamed == 0
    assert len(pictures) == 4
    sheet = picture_sheet(sweep.stack, estimate, truth=sweep.depth)
    assert sheet.shape in [picture.shape for picture in pictures]
    known = estimate.depth[np.isfinite(estimate.depth)]
    assert page.value("nearest") == f"{known.min():.3f}"
    assert page.value("median") == f"{np.median(known):.3f}"
    assert float(page.value("abs_rel")) == pytest.approx(metrics["abs_rel"], abs=1e-4)
    assert page.value("finish") == f"{estimate.timings['finish']:.3f}"
    assert page.value("alignment method") == "ecc"
    assert "flow_path" not in text
    answered = 100.0 * known.size / estimate.depth.size
    assert f"{answered:.1f} % of the pixels" in text


def test_the_shares_of_the_slices_are_those_of_the_answer(
    sweep: SimulatedStack, tmp_path: Path
) -> None:
    estimate = depth_of(sweep.stack)
    index = np.full(estimate.depth.shape, 2.0, np.float32)
    index[: index.shape[0] // 4] = 0.2
    estimate = replace(estimate, slice_index=index, depth=np.ones_like(index))
    path = tmp_path / "page.html"
    write_stack_report(path, "stack", sweep.stack, estimate)
    rows = [row for row in _Page(path).rows if row[0] in "1234"]
    assert [row[0] for row in rows] == list("1234")
    assert [row[3] for row in rows] == ["25.0 %", "0.0 %", "75.0 %", "0.0 %"]
    assert rows[0][1] == "0.4 m"


def test_without_distances_nothing_is_in_metres(sweep: SimulatedStack, tmp_path: Path) -> None:
    stack = FocalStack([Slice(item.image, None) for item in sweep.stack.slices])
    path = tmp_path / "page.html"
    write_stack_report(path, "stack", stack, depth_of(stack), truth=sweep.depth)
    text = path.read_text(encoding="utf-8")
    assert "no metres" in text
    assert "slice, from 0" in text
    assert "focused at" not in text
    assert "ground truth</caption>" not in text


def test_where_nothing_is_known_that_is_said(sweep: SimulatedStack, tmp_path: Path) -> None:
    estimate = depth_of(sweep.stack)
    estimate = replace(estimate, depth=np.full_like(estimate.depth, np.nan))
    path = tmp_path / "page.html"
    write_stack_report(path, "stack", sweep.stack, estimate)
    text = path.read_text(encoding="utf-8")
    assert "0.0 % of the pixels" in text
    assert "Nothing is known well enough" in text


def test_the_command_writes_it(
    sweep: SimulatedStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_stack(tmp_path / "shelf", sweep.stack, depth=sweep.depth)
    report = tmp_path / "new" / "page.html"
    options = ("-b", "argmax", "--min-confidence", "0.15", "-o", tmp_path / "out")
    assert run("estimate", tmp_path / "shelf", *options, "--report", report) == 0
    out = capsys.readouterr().out
    assert f"report: {report}" in out
    told = re.search(r"abs_rel ([\d.]+)", out)
    assert told
    page = _Page(report)
    assert float(page.value("abs_rel")) == pytest.approx(float(told[1]), abs=1e-4)
    assert page.value("min_confidence") == "0.15"
    assert float(page.value("load")) > 0.0
    assert "<title>Depth of shelf</title>" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["shelf/slice_0.png", "page"])
def test_only_pages_are_written(
    name: str, sweep: SimulatedStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_stack(tmp_path / "shelf", sweep.stack)
    output = tmp_path / "out"
    assert run("estimate", tmp_path / "shelf", "-o", output, "--report", tmp_path / name) == 2
    assert "is no name of a page; let it end in .html" in capsys.readouterr().err
    assert not output.exists()


def test_without_jinja_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("focdepth_ros.libraries.REPORT_LIBRARIES", ("no_such_library",))
    assert run("estimate", tmp_path, "--report", tmp_path / "page.html") == 2
    error = capsys.readouterr().err
    assert f"no_such_library is not installed; {how_to_install('evaluation')}" in error
