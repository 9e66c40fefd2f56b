"""StackMFF-V2 goes through the same loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import (
    assert_identical,
    checkpoint,
    from_pool,
    held_out,
    silent,
    small_config,
    stopping_after,
    write_pool,
)

from focdepth_ros.errors import TrainingConfigError, TrainingError
from focdepth_ros.models.checkpoint import load_weights
from focdepth_ros.models.stackmff_v2.model import StackMffV2
from focdepth_ros.training.config import TrainingConfig, load_training_config
from focdepth_ros.training.loop import train

CONFIGS = Path(__file__).parents[3] / "config" / "train"
MODEL = {
    "architecture": "stackmff_v2",
    "preset": "guided",
    "options": {"guide_channels": 8, "decoder_channels": 8},
}


def config(output: Path, **sections: Any) -> TrainingConfig:
    return small_config(output, model=MODEL, **sections)


def test_it_learns_from_a_pool_and_is_validated(tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool")
    said: list[str] = []
    settings = config(
        tmp_path / "run",
        data=from_pool(pool),
        validation=held_out(pool),
        run={"debug_batch_shape": []},
    )
    result = train(settings, say=said.append)
    assert result.finished
    network = load_weights(tmp_path / "run" / "weights.safetensors")
    assert isinstance(network, StackMffV2)
    assert network.config == settings.model.network()
    assert any("validation: abs_rel" in line for line in said)
    assert said[0].startswith("stackmff_v2 guided: ")


def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    train(config(tmp_path / "whole"), say=silent)
    stopped = train(config(tmp_path / "parts"), say=silent, bar=stopping_after(0.5))
    assert not stopped.finished
    train(config(tmp_path / "parts"), resume=True, say=silent)
    for part in ("network", "average", "optimiser"):
        assert_identical(
            checkpoint(tmp_path / "whole")[part], checkpoint(tmp_path / "parts")[part], part
        )


def test_the_published_network_learns_too(tmp_path: Path) -> None:
    model = {"architecture": "stackmff_v2", "preset": "published", "options": {}}
    result = train(small_config(tmp_path / "run", model=model), say=silent)
    assert result.finished
    before = StackMffV2(load_weights(tmp_path / "run" / "weights.safetensors").config)  # type: ignore[arg-type]
    after = checkpoint(tmp_path / "run")["network"]
    assert not torch.equal(before.backward.gates.weight, after["backward.gates.weight"])


def test_it_does_not_go_on_as_another_network(tmp_path: Path) -> None:
    train(config(tmp_path), say=silent)
    with pytest.raises(TrainingError, match="model"):
        train(small_config(tmp_path), resume=True, say=silent)


def test_what_it_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(TrainingConfigError, match="no transformer beside a guide"):
        config(tmp_path, schedule={"guide_share": 0.5})
    with pytest.raises(TrainingConfigError, match="model: there is no preset 'tiny'"):
        small_config(tmp_path, model={"architecture": "stackmff_v2", "options": {}})
    with pytest.raises(TrainingConfigError, match="model: StackMFF-V2 has no option 'embed_dim'"):
        small_config(tmp_path, model={**MODEL, "options": {"embed_dim": 3}})


def test_the_shipped_configuration_can_be_read() -> None:
    read = load_training_config(CONFIGS / "stackmff_v2.yaml")
    assert read.model.network().focus_guide
