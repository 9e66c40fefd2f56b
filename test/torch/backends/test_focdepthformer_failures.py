"""What fails, and weights that cannot be used, are named, and another backend answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_network import small_network
from streamed import stream
from synthetic_sweeps import two_surfaces

from focdepth_ros.backends.base import Backend
from focdepth_ros.backends.focdepthformer import FocDepthFormerBackend
from focdepth_ros.backends.registry import choose_backend, create_backend
from focdepth_ros.errors import (
    BackendError,
    BackendUnavailableError,
    DeviceError,
    WeightsError,
)
from focdepth_ros.libraries import how_to_install
from focdepth_ros.models import inference
from focdepth_ros.models.checkpoint import save_weights
from focdepth_ros.models.cuda_graphs import CapturedFunction
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.models.weights_index import ShippedWeights
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FocalStack


def broken(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


ERRORS = [
    (RuntimeError("CUDA error: unspecified launch failure\nmore"), "failed: CUDA error: unspec"),
    (torch.cuda.OutOfMemoryError("Tried to allocate 2.00 GiB."), "too little memory: Tried to"),
]


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=["lost", "memory"])
@pytest.mark.parametrize("step", ["encode", "step", "answer"])
def test_what_fails_on_the_device_is_named_and_another_backend_answers(
    create: Callable[..., Backend],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: Exception,
    words: str,
) -> None:
    backend = create()
    slices = two_surfaces()
    with monkeypatch.context() as patch:
        patch.setattr(backend._runner, f"_{step}", broken(error))  # type: ignore[attr-defined]
        with pytest.raises(DeviceError, match=words) as raised:
            stream(backend, slices)
        assert "more" not in str(raised.value)
        pipeline = DepthPipeline(backend, min_confidence=0.0, cooldown_s=1000.0)
        first = pipeline.estimate(FocalStack(slices))
    assert first.backend == "graph_cut"
    (warning,) = first.warnings
    assert warning.startswith("backend 'focdepthformer' failed: ")
    assert words in warning
    # The device is whole again, but is left alone for a while.
    second = pipeline.estimate(FocalStack(slices))
    assert second.backend == "graph_cut"
    assert "is not tried for another" in second.warnings[0]
    pipeline.cooldown.seconds = 0.0
    pipeline.cooldown.begin("over")
    assert pipeline.estimate(FocalStack(slices)).backend == "focdepthformer"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("refine.confidence.weight", torch.nan),
        ("refine.correct.bias", torch.inf),  # more than the end of the sweep
        ("refine.choose.weight", torch.nan),  # its slice would be looked up
    ],
)
@pytest.mark.parametrize(
    ("precision", "words"),
    [
        ("fp32", "answered NaN for .* at fp32; use other weights"),
        ("bf16", "answered NaN for .* at bf16; use precision fp32, or other weights"),
    ],
)
def test_an_answer_that_is_not_finite_is_an_error(
    monkeypatch: pytest.MonkeyPatch, part: str, value: float, precision: str, words: str
) -> None:
    network = small_network()
    with torch.no_grad():
        network.get_parameter(part).fill_(value)
    runner = inference.SweepRunner(network, "cpu", precision, "none")
    monkeypatch.setattr(inference, "load_runner", lambda *_, **__: runner)
    backend = FocDepthFormerBackend(FocDepthFormerBackend.config_class(weights="any.safetensors"))
    slices = two_surfaces()
    with pytest.raises(BackendError, match=words):
        stream(backend, slices)
    assert runner.seen.get(slices[0]) is None  # that may be broken, too
    pipeline = DepthPipeline(backend, cooldown_s=1000.0)
    assert "failed: the network answered" in pipeline.estimate(FocalStack(slices)).warnings[0]
    assert "not tried for another" in pipeline.estimate(FocalStack(slices)).warnings[0]


def test_after_a_failure_of_the_device_nothing_is_held_there(
    create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = create()
    runner: inference.SweepRunner = backend._runner  # type: ignore[attr-defined]
    step = CapturedFunction(runner._step, lambda call: (call(), lambda: None))
    monkeypatch.setattr(runner, "_step", step)
    runner._captured.append(step)
    slices = two_surfaces()
    stream(backend, slices)
    assert runner.seen.get(slices[0]) is not None
    assert step._recordings
    monkeypatch.setattr(runner, "_answer", broken(RuntimeError("CUDA error: lost")))
    with pytest.raises(DeviceError):
        stream(backend, slices)
    assert runner.seen.get(slices[0]) is None
    assert not step._recordings


def test_weights_that_tell_no_confidence(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    paper = {"output": "metres", "refinement": False, "confidence": False}
    save_weights(path, small_network(**paper))
    backend = create_backend("focdepthformer", weights=str(path), device="cpu")
    estimate = backend.estimate(FocalStack(two_surfaces()))
    np.testing.assert_array_equal(estimate.confidence, 1.0)
    assert estimate.warnings == ("these weights tell no confidence: every pixel counts as sure",)


def test_weights_that_cannot_be_used_are_named(weights: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights at .*absent.safetensors"):
        create_backend("focdepthformer", weights=str(tmp_path / "absent.safetensors"))
    with pytest.raises(WeightsError, match="no weights 'huge' of 'focdepthformer'"):
        create_backend("focdepthformer", weights="huge")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(Path(weights).read_bytes()[:5000])
    with pytest.raises(WeightsError, match="is not a whole safetensors file"):
        create_backend("focdepthformer", weights=str(cut))


def test_without_weights_it_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("focdepth_ros.models.weights_index.shipped_weights", lambda: ())
    words = "no weights of 'focdepthformer' are shipped"
    assert words in str(FocDepthFormerBackend.unusable_because())
    with pytest.raises(BackendUnavailableError, match=words):
        create_backend("focdepthformer")


def test_weights_whose_file_is_gone_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = ShippedWeights(
        "net", "gone.safetensors", "focdepthformer", "tiny", "0" * 64, 1, "", Path("/nowhere")
    )
    monkeypatch.setattr("focdepth_ros.models.weights_index.shipped_weights", lambda: (gone,))
    # As on a machine with a GPU, which would be used.
    monkeypatch.setattr(FocDepthFormerBackend, "passed_over_because", lambda: None)
    reason = FocDepthFormerBackend.unusable_because()
    assert reason == "its weights /nowhere/gone.safetensors are missing; install the package again"
    assert choose_backend() == "graph_cut"


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libcudart.so.13: cannot open"),
        RuntimeError("operator torchvision::nms does not exist"),
        OSError("libcublas.so: wrong ELF class"),
    ],
    ids=["missing", "torchvision", "library"],
)
def test_libraries_that_cannot_be_imported_are_named(
    weights: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Breaks(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "focdepth_ros.models.inference":
                raise error

    monkeypatch.delitem(sys.modules, "focdepth_ros.models.inference")
    monkeypatch.delattr("focdepth_ros.models.inference")
    monkeypatch.setattr(sys, "meta_path", [Breaks(), *sys.meta_path])
    with pytest.raises(BackendUnavailableError) as raised:
        create_backend("focdepthformer", weights=weights, device="cpu")
    assert f"cannot be imported: {error}; again: {how_to_install('torch')}" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "fp16"}, "precision 'fp16' needs a GPU; use fp32 or bf16 on"),
        ({"compile": "cuda_graphs"}, "compile 'cuda_graphs' needs a GPU; use 'none' on"),
    ],
)
def test_what_only_a_gpu_can_do_without_one(
    create: Callable[..., Backend], options: dict[str, str], words: str
) -> None:
    """As where the GPU is gone: it can be answered for."""
    with pytest.raises(BackendUnavailableError, match=words):
        create(**{"device": "cpu", **options})


def test_a_device_that_cannot_be_asked_is_named(
    create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "chosen_precision", broken(RuntimeError("CUDA error: lost")))
    with pytest.raises(DeviceError, match="failed: CUDA error: lost"):
        create()


def test_a_device_that_fails_at_once_is_named(
    create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FocDepthFormer, "to", broken(torch.cuda.OutOfMemoryError("2.00 GiB")))
    with pytest.raises(DeviceError, match=r"the GPU has too little memory: 2.00 GiB; use smaller"):
        create()
