"""Fixtures of the tests of the command line."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that ``auto`` fuses by the same on every machine; networks are tested in test/torch."""
    monkeypatch.setattr("focdepth_ros.fusion.FUSION_BACKENDS", ("no_such", "graph_cut", "argmax"))
