"""Runs of a few steps: what they leave, that they can be stopped, and that they learn."""

from __future__ import annotations

import itertools
import multiprocessing
import re
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
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
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from focdepth_ros.errors import FocdepthError, TrainingConfigError, TrainingError
from focdepth_ros.models.checkpoint import load_weights
from focdepth_ros.training.batch_stream import BatchStream, NoiseSource
from focdepth_ros.training.loop import train

TRAINED = ("step", "network", "average", "optimiser", "precision")


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_was_stopped_and_resumed_is_the_same_bit_by_bit(
    tmp_path: Path, pool: Path, accumulate: int
) -> None:
    def config(folder: str, workers: int) -> Any:
        return small_config(
            tmp_path / folder,
            data=from_pool(pool, workers=workers, prefetch=workers + 1),
            run={"debug_batch_shape": [], "accumulate": accumulate},
        )

    whole = train(config("whole", 1), say=silent)
    # Two threads, so that batches are made ahead and out of order when it stops.
    part = train(config("parts", 2), bar=stopping_after(0.2), say=silent)
    assert 0 < part.step < 4
    assert (whole.finished, part.finished) == (True, False)
    rest = train(config("parts", 2), resume=True, say=silent)
    assert (rest.step, rest.finished) == (4, True)
    one, other = checkpoint(whole.folder), checkpoint(rest.folder)
    for key in TRAINED:
        assert_identical(one[key], other[key], key)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    results = [
        train(small_config(tmp_path / str(seed), run={"seed": seed}), say=silent) for seed in (0, 1)
    ]
    weights = [next(iter(checkpoint(item.folder)["network"].values())) for item in results]
    assert not torch.equal(*weights)


def test_what_a_run_leaves(tmp_path: Path, pool: Path) -> None:
    lines: list[str] = []
    config = small_config(
        tmp_path / "run",
        data=from_pool(pool),
        validation={**held_out(pool), "every": 2, "pictures": 1},
        run={"debug_batch_shape": [], "tensorboard": True},
    )  # fmt: skip
    result = train(config, say=lines.append)
    assert sorted(path.name for path in result.folder.iterdir()) == [
        "checkpoint.pt", "config.yaml", "curves.png", "history.jsonl", "pictures", "tensorboard",
        "weights.safetensors",
    ]  # fmt: skip
    assert checkpoint(result.folder)["config"] == config.to_dict()
    weights = dict(load_weights(result.folder / "weights.safetensors").named_parameters())
    average = checkpoint(result.folder)["average"]
    for name, value in weights.items():
        torch.testing.assert_close(value, average[name], rtol=1e-3, atol=1e-6)
    pictures = sorted((result.folder / "pictures").iterdir())
    assert [path.name for path in pictures] == ["stack_0_0000002.png", "stack_0_0000004.png"]
    assert cv2.imread(str(pictures[0])) is not None
    assert any((result.folder / "tensorboard").iterdir())
    training = [line for line in lines if re.match(r"step \d/4  total [\d.e-]+ depth ", line)]
    assert len(training) == 4
    assert all("stacks/s" in line and "left" in line for line in training)
    validation = [line for line in lines if "validation: abs_rel " in line]
    assert len(validation) == 2
    assert lines[-1] == f"step 4: finished; written to {result.folder}"


def test_validation_does_not_change_the_training(tmp_path: Path, pool: Path) -> None:
    with_, without = (
        train(small_config(tmp_path / name, validation=settings), say=silent)
        for name, settings in (("with", {**held_out(pool), "every": 1}), ("without", {}))
    )
    assert_identical(checkpoint(with_.folder)["network"], checkpoint(without.folder)["network"])


def test_the_loss_falls(tmp_path: Path, pool: Path) -> None:
    lines: list[str] = []
    config = small_config(
        tmp_path / "run",
        data=from_pool(pool),
        optimiser={"lr": 3e-3, "backbone_lr": 3e-3},
        schedule={"steps": 24},
        run={"debug_batch_shape": [], "log_every": 6},
    )
    train(config, say=lines.append)
    losses = [
        float(m[1]) for line in lines if (m := re.match(r"step \d+/24  total ([\d.]+)", line))
    ]
    assert len(losses) == 4
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_bf16_and_both_optimisers(tmp_path: Path, kind: str) -> None:
    config = small_config(
        tmp_path / "run",
        run={"precision": "bf16"},
        schedule={"steps": 2},
        optimiser={"kind": kind, "lr": 1e-3},
    )
    result = train(config, say=silent)
    weights = checkpoint(result.folder)["network"].values()
    assert all(value.dtype != torch.bfloat16 for value in weights)
    assert all(bool(torch.isfinite(value).all()) for value in weights)


def test_the_clock_ends_a_run_and_its_cosine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: 0.25 * next(ticks))
    monkeypatch.setattr("focdepth_ros.training.loop.time", clock)
    lines: list[str] = []
    limit = 8.0
    config = small_config(
        tmp_path / "run", schedule={"steps": 100_000, "max_hours": limit / 3600.0}
    )
    result = train(config, say=lines.append)
    assert result.finished
    assert 4 < result.step < 20
    assert limit <= checkpoint(result.folder)["elapsed_s"] < limit + 2.0
    rates = [float(m[1]) for line in lines if (m := re.search(r"lr ([\d.e-]+)", line))]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 0.2 * max(rates)
    assert train(config, resume=True, say=silent).step == result.step


def test_weights_to_start_from(tmp_path: Path) -> None:
    first = train(small_config(tmp_path / "first"), say=silent)
    path = first.folder / "weights.safetensors"
    config = small_config(
        tmp_path / "second",
        model={"weights": str(path)},
        run={"seed": 9},
        optimiser={"lr": 0.0, "backbone_lr": 0.0},
    )
    second = train(config, say=silent)
    # Statistics of the batch normalisation follow the data at any rate.
    expected = {name: weight.data for name, weight in load_weights(path).named_parameters()}
    network = checkpoint(second.folder)["network"]
    assert_identical({name: network[name] for name in expected}, expected)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    first = train(small_config(tmp_path / "first", schedule={"steps": 1}), say=silent)
    config = small_config(
        tmp_path / "second",
        model={"weights": str(first.folder / "weights.safetensors"), "options": {}},
    )
    with pytest.raises(TrainingError, match="do not fit the network"):
        train(config, say=silent)


def test_a_folder_is_not_trained_in_twice_and_not_resumed_from_nothing(tmp_path: Path) -> None:
    config = small_config(tmp_path / "run", schedule={"steps": 1})
    with pytest.raises(TrainingError, match="checkpoint.pt does not exist; start without --resume"):
        train(config, resume=True, say=silent)
    train(config, say=silent)
    with pytest.raises(TrainingError, match="is there from an earlier run; go on with --resume"):
        train(config, say=silent)


def test_resuming_tells_what_was_changed_and_refuses_another_network(tmp_path: Path) -> None:
    lines: list[str] = []
    config = small_config(tmp_path / "run", schedule={"steps": 1})
    train(config, say=silent)
    longer = replace(config, schedule=replace(config.schedule, steps=2))
    assert train(longer, resume=True, say=lines.append).step == 2
    assert "changed since the checkpoint: schedule.steps: 1 -> 2" in lines
    other = replace(config, model=replace(config.model, preset="small"))
    with pytest.raises(TrainingError, match="another model.preset \\('tiny' -> 'small'\\)"):
        train(other, resume=True, say=silent)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_what_is_asked_of_the_optimiser_counts_when_resuming(tmp_path: Path, kind: str) -> None:
    still = {"lr": 0.0, "backbone_lr": 0.0, "weight_decay": 0.0}
    config = small_config(tmp_path / "run", schedule={"steps": 2}, optimiser={"kind": kind})
    folder = train(config, say=silent).folder
    before = checkpoint(folder)["network"]
    longer = small_config(
        tmp_path / "run", schedule={"steps": 3}, optimiser={"kind": kind, "momentum": 0.5, **still}
    )
    train(longer, resume=True, say=silent)
    after = checkpoint(folder)
    # Statistics of the batch normalisation follow the data at any rate.
    weights = load_weights(folder / "weights.safetensors").named_parameters()
    for name, _ in weights:
        assert torch.equal(after["network"][name], before[name]), name
    groups = after["optimiser"]["param_groups"]
    assert {group["weight_decay"] for group in groups} == {0.0}
    assert {group.get("momentum") for group in groups} == {0.5 if kind == "sgd" else None}


def test_settings_that_a_checkpoint_does_not_know_had_their_defaults(tmp_path: Path) -> None:
    config = small_config(tmp_path / "run", schedule={"steps": 1})
    path = train(config, say=silent).folder / "checkpoint.pt"
    saved = torch.load(path, weights_only=True)
    del saved["config"]["run"]["deterministic"]
    torch.save(saved, path)
    lines: list[str] = []
    train(config, resume=True, say=lines.append)
    assert not any("changed" in line for line in lines)


def test_event_files_of_a_resumed_run_have_every_step_once(tmp_path: Path) -> None:
    for steps in (2, 4):
        config = small_config(
            tmp_path / "run", schedule={"steps": steps}, run={"tensorboard": True}
        )
        train(config, resume=steps > 2, say=silent)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss/total")] == [1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 damaged"])
def test_damaged_checkpoints_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be read as a checkpoint"):
        train(small_config(tmp_path), resume=True, say=silent)


def test_other_files_of_torch_are_no_checkpoints(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="is no checkpoint of this version"):
        train(small_config(tmp_path), resume=True, say=silent)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("run", {"precision": "fp16"}, "run.precision fp16 needs a CUDA device"),
        ("run", {"accelerator": "cuda", "devices": 99}, "run.devices is 99, but PyTorch finds"),
        ("run", {"debug_batch_shape": []}, "there is no source of training data 'video'"),
    ],
)
def test_what_cannot_be_had_is_named(
    tmp_path: Path, section: str, values: dict[str, Any], message: str
) -> None:
    config = small_config(
        tmp_path / "run", **{section: values}, data={"sources": [{"kind": "video"}]}
    )
    with pytest.raises(TrainingConfigError) as caught:
        train(config, say=silent)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "folders of source 'pool' is None"),
        ({"folders": "nowhere"}, "nowhere"),
        ({"folders": "nowhere", "sensr": {}}, "source 'pool' has no option 'sensr' (given as {})"),
        ({"folders": "nowhere", "sensor": {"jpg": 1}}, "has no option 'jpg' (given as 1)"),
        (
            {"folders": "nowhere", "sensor": {"jpeg": "no"}},
            "jpeg in sensor of source 'pool' is 'no'",
        ),
        ({"folders": "nowhere", "variation": {"zoom": 2.0}}, "give 2 values in brackets"),
    ],
)
def test_bad_options_of_a_source_are_named(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    config = small_config(
        tmp_path / "run",
        data={"sources": [{"kind": "pool", "options": options}]},
        run={"debug_batch_shape": []},
    )
    with pytest.raises(FocdepthError) as caught:
        train(config, say=silent)
    assert message in str(caught.value)


def test_weights_and_biases_gets_numbers_pictures_and_the_configuration(
    tmp_path: Path, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[dict[str, Any]] = []
    started: dict[str, Any] = {}
    run = SimpleNamespace(
        log=lambda values, step: logged.append({"step": step, **values}),
        finish=lambda: logged.append({"finished": True}),
    )

    def init(**arguments: Any) -> SimpleNamespace:
        started.update(arguments)
        return run

    wandb = SimpleNamespace(init=init, Image=lambda picture: picture.shape)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    config = small_config(
        tmp_path / "run",
        validation={**held_out(pool), "every": 4, "pictures": 1},
        run={"wandb": "offline"},
    )
    train(config, say=silent)
    assert (started["mode"], started["project"]) == ("offline", "focdepth")
    assert started["config"] == config.to_dict()
    assert [item["step"] for item in logged if "loss/total" in item] == [1, 2, 3, 4]
    assert sum("validation/abs_rel" in item for item in logged) == 1
    assert sum("validation/stack_0" in item for item in logged) == 1
    assert logged[-1] == {"finished": True}


def test_a_worker_that_is_killed_ends_the_run_with_a_sentence() -> None:
    """As by the system, for want of memory; nobody waits for the others for ever."""
    told: list[str] = []

    def run() -> None:
        source = NoiseSource((4, 2, 200, 200))  # more than fits into a pipe
        with BatchStream(
            source, slices=(2, 2), seed=(5, 0), workers=2, prefetch=6, processes=True
        ) as stream:
            next(stream)
            multiprocessing.active_children()[0].kill()
            try:
                for _ in range(100):
                    next(stream)
            except TrainingError as error:
                told.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(120.0)
    assert not thread.is_alive()
    assert told[0].startswith("a process that makes batches has ended")


@pytest.mark.parametrize(("workers", "processes"), [(1, False), (3, False), (2, True)])
def test_batches_do_not_depend_on_workers(workers: int, processes: bool) -> None:
    def stream(**more: int) -> BatchStream:
        return BatchStream(NoiseSource((1, 2, 8, 8)), slices=(2, 2), seed=(5, 0), **more)

    with (
        stream() as one,
        stream(workers=workers, prefetch=4, first=3, processes=processes) as other,
    ):
        expected = [next(one).images for _ in range(6)]
        found = [next(other).images for _ in range(3)]
    assert_identical(expected[3:], found)
    assert not torch.equal(expected[0], expected[1])
