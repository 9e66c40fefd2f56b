"""What is made of a prediction: metres, and how far to believe them."""

from __future__ import annotations

import numpy as np
import torch

from focdepth_ros.estimate import depth_from_slice_index
from focdepth_ros.models.answers import Wanted, answer_of
from focdepth_ros.models.sweeps import Prediction, SliceFeatures

DIOPTRES = torch.tensor([2.5, 1.75, 1.0, 0.25])  # steps of 0.75


def slices_of(dioptres: torch.Tensor) -> list[SliceFeatures]:
    return [SliceFeatures((), None, None, None, item[None], (2, 3)) for item in dioptres]


def prediction_of(logit: float) -> Prediction:
    position = torch.tensor([[[-0.1, 0.0, 0.25], [0.5, 1.0, 1.2]]])
    return Prediction(position, torch.full_like(position, logit))


def test_metres_are_those_of_numpy() -> None:
    order = torch.tensor([2, 0, 3, 1])  # exposed in another order
    exposed = slices_of(DIOPTRES[order.argsort()])
    found = answer_of(prediction_of(0.0), exposed, order, Wanted(sharpest=False))
    np.testing.assert_allclose(found.slice_index, [[3, 3, 2.25], [1.5, 0, 0]], atol=1e-6)
    assert found.depth is not None
    expected = depth_from_slice_index(found.slice_index.numpy(), DIOPTRES.double().numpy())
    np.testing.assert_allclose(found.depth, expected, rtol=1e-6)
    assert found.sharpest is None
    assert found.picture is None
    assert bool(found.is_finite)


def test_of_two_equally_sure_places_the_nearer_depth_is_surer() -> None:
    order = torch.arange(4)
    found = answer_of(prediction_of(2.0), slices_of(DIOPTRES), order, Wanted(sharpest=False))
    assert found.depth is not None
    assert found.confidence is not None
    by_depth = found.confidence.flatten()[found.depth.flatten().argsort()]
    assert (by_depth.diff() <= 0.0).all()
    assert by_depth[0] > by_depth[-1]


def test_of_a_relative_sweep_the_confidence_is_that_of_the_place() -> None:
    wanted = Wanted(metres=False, sharpest=False)
    found = answer_of(prediction_of(2.0), slices_of(DIOPTRES), torch.arange(4), wanted)
    assert found.depth is None
    assert found.confidence is not None
    np.testing.assert_allclose(found.confidence, 1.0 / (1.0 + np.exp(-2.0)), rtol=1e-6)


def test_what_is_not_finite_is_told() -> None:
    broken = Prediction(torch.full((1, 2, 3), torch.nan), torch.zeros(1, 2, 3))
    found = answer_of(broken, slices_of(DIOPTRES), torch.arange(4), Wanted(sharpest=False))
    assert not bool(found.is_finite)
