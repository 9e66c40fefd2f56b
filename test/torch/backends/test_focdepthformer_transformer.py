"""The backend `focdepthformer` with and without what it looks at slices with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_network import small_network
from streamed import SPEC, stream
from synthetic_sweeps import DIOPTRES, two_surfaces

from focdepth_ros.backends.base import Backend
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.errors import OptionError
from focdepth_ros.models.checkpoint import read_weights, save_weights
from focdepth_ros.models.focdepthformer.encoder import SliceEncoder
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.stack import FocalStack


def test_without_it_the_answer_is_that_of_the_focus_measure(
    create: Callable[..., Backend], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = two_surfaces()
    network = read_weights(weights).network_as(FocDepthFormer)
    images = np.stack([item.image for item in slices]).transpose(0, 3, 1, 2)[None]
    dioptres = torch.tensor([DIOPTRES], dtype=torch.float32)
    with torch.inference_mode():
        found = network(torch.from_numpy(images.copy()), dioptres, transformer=False)
    position = found.position[0].clamp(0.0, 1.0).numpy()
    looked: list[Any] = []
    forward = SliceEncoder.forward

    def counted(self: Any, *given: Any) -> Any:
        looked.append(self)
        return forward(self, *given)

    monkeypatch.setattr(SliceEncoder, "forward", counted)
    estimate = stream(create(precision="fp32", transformer=False), slices)
    assert looked == []
    inverse = DIOPTRES[-1] + position * (DIOPTRES[0] - DIOPTRES[-1])
    np.testing.assert_allclose(1.0 / estimate.depth, inverse, atol=2e-3)
    with_it = stream(create(precision="fp32"), slices)
    assert len(looked) == len(slices)
    assert np.abs(with_it.slice_index - estimate.slice_index).max() > 1e-3


def test_without_it_slices_of_two_sweeps_are_measured_once(
    create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Any] = []
    measure = FocDepthFormer.measure

    def counted(self: Any, *given: Any) -> Any:
        measured.append(self)
        return measure(self, *given)

    monkeypatch.setattr(FocDepthFormer, "measure", counted)
    backend = create(precision="fp32", transformer=False)
    slices = two_surfaces()
    first = backend.estimate(FocalStack(slices))
    assert len(measured) == len(slices)
    again = stream(backend, slices[::-1], SPEC)
    assert len(measured) == len(slices)
    np.testing.assert_allclose(again.slice_index, first.slice_index, atol=1e-4)


def test_weights_that_only_have_a_transformer_need_it(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    save_weights(path, small_network(refinement=False, confidence=False))
    with pytest.raises(OptionError, match="measure no sharpness and need their transformer"):
        create_backend("focdepthformer", weights=str(path), device="cpu", transformer=False)
