"""What a checkpoint is made of and made into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric.plugins import Precision
from small_runs import checkpoint, small_config

from focdepth_ros.errors import WeightsError
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.models.weights_index import find_weights
from focdepth_ros.training.engine import create_fabric
from focdepth_ros.training.run_state import WEIGHTS_NAME
from focdepth_ros.training.trainee import Trainee


def trainee(folder: Path, saved: dict[str, Any] | None = None) -> Trainee:
    config = small_config(folder)
    return Trainee(config, create_fabric(config.run), saved)


def test_a_network_with_nan_is_not_saved_over_a_good_checkpoint(tmp_path: Path) -> None:
    made = trainee(tmp_path)
    made.save(tmp_path)
    good = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(good) == ["checkpoint.pt", "weights.safetensors"]
    made.progress.step = 1
    with torch.no_grad():
        next(made.network.parameters()).fill_(torch.nan)
    made.update_average()
    with pytest.raises(WeightsError, match="has NaN"):
        made.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == good


def test_a_segmentation_begins_anew_on_weights_that_have_none(tmp_path: Path) -> None:
    before = trainee(tmp_path)
    before.save(tmp_path)
    config = small_config(tmp_path)
    options = {**config.model.options, "segmentation_classes": 3}
    model = replace(config.model, weights=str(tmp_path / WEIGHTS_NAME), options=options)
    config = replace(config, model=model)
    network = Trainee(config, create_fabric(config.run), None).network
    kept = before.average.state_dict()
    new = {name for name in network.state_dict() if name not in kept}
    assert new == {"refine.labels.weight", "refine.labels.bias"}
    for name, tensor in kept.items():
        torch.testing.assert_close(network.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_training_can_start_from_shipped_weights_by_their_name(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    model = replace(config.model, weights="focdepthformer_tiny", options={})
    network = Trainee(replace(config, model=model), create_fabric(config.run), None).network
    shipped = read_weights(find_weights("focdepthformer_tiny").path).tensors
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, shipped[name], check_dtype=False)


def test_the_scaling_of_fp16_begins_anew_after_a_precision_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainee(tmp_path).save(tmp_path)
    loaded = []
    monkeypatch.setattr(Precision, "load_state_dict", lambda self, state: loaded.append(state))
    saved = checkpoint(tmp_path)
    trainee(tmp_path, saved)
    assert loaded == []  # what is empty is an error to the scaling of fp16
    trainee(tmp_path, {**saved, "precision": {"scale": 2.0}})
    assert loaded == [{"scale": 2.0}]
