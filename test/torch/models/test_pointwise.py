"""1x1 convolutions as products are the convolutions, in the layout that is asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from focdepth_ros.models.pointwise import mixed, planes_of

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_planes(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 5, 1)
    features = torch.randn(2, 6, 4, 3).to(memory_format=layout)
    found = planes_of(layer, features)
    assert found.is_contiguous()
    torch.testing.assert_close(found, layer(features), rtol=1e-5, atol=1e-6)


def test_planes_of_some_channels() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 5, 1)
    features = torch.randn(2, 6, 4, 3)
    expected = layer(features)[:, 1:3]
    torch.testing.assert_close(planes_of(layer, features, slice(1, 3)), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mixed_parts(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(9, 5, 1)
    parts = [torch.randn(2, count, 4, 3) for count in (6, 2, 1)]
    parts[0] = parts[0].to(memory_format=layout)
    found = mixed(layer, parts)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, layer(torch.cat(parts, dim=1)), rtol=1e-5, atol=1e-6)


def test_weights_that_no_part_uses_are_a_mistake() -> None:
    with pytest.raises(AssertionError):
        mixed(nn.Conv2d(9, 5, 1), [torch.randn(2, 6, 4, 3)])
