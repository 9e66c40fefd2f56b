"""Functions that are recorded once and played back, with a recorder that needs no GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_network import noise_sweep, small_network
from torch import Tensor

from focdepth_ros.models import cuda_graphs, inference
from focdepth_ros.models.cuda_graphs import CapturedFunction, record_cuda_graph
from focdepth_ros.models.focdepthformer.latent_lstm import PoolState
from focdepth_ros.models.sweeps import SliceFeatures
from focdepth_ros.stack import Slice


class Recorder:
    """Does what a CUDA graph does: reads and writes the same places again and again."""

    def __init__(self) -> None:
        self.recordings = 0

    def __call__(self, function: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        self.recordings += 1
        found = function()

        def replay() -> None:
            for old, new in zip(tensors_of(found), tensors_of(function()), strict=True):
                old.copy_(new)

        return found, replay


def tensors_of(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, tuple):
        return [tensor for item in tree for tensor in tensors_of(item)]
    fields = getattr(tree, "__dataclass_fields__", {})
    return [tensor for name in fields for tensor in tensors_of(getattr(tree, name))]


def doubled(pool: PoolState | None, values: Tensor, *, offset: Tensor) -> PoolState:
    before = torch.zeros_like(values) if pool is None else pool.total
    return PoolState(2.0 * values + offset, before + values, values[..., :1])


def test_played_back_it_answers_the_same_in_memory_of_its_own() -> None:
    record = Recorder()
    captured = CapturedFunction(doubled, record)
    pool, answers = None, []
    for number in range(1, 5):
        given = (pool, torch.full((2, 3), float(number)))
        offset = torch.tensor(0.5 * number)
        expected = doubled(*given, offset=offset)
        pool = captured(*given, offset=offset)
        answers.append((pool, expected))
    for found, expected in answers:
        assert isinstance(found, PoolState)
        for one, other in zip(tensors_of(found), tensors_of(expected), strict=True):
            assert torch.equal(one, other)
    assert record.recordings == 1  # with a pool; without one it was called only once


def test_other_shapes_are_recorded_anew_and_old_ones_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda_graphs, "_IN_USE", 0)
    record = Recorder()
    captured = CapturedFunction(lambda values: values + 1.0, record, limit=2)
    for size in (1, 1, 2, 2, 1, 3, 3, 1, 2, 2):
        assert torch.equal(captured(torch.zeros(size)), torch.ones(size))
    assert record.recordings == 4
    transposed = torch.arange(6.0).reshape(2, 3).T
    assert torch.equal(captured(transposed), transposed + 1.0)


def test_what_is_quick_is_recorded_in_place_of_the_function() -> None:
    calls: list[str] = []

    def slow(values: Tensor) -> Tensor:
        calls.append("slow")
        return values + 1.0

    def quick(values: Tensor) -> Tensor:
        calls.append("quick")
        return values + 1.0

    captured = CapturedFunction(slow, Recorder(), quick)
    for _ in range(2):
        assert torch.equal(captured(torch.zeros(3)), torch.ones(3))
    assert calls[0] == "slow"
    assert set(calls[1:]) == {"quick"}


@pytest.mark.parametrize("borrows", [True, False])
def test_only_what_is_borrowed_is_overwritten(borrows: bool) -> None:
    captured = CapturedFunction(lambda values: values + 1.0, Recorder(), borrows=borrows)
    captured(torch.zeros(3))
    answer = captured(torch.zeros(3))
    assert torch.equal(answer, torch.ones(3))
    captured(torch.ones(3))
    assert torch.equal(answer, torch.full((3,), 2.0 if borrows else 1.0))


def test_what_is_in_use_is_not_given_up_for_one_more() -> None:
    """As for a camera that loses frames: five lengths of sweeps, and room for four."""
    record = Recorder()
    captured = CapturedFunction(lambda values: values + 1.0, record, limit=4)
    sizes = np.random.default_rng(0).integers(1, 6, 400)
    for size in sizes:
        assert torch.equal(captured(torch.zeros(size)), torch.ones(size))
    assert record.recordings <= 5
    for _ in range(50):  # the camera has another size now
        captured(torch.zeros(9))
    assert record.recordings <= 6
    before = record.recordings
    captured(torch.zeros(9))
    assert record.recordings == before


def test_what_there_is_no_memory_to_record_is_made_as_it_is() -> None:
    """The end of a recording that has failed fails, too."""
    tried = []

    def record(function: Callable[[], Any]) -> Any:
        tried.append(function)
        try:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("the recording was ended early")

    captured = CapturedFunction(lambda values: values + 1.0, record)
    for _ in range(5):
        assert torch.equal(captured(torch.zeros(3)), torch.ones(3))
    assert len(tried) == 1
    captured.clear()
    captured(torch.zeros(3))
    captured(torch.zeros(3))
    assert len(tried) == 1


def test_other_failures_of_a_recording_are_told() -> None:
    def record(function: Callable[[], Any]) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    captured = CapturedFunction(lambda values: values + 1.0, record)
    captured(torch.zeros(3))
    with pytest.raises(RuntimeError, match="not permitted"):
        captured(torch.zeros(3))


def test_what_comes_once_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Recorder()
    captured = CapturedFunction(lambda values: values + 1.0, record)
    for size in range(1, 5):
        assert torch.equal(captured(torch.zeros(size)), torch.ones(size))
    assert record.recordings == 0
    captured(torch.zeros(2))
    assert record.recordings == 1
    captured.clear()
    captured(torch.zeros(2))
    assert record.recordings == 1
    monkeypatch.setattr(cuda_graphs, "_SHAPES", 2)
    captured.clear()
    for size in (1, 2, 3, 1):  # the first was forgotten
        captured(torch.zeros(size))
    assert record.recordings == 1


def test_the_warm_up_records_all_that_a_sweep_needs() -> None:
    runner = inference.SweepRunner(small_network(), "cpu", "fp32", "none")
    record = Recorder()
    runner._encode = CapturedFunction(runner.network.encode, record)
    runner._step = CapturedFunction(runner.network.step, record)
    runner._answer = CapturedFunction(runner._answered, record)
    runner._warm_ups = 2  # as with CUDA graphs
    runner.warm_up(40, 56)
    assert record.recordings == 4  # a sweep's first step has a graph of its own
    images = np.random.default_rng(1).integers(0, 256, (3, 40, 56, 3), np.uint8)
    state = None
    for number, image in enumerate(images):
        item = Slice(image, 1.0 + number)
        state = runner.step(state, runner.encode(item, item.dioptre))
    assert state is not None
    runner.decode(state, [0, 1, 2])
    assert record.recordings == 4


def test_which_slices_have_masks_is_nothing_to_record_anew() -> None:
    runner = inference.SweepRunner(small_network(), "cpu", "fp32", "none")
    record = Recorder()
    runner._answer = CapturedFunction(runner._answered, record)
    images = np.random.default_rng(1).integers(0, 256, (3, 40, 56, 3), np.uint8)
    mask = np.ones((40, 56), np.bool_)
    mask[:, :20] = False
    for masked in range(3):
        state = None
        for number, image in enumerate(images):
            item = Slice(image, 1.0 + number, valid_mask=mask if number == masked else None)
            state = runner.step(state, runner.encode(item, item.dioptre))
        assert state is not None
        runner.decode(state, [0, 1, 2])
    assert record.recordings == 1


def test_a_whole_sweep_played_back() -> None:
    network = small_network()
    record = Recorder()
    encode = CapturedFunction(network.encode, record)
    decode = CapturedFunction(network.decode, record)
    with torch.inference_mode():
        for seed in (0, 1):
            images, dioptres = noise_sweep(3, seed=seed)
            state = None
            for image, dioptre in zip(images[0], dioptres[0], strict=True):
                features = encode(image[None], dioptre[None], None)
                assert isinstance(features, SliceFeatures)
                assert features.size == (64, 96)
                state = network.step(state, features)
            assert state is not None
            found, expected = decode(state), network(images, dioptres)
            torch.testing.assert_close(found.position, expected.position, atol=1e-5, rtol=0.0)
    assert record.recordings == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_cuda_graph() -> None:
    captured = CapturedFunction(lambda values: values.square() + 1.0, record_cuda_graph)
    for number in range(3):
        values = torch.full((4,), float(number), device="cuda")
        assert torch.equal(captured(values).cpu(), torch.full((4,), number**2 + 1.0))
