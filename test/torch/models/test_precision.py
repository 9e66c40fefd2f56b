"""What is set of torch while something is calculated, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from focdepth_ros.models import precision
from focdepth_ros.torch_device import without_tf32


@pytest.mark.parametrize("enabled", [True, False])
def test_only_the_short_floats_of_cudnn_are_turned_off(enabled: bool) -> None:
    cudnn = torch.backends.cudnn
    before = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32)
    with cudnn.flags(enabled=enabled, benchmark=True, deterministic=True, allow_tf32=True):
        with without_tf32():
            assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (enabled, True, True)
            assert not cudnn.allow_tf32
        assert cudnn.allow_tf32
    after = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32)
    assert after == before


def test_more_variants_are_compiled_than_torch_would_and_a_larger_limit_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch._dynamo import config

    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
    before = getattr(config, name)
    try:
        setattr(config, name, 8)
        precision.compile_many_variants()
        variants = []

        def backend(module: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
            variants.append(inputs)
            return module.forward

        compiled = torch.compile(lambda values: values + 1.0, dynamic=False, backend=backend)
        for size in range(2, 14):
            compiled(torch.zeros(size))
        assert len(variants) == 12
        setattr(config, name, 1000)
        precision.compile_many_variants()
        assert getattr(config, name) == 1000
    finally:
        setattr(config, name, before)
