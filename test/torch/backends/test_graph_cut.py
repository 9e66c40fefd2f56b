"""The backend `graph_cut` answers on torch as it does without."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_sweeps import two_surfaces

from focdepth_ros.backends import graph_cut
from focdepth_ros.backends.graph_cut import GraphCutBackend, GraphCutConfig
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
