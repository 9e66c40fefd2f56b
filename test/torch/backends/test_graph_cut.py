"""The backend `graph_cut` answers on torch as it does without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from synthetic_sweeps import two_surfaces

from focdepth_ros.backends import graph_cut
from focdepth_ros.backends.graph_cut import GraphCutBackend, GraphCutConfig
from focdepth_ros.classical import torch_focus_volume
from focdepth_ros.classical.torch_focus import TorchFocusMeasure
from focdepth_ros.errors import DeviceError
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FocalStack


@pytest.mark.parametrize("all_in_focus", ["sharpness", "depth"])
@pytest.mark.parametrize("aif_blend", [False, True])
def test_estimates_agree(
    all_in_focus: str, aif_blend: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = FocalStack(two_surfaces(size=(120, 160)))
    config = GraphCutConfig(device="cpu", all_in_focus=all_in_focus, aif_blend=aif_blend)
    expected = GraphCutBackend(config).estimate(stack)
    # Never chosen by itself: torch's own CPU device.
    chosen = "cpu:0" if device == "cpu" else device
    monkeypatch.setattr(graph_cut, "choose_device", lambda name: chosen)
    found = GraphCutBackend(config).estimate(stack)

    assert found.all_in_focus is not None
    assert expected.all_in_focus is not None
    # A pixel between two slices may go to either.
    same = np.abs(found.slice_index - expected.slice_index) < 0.01
    assert same.mean() > 0.99
    assert (found.all_in_focus == expected.all_in_focus).mean() > 0.99
    np.testing.assert_allclose(found.confidence[same], expected.confidence[same], atol=0.02)


@pytest.mark.parametrize(
    ("place", "name"),
    [(TorchFocusMeasure, "__call__"), (torch_focus_volume, "refine_peak")],
    ids=["a slice", "the end"],
)
def test_what_fails_on_the_gpu_is_answered_on_the_cpu(
    place: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = FocalStack(two_surfaces())
    expected = DepthPipeline(GraphCutBackend(GraphCutConfig(device="cpu"))).estimate(stack)
    tried = []

    def fails(*given: Any) -> None:
        tried.append(given)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr(
        graph_cut, "choose_device", lambda name: "cpu:0" if name == "auto" else name
    )
    backend = GraphCutBackend()
    monkeypatch.setattr(place, name, fails)
    with pytest.raises(DeviceError, match="too little memory: CUDA out of memory.*device=cpu"):
        backend.estimate(stack)
    tried.clear()
    pipeline = DepthPipeline(backend, cooldown_s=1000.0)
    for number in range(3):
        found = pipeline.estimate(stack)
        assert found.backend == "graph_cut"
        np.testing.assert_array_equal(found.depth, expected.depth)
        words = "is not tried for another" if number else "failed: the GPU has too little memory"
        assert words in found.fallback
        assert found.fallback in found.warnings
    assert len(tried) == 1
    assert expected.fallback == ""
