"""Weights as files: the same network comes back, and whatever else is there is refused by name."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_network import noise_sweep, small_network
from torch import Tensor, nn

from focdepth_ros.errors import WeightsError
from focdepth_ros.models.checkpoint import load_weights, read_weights, save_weights
from focdepth_ros.models.focdepthformer.model import FocDepthFormer


@pytest.fixture
def network() -> FocDepthFormer:
    return small_network()


@pytest.fixture
def path(network: FocDepthFormer, tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, network, {"steps": "12"})
    return path


def rewrite(path: Path, *, tensors: dict[str, Tensor | None] | None = None, **header: Any) -> None:
    """Change tensors (None: leave out) and metadata of a file of weights."""
    stored = read_weights(path)
    every = {**load_file(path), **(tensors or {})}
    metadata = {
        "focdepth_ros_weights": "1",
        "architecture": stored.architecture,
        "config": json.dumps(stored.config),
        **header,
    }
    save_file(
        {name: tensor for name, tensor in every.items() if tensor is not None},
        path,
        {name: text for name, text in metadata.items() if text is not None},
    )


@pytest.mark.parametrize("half", [True, False])
def test_the_same_network_comes_back(network: FocDepthFormer, tmp_path: Path, half: bool) -> None:
    path = tmp_path / "new" / "w.safetensors"
    save_weights(path, network, half=half)
    loaded = load_weights(path)
    assert isinstance(loaded, FocDepthFormer)
    assert loaded.config == network.config
    assert not loaded.training
    weights = dict(network.named_parameters())
    for name, tensor in loaded.state_dict().items():
        original = network.state_dict()[name]
        assert tensor.dtype == original.dtype
        expected = original.half().float() if half and name in weights else original
        assert torch.equal(tensor, expected), name
    with torch.inference_mode():
        found, expected = (it(*noise_sweep(2)).position for it in (loaded, network))
    # Where weights lie in memory settles in which order some releases of torch add up.
    torch.testing.assert_close(found, expected, atol=0.05 if half else 1e-6, rtol=0.0)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_half_the_size_and_nothing_downloaded(network: FocDepthFormer, tmp_path: Path) -> None:
    count = sum(parameter.numel() for parameter in network.parameters())
    save_weights(tmp_path / "half.safetensors", network)
    assert (tmp_path / "half.safetensors").stat().st_size < 2 * count + 50_000
    assert read_weights(tmp_path / "half.safetensors").config["pretrained"] is False


def test_the_same_network_gives_the_same_file(network: FocDepthFormer, tmp_path: Path) -> None:
    facts = {f"fact {number}": "ü" * number for number in range(20)}
    contents = set()
    for order in (1, -1, 1, -1):
        path = tmp_path / "again.safetensors"
        save_weights(path, network, dict(list(facts.items())[::order]))
        contents.add(path.read_bytes())
    assert len(contents) == 1
    assert read_weights(path).metadata == facts


def test_facts_are_kept_and_may_not_take_our_names(network: FocDepthFormer, path: Path) -> None:
    stored = read_weights(path)
    assert stored.metadata == {"steps": "12"}
    assert stored.architecture == "focdepthformer"
    with pytest.raises(WeightsError, match="has config; choose other names"):
        save_weights(path, network, {"config": "mine"})


def test_what_cannot_be_written_leaves_the_old_file(network: FocDepthFormer, path: Path) -> None:
    before = path.read_bytes()
    weight = network.lstm.project_in.weight
    with torch.no_grad():
        weight[0, 0] = 1e6
    with pytest.raises(
        WeightsError, match=r"lstm.project_in.weight for .* up to 1e\+06, too large"
    ):
        save_weights(path, network)
    with torch.no_grad():
        weight[0, 0] = torch.nan
    with pytest.raises(WeightsError, match="lstm.project_in.weight for .* NaN or infinite"):
        save_weights(path, network, half=False)
    with pytest.raises(WeightsError, match="Linear cannot be written; .* focdepthformer"):
        save_weights(path, nn.Linear(1, 1))
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_checksum(path: Path) -> None:
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    load_weights(path, sha256=right)
    with pytest.raises(WeightsError, match=f"sha256 is {right}, it should be {'0' * 64}; install"):
        load_weights(path, sha256="0" * 64)


def test_files_that_are_no_weights(path: Path, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match="no weights at .*absent.safetensors; `focdepth weights`"
    ):
        load_weights(tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match="cannot be read: Is a directory"):
        load_weights(tmp_path)
    content = path.read_bytes()
    for spoilt in (b"", b"PK\x03\x04 pickle", content[:50], content[:-100], content + b"more"):
        path.write_bytes(spoilt)
        with pytest.raises(WeightsError, match="is not a whole safetensors file"):
            load_weights(path)
    path.write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(WeightsError, match="is not a whole safetensors file"):
        load_weights(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"focdepth_ros_weights": None}, "without the configuration of their network"),
        ({"config": None}, "without the configuration of their network"),
        ({"focdepth_ros_weights": "2"}, "format 2 of a newer version; this one reads 1"),
        ({"architecture": "stackmff"}, "a network 'stackmff', which this version does not know"),
        ({"config": "{"}, "a configuration that is no JSON"),
        ({"config": "[3]"}, r"a configuration that is \[3\]; it must be a mapping"),
        ({"config": '{"lstm_width": 3}'}, "has no option 'lstm_width'"),
        ({"config": '{"lstm_layers": "two"}'}, "'lstm_layers' is 'two'; it must be of type int"),
    ],
)
def test_configurations_that_cannot_be_used(path: Path, header: Any, words: str) -> None:
    rewrite(path, **header)
    with pytest.raises(WeightsError, match=words):
        load_weights(path)


def test_a_foreign_checkpoint(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="without the configuration of their network"):
        load_weights(path)


def test_missing_unknown_and_misshapen_weights_are_listed(path: Path) -> None:
    changed: dict[str, Tensor | None] = {f"extra.{number}": torch.zeros(1) for number in range(11)}
    changed |= {"lstm.project_in.bias": None, "lstm.project_out.bias": torch.zeros(3)}
    rewrite(path, tensors=changed)
    with pytest.raises(WeightsError) as raised:
        load_weights(path)
    message = str(raised.value)
    assert "missing: lstm.project_in.bias;" in message
    assert "not known: extra.0, extra.1, extra.10," in message
    assert " and 3 more;" in message
    assert "of another shape: lstm.project_out.bias (3,) instead of (32,)" in message


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite(path: Path, value: float) -> None:
    rewrite(path, tensors={"lstm.project_in.bias": torch.full((24,), value)})
    with pytest.raises(WeightsError, match="NaN or infinite weights: lstm.project_in.bias"):
        load_weights(path)


def test_another_network_than_the_one_that_is_needed(path: Path) -> None:
    with pytest.raises(WeightsError, match="'focdepthformer', those of a Linear are needed"):
        read_weights(path).network_as(nn.Linear)
