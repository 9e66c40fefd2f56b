"""Trained weights become those that come with the package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from small_network import small_network

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.cli import main
from focdepth_ros.errors import WeightsError
from focdepth_ros.models import weights_index
from focdepth_ros.models.checkpoint import save_weights
from focdepth_ros.models.focdepthformer.config import preset
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.models.stackmff_v2.config import StackMffV2Config
from focdepth_ros.models.stackmff_v2.model import StackMffV2
from focdepth_ros.models.weights_index import VERIFIED, shipped_weights

SCRIPT = Path(__file__).parents[3] / "scripts" / "ship_weights.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ship_weights", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "index.yaml").write_text("# What this is.\n[]\n")
    return folder


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_weights(path, small_network(), {"steps": "3"})
    return path


def test_they_are_copied_and_written_down(script: ModuleType, folder: Path, trained: Path) -> None:
    for name in ("one", "two", "one"):
        script.ship(trained, name, f"the weights {name}", folder)
    entries = shipped_weights(folder)
    assert [entry.name for entry in entries] == ["one", "two"]
    for entry in entries:
        assert entry.state() == VERIFIED
        assert entry.size == entry.path.stat().st_size
        assert (entry.architecture, entry.preset) == ("focdepthformer", "custom")
        assert entry.summary == f"the weights {entry.name}"
    assert (folder / "index.yaml").read_text().startswith("# What this is.\n- name: one\n")


def test_the_preset_is_recognised(script: ModuleType, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    torch.manual_seed(0)
    save_weights(path, FocDepthFormer(preset("tiny")))
    assert script.ship(path, "tiny", "small", folder).preset == "tiny"
    save_weights(path, StackMffV2(StackMffV2Config()))
    entry = script.ship(path, "published", "small", folder)
    assert (entry.architecture, entry.preset) == ("stackmff_v2", "published")


def test_what_cannot_be_shipped(script: ModuleType, folder: Path, trained: Path) -> None:
    with pytest.raises(WeightsError, match="'../x' is not a name"):
        script.ship(trained, "../x", "bad", folder)
    trained.write_bytes(trained.read_bytes()[:-9])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        script.ship(trained, "x", "bad", folder)
    assert [path.name for path in folder.iterdir()] == ["index.yaml"]


def test_they_are_verified_and_used(
    script: ModuleType,
    folder: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = script.ship(trained, "one", "first", folder)
    monkeypatch.setattr(weights_index, "shipped_weights", lambda: shipped_weights(folder))
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out.startswith("one: verified, focdepthformer with 0.")
    assert main(["weights", "verify", str(trained)]) == 0
    assert create_backend("focdepthformer", device="cpu").name == "focdepthformer"

    entry.path.write_bytes(trained.read_bytes()[:-1] + b"x")
    assert main(["weights"]) == 0
    assert "damaged" in capsys.readouterr().out
    assert main(["weights", "verify", "one"]) == 2
    assert "are damaged or not those that were shipped" in capsys.readouterr().err
    with pytest.raises(WeightsError, match="are damaged or not those that were shipped"):
        create_backend("focdepthformer", device="cpu")
