"""What the tests of the loop share: the smallest runs, and ways to stop and compare them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from focdepth_ros.training.config import TrainingConfig

# The smallest network of the shape of the tiny one.
NETWORK = {
    "embed_dim": 16,
    "depth": 4,
    "heads": 2,
    "early_kernel_channels": 2,
    "early_channels": 4,
    "lstm_hidden": 16,
    "reassemble_channels": [8, 8, 8, 8],
    "decoder_channels": 8,
    "guide_channels": 8,
}


def small_config(output: Path, **sections: dict[str, Any]) -> TrainingConfig:
    """A run of four steps on noise; `sections` go over it."""
    run = {
        "output": str(output),
        "debug_batch_shape": [2, 3, 32, 32],
        "tensorboard": False,
        "accelerator": "cpu",
        "log_every": 1,
    }
    return TrainingConfig.from_dict(
        {
            **sections,
            "model": {"preset": "tiny", "options": NETWORK, **sections.get("model", {})},
            "schedule": {"steps": 4, "warmup_steps": 1, **sections.get("schedule", {})},
            "run": {**run, **sections.get("run", {})},
        }
    )


def save_stack(
    path: Path, slices: int = 5, size: tuple[int, int] = (50, 70), **changes: Any
) -> None:
    """A stack of a pool whose red and green tell the place, and so do its depth and labels.

    `changes` are other arrays in place of these, or None for none.
    """
    rows, columns = np.indices(size)
    images = np.empty((slices, *size, 3), np.uint8)
    images[..., 0], images[..., 1] = rows, columns
    images[..., 2] = 10 * np.arange(slices)[:, None, None]
    arrays = {
        "images": images,
        "dioptre": (100.0 * rows + columns).astype(np.float32),
        "focus": np.linspace(2.0, 0.5, slices),
        "labels": (columns % 5).astype(np.int8),
    }
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def write_pool(
    folder: Path, *, stacks: int = 2, slices: int = 4, size: int = 72, **changes: Any
) -> Path:
    """A pool of stacks of noise, each a plane that tilts through the sweep."""
    folder.mkdir()
    for number in range(stacks):
        rng = np.random.default_rng(number)
        plane = np.linspace(2.9, 1.1, size, dtype=np.float32)[:, None].repeat(size, axis=1)
        arrays = {
            "images": rng.integers(0, 256, (slices, size, size, 3), dtype=np.uint8),
            "dioptre": plane,
            "focus": np.linspace(3.0, 1.0, slices),
            "labels": None,
        }
        save_stack(folder / f"{number}.npz", slices, (size, size), **{**arrays, **changes})
    return folder


def pool_source(folder: Path) -> dict[str, Any]:
    return {"kind": "pool", "options": {"folders": str(folder)}}


def silent(line: str) -> None:
    """Takes the lines of a run and drops them."""


def from_pool(pool: Path, **more: Any) -> dict[str, Any]:
    """The section `data` of a run on small crops of a pool."""
    data = {"sources": [pool_source(pool)], "batch": 2, "height": 32, "width": 32}
    return {**data, "min_slices": 3, "max_slices": 4, **more}


def held_out(pool: Path) -> dict[str, Any]:
    """The section `validation` on one small crop of a pool."""
    return {
        "sources": [pool_source(pool)], "batch": 1, "height": 32, "width": 32,
        "batches": 1, "slices": 3,
    }  # fmt: skip


def stopping_after(share: float) -> Callable[[str, int], Any]:
    """A progress bar that asks the run to stop, as Ctrl-C does, after a share of it."""

    @contextmanager
    def bar(label: str, length: int) -> Iterator[Callable[[], None]]:
        shown = 0

        def advance() -> None:
            nonlocal shown
            shown += 1
            if shown == round(share * length):
                signal.raise_signal(signal.SIGINT)

        yield advance

    return bar


def checkpoint(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return loaded


def assert_identical(first: Any, second: Any, path: str = "") -> None:
    """Equal to the last bit, all the way down."""
    assert type(first) is type(second), path
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_identical(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), path
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_identical(one, other, f"{path}[{index}]")
    else:
        assert first == second, path
