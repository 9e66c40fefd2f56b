"""A small network of random weights as a backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_network import small_network

from focdepth_ros.backends.base import Backend
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.models.checkpoint import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, small_network())
    return str(path)


@pytest.fixture
def create(weights: str, device: str) -> Callable[..., Backend]:
    def make(**options: Any) -> Backend:
        # What is recorded would not see what a test puts in the place of a part.
        plain = {"weights": weights, "device": device, "compile": "none"}
        return create_backend("focdepthformer", **{**plain, **options})

    return make


@pytest.fixture
def backend(create: Callable[..., Backend]) -> Backend:
    return create(precision="fp32")
