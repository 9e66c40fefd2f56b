"""The command line with the backend `defocus`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import change, run

from focdepth_ros.image_io import read_image

QUICK = ("device=cpu", "depths=30", "epochs=2", "tolerance=0")
CHEAP = [part for setting in QUICK for part in ("--option", setting)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stacks") / "simulated"
    assert run("simulate", folder, "--seed", 5, "--slices", 5, "--size", "64x48") == 0
    return folder


def test_estimate_with_plots(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, plots = tmp_path / "out", tmp_path / "deep" / "plots"
    options = ("--backend", "defocus", "--output", output, "--save-plots", plots, *CHEAP)
    assert run("estimate", simulated, *options) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("defocus: depth of ")
    assert "epochs: 2 of 2, error (RMS) from " in captured.out
    assert f"plots written to {plots}" in captured.out
    assert {path.name for path in plots.iterdir()} == {"epoch_001.png", "epoch_002.png", "loss.png"}
    assert all(read_image(path).std() > 0.0 for path in plots.iterdir())
    result = json.loads((output / "result.json").read_text())
    assert result["backend"] == "defocus"
    assert result["settings"]["options"]["depths"] == 30
    assert result["metrics"]["coverage"] > 0.1
    depth = np.load(output / "depth.npy")
    assert 0.1 < np.isfinite(depth).mean() <= 1.0


def test_without_lens_a_simpler_backend_answers_and_it_is_said(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    assert run("simulate", bare, "--seed", 5, "--slices", 5, "--size", "64x48") == 0
    change(bare, "lens")
    options = ("--backend", "defocus", "--output", tmp_path / "out", *CHEAP)
    assert run("estimate", bare, *options) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].startswith("graph_cut: depth of ")
    assert "epochs:" not in captured.out
    assert "warning: backend 'defocus' failed: it needs the lens (focal_length" in captured.err


def test_plots_are_of_this_backend_alone(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plots = tmp_path / "plots"
    assert run("estimate", simulated, "--backend", "argmax", "--save-plots", plots) == 2
    assert "epochs of the backend defocus, not of 'argmax'" in capsys.readouterr().err
    assert not plots.exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("settings=nyu", "no defocus settings 'nyu'; give one of make3d, mobile_depth, nyu_dep"),
        ("window=4", "'window' is 4"),
        ("near=2", None),
        ("epochs=0", "'epochs' is 0; it must be in [1, 1000]"),
    ],
)
def test_settings_that_cannot_be(
    simulated: Path,
    tmp_path: Path,
    setting: str,
    words: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--backend", "defocus", "--output", tmp_path / "out", "--option", setting)
    if words is None:  # only the sweep tells that nothing is left
        assert run("estimate", simulated, *options, "--option", "far=3") == 0
        assert "but no focus distance" in capsys.readouterr().err
    else:
        assert run("estimate", simulated, *options) == 2
        assert words in capsys.readouterr().err


def test_evaluate(simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--dataset", "stack_folders", "--path", simulated.parent, "--no-pictures")
    options = [part for setting in QUICK for part in ("--option", f"defocus.{setting}")]
    asked = ("--backend", "defocus", *options, "--output", tmp_path / "out")
    assert run("evaluate", *where, *asked) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "defocus" in json.dumps(summary)
    assert "defocus" in capsys.readouterr().out
    assert run("evaluate", *where, "--output", tmp_path / "unasked") == 0
    assert "defocus" not in capsys.readouterr().out
