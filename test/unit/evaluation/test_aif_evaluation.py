"""`focdepth evaluate --aif`: all-in-focus images measured in full, with and without depth."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import run

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation import fusion_metrics as fm
from focdepth_ros.evaluation.fusion_pictures import cut_outs
from focdepth_ros.evaluation.fusion_scores import FUSION_FIGURES, fusion_figures
from focdepth_ros.evaluation.niqe import niqe
from focdepth_ros.evaluation.scores import FIGURES, score_estimate
from focdepth_ros.files.image_io import write_image
from focdepth_ros.libraries import how_to_install
from focdepth_ros.simulation import render_random_sweep
from focdepth_ros.stack_folder.reading import load_stack

pytest.importorskip("jinja2")
pytest.importorskip("skimage")
pytest.importorskip("sewar")

OF_SLICES = FUSION_FIGURES[3:]
BACKENDS = ("graph_cut", "argmax")


@pytest.fixture(scope="module")
def fusion_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two relative stacks with the sharp picture and without depth, as fusion folders."""
    root = tmp_path_factory.mktemp("fusion")
    for scene in ("one", "two"):
        rendered = render_random_sweep(len(scene) + ord(scene[0]), slices=4, width=192, height=144)
        (root / "dof_stack" / scene).mkdir(parents=True)
        for number, item in enumerate(rendered.stack.slices):
            write_image(root / "dof_stack" / scene / f"{number}.png", item.image)
        (root / "AiF").mkdir(exist_ok=True)
        write_image(root / "AiF" / f"{scene}.png", rendered.all_in_focus)
    return root


@pytest.fixture(scope="module")
def simulated_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated stack with depth and sharp picture, and one with depth alone."""
    root = tmp_path_factory.mktemp("simulated")
    for name, seed in (("both", 1), ("depth", 2)):
        options = ("--seed", seed, "--slices", 4, "--size", "192x144")
        assert run("simulate", root / name, *options) == 0
    (root / "depth" / "all_in_focus.png").unlink()
    description = root / "depth" / "stack.yaml"
    kept = [line for line in description.read_text().splitlines() if "all_in_focus" not in line]
    description.write_text("\n".join(kept) + "\n")
    return root


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "scenes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def evaluate(dataset: str, root: Path, output: Path, *options: object) -> int:
    fixed = ("-p", root, "-o", output, "--align", "none")
    backends = [word for name in BACKENDS for word in ("-b", name)]
    return run("evaluate", "-d", dataset, *fixed, *backends, *options)


def test_stacks_without_depth_are_measured_and_shown(
    fusion_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("fusion_folders", fusion_root, tmp_path, "--aif") == 0
    out = capsys.readouterr().out
    heads = next(line for line in out.splitlines() if "psnr" in line).split()
    assert heads == ["backend", "scenes", "psnr", "ssim", "vif", "niqe", "q_abf", "MI", "scd"]

    rows = rows_of(tmp_path)
    assert [(row["scene"], row["backend"]) for row in rows[:2]] == [
        ("one", "graph_cut"),
        ("one", "argmax"),
    ]
    for row in rows:
        stack = load_stack(fusion_root / "dof_stack" / row["scene"])
        fused = create_backend(row["backend"]).estimate(stack).all_in_focus
        truth = cv2.imread(str(fusion_root / "AiF" / f"{row['scene']}.png"))[..., ::-1]
        slices = [item.image for item in stack.slices]
        assert fused is not None
        expected = {
            "psnr": fm.psnr(fused, truth),
            "ssim": fm.ssim(fused, truth),
            "vif": fm.vif(fused, truth),
            "niqe": niqe(fused),
            "q_abf": fm.q_abf(fused, slices),
            "mutual_information": fm.mutual_information(fused, slices),
            "scd": fm.scd(fused, slices),
        }
        assert {name: float(row[name]) for name in expected} == pytest.approx(expected)
        assert row["abs_rel"] == "nan"
        assert row["error"] == ""
    summary = json.loads((tmp_path / "summary.json").read_text())
    (mean, _) = summary["backends"]
    cut = [float(row["vif"]) for row in rows if row["backend"] == "graph_cut"]
    assert mean["vif"] == pytest.approx(sum(cut) / 2)
    assert mean["abs_rel"] is None
    assert summary["aif"] is True

    # The page: tables of their own, and parts of the images beside the truth.
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "depth and all-in-focus images against the truth" in text
    assert "<caption>All-in-focus images</caption>" in text
    for name in ("psnr", "niqe", "Q^AB/F", "MI", "SCD"):
        assert text.count(f"<th>{name}") == 2, name  # means, and head of the scenes
    assert "32 grey levels" in text
    assert "<polyline" not in text  # no depth, no curve
    files = {path.name for path in (tmp_path / "pictures").rglob("*.jpg")}
    backends = {
        f"{b}-{what}.jpg" for b in ("graph_cut", "argmax") for what in ("fused", "difference")
    }
    assert files == {"image.jpg", "sharp.jpg"} | backends
    assert text.count('src="data:image/jpeg') == 2 * (1 + 1 + 4)


def test_a_dataset_that_fails_as_a_whole_leaves_the_report_of_the_others(
    fusion_root: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(fusion_root, tmp_path / "broken"))
    for image in (broken / "dof_stack").rglob("*.png"):
        image.write_bytes(b"junk")
    output = tmp_path / "out"
    further = ("-d", "fusion_folders", "-p", broken, "--aif")
    assert evaluate("fusion_folders", fusion_root, output, *further) == 1
    means = json.loads((output / "summary.json").read_text())["backends"]
    assert all(mean["scenes"] == 2 and mean["failed"] == 2 for mean in means)
    assert all(mean["psnr"] > 20.0 for mean in means)
    text = (output / "report.html").read_text(encoding="utf-8")
    assert "<caption>All-in-focus images</caption>" in text


def test_without_a_true_image_there_is_what_needs_none(
    simulated_root: Path, tmp_path: Path
) -> None:
    assert evaluate("stack_folders", simulated_root, tmp_path, "--aif") == 0
    rows = {row["scene"]: row for row in rows_of(tmp_path)}
    assert all(math.isfinite(float(rows["both"][name])) for name in (*FUSION_FIGURES, "abs_rel"))
    assert [rows["depth"][name] for name in ("psnr", "ssim", "vif")] == ["nan"] * 3
    assert all(math.isfinite(float(rows["depth"][name])) for name in (*OF_SLICES, "abs_rel"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("<polyline") == 2
    # Depth as ever; psnr and ssim are in the tables of the images alone.
    assert text.count("<th>psnr") == 2


def test_without_the_option_all_is_as_it_was(
    simulated_root: Path, fusion_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("stack_folders", simulated_root, tmp_path / "a") == 0
    (row, *_) = rows_of(tmp_path / "a")
    plain = ["seconds", "finish_seconds", "slices", "height", "width", "error"]
    assert list(row) == ["dataset", "scene", "backend", *FIGURES, *plain]
    assert set(json.loads((tmp_path / "a/settings.json").read_text())) == {
        "datasets", "scenes_of_each", "backends", "align", "min_confidence",
    }  # fmt: skip
    assert "psnr" not in capsys.readouterr().out
    text = (tmp_path / "a/report.html").read_text(encoding="utf-8")
    assert "niqe" not in text
    assert "All-in-focus" not in text
    assert text.count("<th>psnr") == 2  # among the measures of depth, and of the scenes
    assert evaluate("fusion_folders", fusion_root, tmp_path / "b") == 1
    assert "its depth is not known" in capsys.readouterr().err


def test_an_evaluation_with_it_goes_on_with_it_only(
    fusion_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("fusion_folders", fusion_root, tmp_path, "--aif", "--scenes", 1) == 0
    assert evaluate("fusion_folders", fusion_root, tmp_path, "--scenes", 1, "--resume") == 2
    assert "has scores with aif True, now it is None" in capsys.readouterr().err
    before = rows_of(tmp_path)
    assert (
        evaluate("fusion_folders", fusion_root, tmp_path, "--aif", "--scenes", 1, "--resume") == 0
    )
    assert rows_of(tmp_path) == before


@pytest.mark.slow
def test_workers_measure_the_same(fusion_root: Path, tmp_path: Path) -> None:
    assert evaluate("fusion_folders", fusion_root, tmp_path / "1", "--aif") == 0
    assert evaluate("fusion_folders", fusion_root, tmp_path / "2", "--aif", "--workers", 2) == 0
    one, two = (
        [[row[name] for name in FUSION_FIGURES] for row in rows_of(tmp_path / name)]
        for name in "12"
    )
    assert one == two


def test_missing_libraries_are_named_before_the_work_begins(
    fusion_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("focdepth_ros.evaluation.fusion_scores._LIBRARIES", ("skimage", "no_such"))
    assert evaluate("fusion_folders", fusion_root, tmp_path / "out", "--aif") == 2
    words = f"no_such is not installed; {how_to_install('evaluation')}"
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(EvaluationError, match="no_such is not installed"):
        fusion_figures(None, [], None)


def test_a_backend_without_such_an_image_is_scored_by_its_depth(simulated_root: Path) -> None:
    stack = load_stack(simulated_root / "both")
    depth = np.load(simulated_root / "both" / "depth.npy")
    estimate = replace(create_backend("argmax").estimate(stack), all_in_focus=None)
    sample = LabelledStack("both", stack, depth)
    score = score_estimate(sample, "argmax", estimate, seconds=1.0, finish_seconds=0.5, aif=True)
    assert score.figures["abs_rel"] > 0.0
    assert all(math.isnan(score.figures[name]) for name in FUSION_FIGURES)
    assert score.warnings[-1] == "it gave no all-in-focus image"


def test_grey_slices_are_measured_like_grey_colours(simulated_root: Path) -> None:
    stack = load_stack(simulated_root / "both")
    grey = [cv2.cvtColor(item.image, cv2.COLOR_RGB2GRAY) for item in stack.slices]
    colour = [np.repeat(image[..., None], 3, axis=2) for image in grey]
    truth = colour[1]
    assert fusion_figures(colour[0], grey, truth) == fusion_figures(colour[0], colour, truth)
    with pytest.raises(EvaluationError, match="images of shapes"):
        fusion_figures(colour[0], [image[:-1] for image in grey], None)


def test_parts_are_where_backends_are_furthest_from_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 200, (300, 400, 3), dtype=np.uint8)
    good, bad = truth.copy(), truth.copy()
    bad[150:278, 200:328] += 32
    parts = cut_outs({"good": good, "bad": bad}, truth)
    part = truth[150:278, 200:328].repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(parts["sharp", ""], part)
    np.testing.assert_array_equal(parts["fused", "good"], part)
    (colour,) = np.unique(parts["difference", "bad"].reshape(-1, 3), axis=0)
    (other,) = np.unique(parts["difference", "good"].reshape(-1, 3), axis=0)
    assert (colour != other).any()
    assert cut_outs({}, truth) == {}


def test_parts_without_a_truth_are_where_most_detail_is() -> None:
    image = np.full((300, 400, 3), 90, np.uint8)
    detail = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    image[20:148, 30:158] = detail
    parts = cut_outs({"x": image}, None)
    assert list(parts) == [("fused", "x")]
    assert (parts["fused", "x"][8:-8, 8:-8] != 90).mean() > 0.9
    small = cut_outs({"x": image[:50, :60]}, None)
    assert small["fused", "x"].shape == (100, 120, 3)
