"""What happens within the steps of a run, and what ends one."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import (
    NETWORK,
    checkpoint,
    from_pool,
    held_out,
    pool_source,
    silent,
    small_config,
    write_pool,
)

from focdepth_ros.errors import TrainingError, WeightsError
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.batch_stream import NoiseSource
from focdepth_ros.training.config import RunSettings
from focdepth_ros.training.engine import create_fabric
from focdepth_ros.training.loop import train


def test_a_loss_that_is_no_number_ends_the_run_without_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(prediction: Any, *others: Any) -> Any:
        return {"total": prediction.position.sum() * torch.nan}

    monkeypatch.setattr("focdepth_ros.training.engine.training_losses", losses)
    with pytest.raises(TrainingError, match="the loss is no number at step 0 \\(total nan"):
        train(small_config(tmp_path / "run"), say=silent)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.fixture
def fp16_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings of a run that takes itself for one of fp16."""

    def fabric(settings: RunSettings) -> Any:
        return create_fabric(replace(settings, precision="fp32"))

    monkeypatch.setattr("focdepth_ros.training.loop.create_fabric", fabric)
    return {"precision": "fp16"}


def test_a_loss_that_is_no_number_ends_a_run_of_fp16_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fp16_on_a_cpu: dict[str, str]
) -> None:
    def losses(prediction: Any, *others: Any) -> Any:
        return {"total": prediction.position.sum() * torch.nan}

    monkeypatch.setattr("focdepth_ros.training.engine.training_losses", losses)
    with pytest.raises(TrainingError, match="the loss is no number at step 0"):
        train(small_config(tmp_path / "run", run=fp16_on_a_cpu), say=silent)


def test_a_loss_that_is_no_number_is_found_in_any_of_the_batches_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fp16_on_a_cpu: dict[str, str]
) -> None:
    factors = itertools.chain([torch.nan], itertools.repeat(1.0))

    def losses(prediction: Any, *others: Any) -> Any:
        return {"total": prediction.position.sum() * next(factors)}

    monkeypatch.setattr("focdepth_ros.training.engine.training_losses", losses)
    config = small_config(tmp_path / "run", run={**fp16_on_a_cpu, "accumulate": 2})
    with pytest.raises(TrainingError, match="the loss is no number at step 0"):
        train(config, say=silent)


class EndlessSlope(torch.autograd.Function):
    """A loss of 1 whose gradient is infinite."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        context.shape = values.shape
        return torch.ones(())

    @staticmethod
    def backward(context: Any, slope: torch.Tensor) -> torch.Tensor:
        return torch.full(context.shape, torch.inf)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_only_fp16_bears_a_gradient_that_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fp16_on_a_cpu: dict[str, str], precision: str
) -> None:
    def losses(prediction: Any, *others: Any) -> Any:
        return {"total": EndlessSlope.apply(prediction.position)}

    monkeypatch.setattr("focdepth_ros.training.engine.training_losses", losses)
    # The scaling of fp16 leaves such a step out; here there is none, and nothing may be saved.
    ending = "gradient norm" if precision == "fp32" else "has NaN"
    config = small_config(tmp_path / "run", schedule={"steps": 1}, run={"precision": precision})
    with pytest.raises((TrainingError, WeightsError), match=ending):
        train(config, say=silent)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


class OneBatch(NoiseSource):
    """The same noise every time."""

    def batch(self, generator: torch.Generator, slices: int) -> TrainingBatch:
        return super().batch(torch.Generator().manual_seed(0), slices)


def test_two_batches_per_step_count_as_their_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("focdepth_ros.training.loop.NoiseSource", OneBatch)

    def trained(accumulate: int, lr: float = 0.1) -> dict[str, torch.Tensor]:
        config = small_config(
            tmp_path / f"{accumulate}_{lr}",
            optimiser={"kind": "sgd", "lr": lr, "backbone_lr": lr, "clip_norm": 0.0},
            schedule={"steps": 1, "warmup_steps": 0},
            run={"accumulate": accumulate},
        )
        network = FocDepthFormer(config.model.network())
        network.load_state_dict(checkpoint(train(config, say=silent).folder)["network"])
        # Not the statistics of the normalisation: they see every batch.
        return {name: value.detach() for name, value in network.named_parameters()}

    one, two, unchanged = trained(1), trained(2), trained(1, lr=0.0)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6)
    moved = max(float((value - unchanged[name]).abs().max()) for name, value in one.items())
    assert moved > 1e-3


def test_the_transformer_joins_after_the_share_of_the_guide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    encode = FocDepthFormer.encode

    def recorded(network: FocDepthFormer, *inputs: Any, transformer: bool = True) -> Any:
        seen.append(transformer)
        return encode(network, *inputs, transformer=transformer)

    monkeypatch.setattr(FocDepthFormer, "encode", recorded)
    train(small_config(tmp_path / "run", schedule={"guide_share": 0.5}), say=silent)
    assert seen == [False, False, True, True]


def test_stacks_and_single_images_can_be_mixed(tmp_path: Path, pool: Path) -> None:
    single = {"kind": "monocular", "options": {"shows": "layers"}}
    lines: list[str] = []
    config = small_config(
        tmp_path / "run",
        data=from_pool(pool, sources=[pool_source(pool), single], batch=1, height=64, width=64),
        validation={**held_out(pool), "sources": [single], "every": 6},
        loss={"kind": "l1", "depth_ratio": 0.5, "relative_weight": 0.5},
        schedule={"steps": 6},
        run={"debug_batch_shape": []},
    )
    result = train(config, say=lines.append)
    assert result.finished
    told = [line for line in lines if "  total " in line]
    assert 0 < sum("depth_ratio" in line for line in told) < len(told)
    assert any("validation: aligned_abs_rel" in line for line in lines)
    assert not (result.folder / "pictures").exists()


def test_labels_that_the_network_does_not_have_are_named(tmp_path: Path) -> None:
    labels = np.full((72, 72), 4, np.int8)
    pool = write_pool(tmp_path / "pool", labels=labels)
    config = small_config(
        tmp_path / "run",
        model={"options": {**NETWORK, "segmentation_classes": 3}},
        data=from_pool(pool),
        run={"debug_batch_shape": []},
    )
    with pytest.raises(TrainingError, match="go up to 4, but the network has 3 classes"):
        train(config, say=silent)


def test_a_deterministic_run_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("torch.use_deterministic_algorithms", lambda *a, **k: asked.append((a, k)))
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    train(small_config(tmp_path / "any", schedule={"steps": 1}), say=silent)
    assert asked == []
    config = small_config(tmp_path / "same", schedule={"steps": 1}, run={"deterministic": True})
    train(config, say=silent)
    assert asked == [((True,), {"warn_only": True})]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
