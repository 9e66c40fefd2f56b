"""How likely a depth is right, from how likely its place in the sweep is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from focdepth_ros.models.depth_confidence import bend_of, logit_of_depth, tolerated

STEP = 0.75
DIOPTRES = torch.tensor([2.5, 1.75, 1.0, 0.25])


def slanted(height: int = 40, width: int = 60) -> torch.Tensor:
    """Inverse depths of a plane, from 0.4 to 2.4 across and a little down."""
    return torch.linspace(0.4, 2.4, width) + 0.002 * torch.arange(height)[:, None]


def test_what_is_tolerated_is_a_share_of_the_depth_but_no_less_than_can_be_measured() -> None:
    inverse = torch.tensor([2.5, 1.0, 0.75, 0.25, 0.0])
    found = tolerated(inverse, DIOPTRES)
    np.testing.assert_allclose(found, [0.05 * 2.5 / STEP, 0.05 / STEP, 0.05, 0.05, 0.05], rtol=1e-5)


def test_a_plane_does_not_bend_however_slanted() -> None:
    inside = bend_of(slanted(), DIOPTRES)[8:-8, 8:-8]
    np.testing.assert_allclose(inside, 0.01, atol=1e-5)


def test_a_fold_and_an_edge_bend() -> None:
    across = torch.arange(60)
    folded = (1.0 + 0.3 * torch.sin(across / 3.0)).expand(40, 60)
    stepped = torch.where(across < 30, 0.5, 2.0).expand(40, 60)
    left = 1.0 - np.sin(7.5 / 3.0) / (7.5 / 3.0)  # of a wave, once its mean over 15 px is taken
    highest = float(bend_of(folded, DIOPTRES)[20, 8:-8].max())
    assert highest == pytest.approx(0.01 + left * 0.3 / STEP, rel=0.02)
    at_edge = bend_of(stepped, DIOPTRES)[20]
    np.testing.assert_allclose(at_edge[29:31], 0.01 + 7 / 15 * 1.5 / STEP, rtol=1e-4)
    np.testing.assert_allclose(at_edge[[20, 40]], 0.01, atol=1e-5)


def test_bends_are_counted_in_steps() -> None:
    fine = torch.linspace(2.5, 0.25, 7)  # twice as many steps
    bumpy = slanted() + torch.randn(40, 60, generator=torch.Generator().manual_seed(0))
    coarse = bend_of(bumpy, DIOPTRES) - 0.01
    np.testing.assert_allclose(bend_of(bumpy, fine) - 0.01, 2.0 * coarse, rtol=1e-4, atol=1e-5)


def test_the_same_place_is_surer_near_by_and_on_a_plane() -> None:
    logits = torch.full((40, 60), 2.0)
    plane = logit_of_depth(logits, slanted(), DIOPTRES)
    assert bool((plane[20, 8:-8].diff() >= -1e-4).all())
    assert float(plane[20, 50]) > float(plane[20, 10]) + 1.0
    bumpy = slanted() + 0.1 * torch.randn(40, 60, generator=torch.Generator().manual_seed(0))
    assert float((logit_of_depth(logits, bumpy, DIOPTRES) < plane).float().mean()) > 0.9


def test_what_the_network_is_surer_of_is_surer() -> None:
    unsure, sure = (
        logit_of_depth(torch.full((40, 60), value), slanted(), DIOPTRES) for value in (-1.0, 3.0)
    )
    assert bool((sure > unsure).all())
