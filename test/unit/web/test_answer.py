from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="the report of an answer needs Jinja2")

from focdepth_ros.errors import OptionError, RelativeStackError
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.stack import FocalStack, Slice
from focdepth_ros.stack_folder.reading import StackFolder
from focdepth_ros.web import snippets
from focdepth_ros.web.answer import Answer, Question, work_out
from focdepth_ros.web.scenes import SCENES, render_scene
from focdepth_ros.web.uploads import Upload

# Small pictures of few slices are answered with little confidence.
ARGMAX = Question(backend="argmax", alignment="none", min_confidence=0.15)


@pytest.fixture(scope="module")
def answer(small_sweep: SimulatedStack) -> Answer:
    return work_out(small_sweep.stack, small_sweep.depth, ARGMAX, lambda share, words: None)


@pytest.fixture(scope="module")
def relative(small_sweep: SimulatedStack) -> Answer:
    slices = [Slice(item.image, None) for item in small_sweep.stack.slices]
    return work_out(FocalStack(slices), None, ARGMAX, lambda share, words: None)


def test_progress_rises_and_tells_what_is_done(small_sweep: SimulatedStack) -> None:
    told: list[tuple[float, str]] = []
    work_out(small_sweep.stack, None, ARGMAX, lambda share, words: told.append((share, words)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert 0.0 < shares[0] < shares[-1] <= 1.0
    assert told[0][1] == "Slice 1 of 4"
    assert told[-1][1] == "Depth by argmax"


def test_progress_can_stop_the_work(small_sweep: SimulatedStack) -> None:
    def refuse(share: float, words: str) -> None:
        raise OptionError("no more")

    with pytest.raises(OptionError, match="no more"):
        work_out(small_sweep.stack, None, ARGMAX, refuse)


def test_is_compared_with_the_truth(answer: Answer, relative: Answer) -> None:
    assert 0.0 < answer.metrics["abs_rel"] < 0.5
    assert "% of the true depth" in snippets.summary(answer)
    assert relative.metrics == {}


def test_a_click_reads_what_is_in_the_file(answer: Answer, tmp_path: Path) -> None:
    files = answer.write_files(tmp_path)
    depth, confidence = np.load(files["depth.npy"]), np.load(tmp_path / "confidence.npy")
    for y, x in ((0, 0), (71, 95), *np.argwhere(np.isfinite(depth))[::500]):
        found = answer.read(int(x), int(y))
        np.testing.assert_equal(np.float32(found.depth), depth[y, x])
        assert np.float32(found.confidence) == confidence[y, x]
    assert answer.read(1000, -5).confidence == answer.read(95, 0).confidence


def test_everything_is_in_one_file(answer: Answer, tmp_path: Path) -> None:
    files = answer.write_files(tmp_path)
    with zipfile.ZipFile(files["everything.zip"]) as packed:
        assert packed.testzip() is None
        names = set(packed.namelist())
        result = json.loads(packed.read("result.json"))
        page = packed.read("report.html").decode("utf-8")
    wanted = {"depth.npy", "depth.png", "cloud.ply", "all_in_focus.png", "overview.jpg"}
    assert wanted <= names
    assert page == files["report.html"].read_text(encoding="utf-8")
    assert "Against the ground truth" in page
    assert "argmax" in page
    assert result["metrics"]["abs_rel"] == pytest.approx(answer.metrics["abs_rel"])


def test_relative_stacks_have_no_metres(relative: Answer, tmp_path: Path) -> None:
    files = relative.write_files(tmp_path)
    assert "depth.npy" in files
    assert not {"depth.png", "cloud.ply"} & files.keys()
    assert "no metres" in snippets.summary(relative)
    assert " m<" not in snippets.depth_bar(relative)
    assert "near)" in snippets.depth_bar(relative)
    with pytest.raises(RelativeStackError):
        _ = relative.cloud
    assert "No 3-D view: the stack is relative" in snippets.cloud(relative, "key")
    known = np.argwhere(np.isfinite(relative.estimate.depth))[0]
    y, x = map(int, known)
    assert "slice" in snippets.reading(relative, x, y, relative.read(x, y))


def test_the_bar_goes_from_near_to_far_evenly_in_dioptres(answer: Answer) -> None:
    near, far = answer.depth_limits
    middle = 2.0 / (1.0 / near + 1.0 / far)
    bar = snippets.depth_bar(answer)
    places = [bar.index(f"{value:.2f} m") for value in (near, middle, far)]
    assert places == sorted(places)


def test_a_view_is_assumed_where_none_is_known(small_sweep: SimulatedStack, tmp_path: Path) -> None:
    stack = FocalStack(small_sweep.stack.slices)
    answer = work_out(stack, None, ARGMAX, lambda share, words: None)
    assert answer.view_assumed
    assert "sees 60 degrees across" in snippets.summary(answer)
    assert "Assumed field of view: 60°" in snippets.cloud(answer, "key")
    assert answer.cloud.half_width == pytest.approx(np.tan(np.radians(30.0)), rel=0.1)
    asked = Question(backend="argmax", alignment="none", min_confidence=0.15, degrees=90.0)
    wide = work_out(stack, None, asked, lambda share, words: None)
    assert wide.cloud.half_width == pytest.approx(1.0, rel=0.1)
    settings = json.loads(wide.write_files(tmp_path)["result.json"].read_text())["settings"]
    assert settings["assumed field of view [°]"] == 90.0
    assert "sees 90 degrees across" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_where_nothing_is_known_that_is_said(small_sweep: SimulatedStack, tmp_path: Path) -> None:
    image = np.zeros((48, 64, 3), np.uint8) + np.arange(100, 164, dtype=np.uint8)[:, np.newaxis]
    flat = FocalStack([Slice(image, d) for d in (0.5, 1.0, 2.0)])
    sure = Question("argmax", "none", min_confidence=1.0)
    answer = work_out(flat, None, sure, lambda share, words: None)
    assert np.isnan(answer.estimate.depth).all()
    assert "0 % of" in snippets.summary(answer)
    assert "No 3-D view" in snippets.cloud(answer, "key")
    assert "depth not known" in snippets.reading(answer, 3, 4, answer.read(3, 4))
    assert "report.html" in answer.write_files(tmp_path)
    snippets.depth_bar(answer)


def test_texts_of_others_are_escaped(answer: Answer) -> None:
    text = "<script>alert(1)</script>"
    upload = Upload(StackFolder(Path("upload"), (Path(text), Path(text))), (text,))
    for shown in (snippets.problem(text), snippets.note(text), snippets.upload_summary(upload)):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown


def test_what_is_wrong_is_a_sentence_and_names_of_files_stay() -> None:
    assert ">No images; give some.<" in snippets.problem("no images; give some")
    assert ">a.zip: is damaged.<" in snippets.problem("a.zip: is damaged.")


def test_many_files_that_are_left_out_are_counted() -> None:
    names = tuple(f"{number}.txt" for number in range(9))
    shown = snippets.upload_summary(Upload(StackFolder(Path("upload"), ()), names))
    assert "0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt and 3 more." in shown


def test_a_mark_shows_and_leaves_the_picture_alone(answer: Answer) -> None:
    picture, factor = answer.depth_picture(), answer.enlargement
    shown = answer.on_screen(picture)
    assert shown.shape[1] == factor * 96 >= 800
    assert np.array_equal(shown[::factor, ::factor], picture)
    ring = np.argwhere((answer.on_screen(picture, (50, 30)) != shown).any(axis=-1))
    middle = factor * (np.array((30, 50)) + 0.5)
    np.testing.assert_allclose((ring.min(axis=0) + ring.max(axis=0)) / 2, middle, atol=1)
    assert np.abs(ring - middle).max() < 2 * factor
    assert len(ring) > 10


def test_rendering_tells_how_far_it_is_and_can_be_stopped() -> None:
    title, shares = next(iter(SCENES)), list[float]()
    render_scene(title, width=72, height=48, progress=shares.append)
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    def refuse(share: float) -> None:
        raise OptionError(f"no more at {share:.2f}")

    with pytest.raises(OptionError, match=f"no more at {shares[0]:.2f}"):
        render_scene(title, width=80, height=48, progress=refuse)


def test_scenes_are_rendered_once_and_their_truth_is_known() -> None:
    title = next(iter(SCENES))
    stack, depth = render_scene(title, width=64, height=48)
    assert render_scene(title, width=64, height=48)[0] is stack
    assert stack.size == depth.shape == (48, 64)
    shaken, _ = render_scene(title, hand_held=True, width=64, height=48)
    assert not np.array_equal(shaken.slices[-1].image, stack.slices[-1].image)
    with pytest.raises(OptionError, match="there is no scene 'Nowhere'"):
        render_scene("Nowhere")
