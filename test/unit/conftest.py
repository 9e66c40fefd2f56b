"""Fixtures of the tests of the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runs import SLICES, run


@pytest.fixture(autouse=True)
def _no_gpu_for_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that ``auto`` means the same on every machine; networks are tested in test/torch."""
    reason = "left out in the unit tests"
    monkeypatch.setattr("focdepth_ros.backends.focdepthformer.cuda_missing_because", lambda: reason)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated stack with ground truth, written by the command itself; not to change."""
    folder = tmp_path_factory.mktemp("simulated")
    assert run("simulate", folder, "--seed", 5, "--slices", SLICES, "--size", "96x72") == 0
    return folder


@pytest.fixture
def stack_dir(simulated: Path, tmp_path: Path) -> Path:
    """The simulated stack, to change."""
    return Path(shutil.copytree(simulated, tmp_path / "stack"))
