"""``focdepth train`` from the outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_runs import checkpoint, small_config

from focdepth_ros.cli import main
from focdepth_ros.libraries import how_to_install

DEBUG = Path(__file__).parents[3] / "config" / "train" / "debug.yaml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(small_config(tmp_path / "run").to_dict()))
    return path


def run(*arguments: object) -> int:
    return main(["train", *map(str, arguments)])


def test_trains_and_resumes(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = config.parent / "it's: else\\where é"
    assert run(config, "--steps", 2, "--output", output, "--set", "run.seed=3") == 0
    saved = checkpoint(output)
    assert (saved["step"], saved["config"]["run"]["seed"]) == (2, 3)
    assert f"step 2: finished; written to {output}" in capsys.readouterr().out
    assert run(config, "--steps", 3, "-o", output, "--set", "run.seed=3", "--resume") == 0
    assert checkpoint(output)["step"] == 3
    assert "changed since the checkpoint: schedule.steps: 2 -> 3" in capsys.readouterr().out


def test_the_debug_configuration_works(tmp_path: Path) -> None:
    assert run(DEBUG, "--steps", 1, "-o", tmp_path, "--set", "run.accelerator=cpu") == 0
    assert (tmp_path / "weights.safetensors").exists()


@pytest.mark.slow
def test_two_processes_share_their_gradients(config: Path) -> None:
    # Of AdamW the smallest difference in a gradient could turn the whole step.
    plain = ["--set", "optimiser.kind=sgd", "--set", "optimiser.lr=0.1"]
    command = [sys.executable, "-m", "focdepth_ros.cli", "train", config, *plain]
    command += ["--set", "run.devices=2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("step ")]
    assert len(lines) == 5
    assert run(config, *plain, "--output", config.parent / "alone") == 0
    two, one = (checkpoint(config.parent / name) for name in ("run", "alone"))
    assert (two["step"], one["step"]) == (4, 4)
    # Both had the same seed and data; what differs is what the other process has seen.
    differences = [
        float((value - one["network"][name]).abs().max())
        for name, value in two["network"].items()
        if "norm" not in name
    ]
    assert max(differences) > 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "run.sead=3"], "there is no run.sead (given as 3); known in run are: output"),
        (["--steps", "0"], "schedule.steps is 0; it must be in [1, inf]"),
        (["--resume"], "checkpoint.pt does not exist; start without --resume"),
        (["--set", "run.wandb=offline"], "run.wandb 'offline' needs the package wandb"),
    ],
)
def test_one_line_says_what_is_wrong(
    config: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert run(config, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none.yaml") == 2
    assert "none.yaml: No such file" in capsys.readouterr().err


def test_missing_packages_are_named(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("focdepth_ros.libraries.find_spec", lambda name: None)
    assert run(config) == 2
    error = capsys.readouterr().err
    assert "torch, timm, safetensors, lightning_fabric are not installed" in error
    assert how_to_install("training") in error
