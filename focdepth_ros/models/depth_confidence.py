"""How likely a depth in metres is right, from what a network says of its place in the sweep.

A network learns whether its position is within a quarter of a step of the truth. Whether the depth
is right depends on how much of it a step is, and on what the surface around it does: where a
surface bends, positions are averaged over what has different depths.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from focdepth_ros.models.focus_guide import step_of

#: Steps; what the logits of a network are about.
OF_PLACE = 0.25

_RIGHT = 0.05  # of the depth
_FINEST = 0.05  # steps
_WINDOW = 15  # px
_LEAST_BEND = 0.01  # steps, less than which is noise


@dataclass(frozen=True)
class ConfidenceWeights:
    """Of a logistic regression, fitted by benchmarks/fit_network_confidence.py.

    Parameters
    ----------
    place : float
        Of the network's logit.
    tolerance : float
        Of the log of what is tolerated, in units of `OF_PLACE`.
    bend : float
        Of the log of `bend_of`.
    bias : float
    """

    place: float
    tolerance: float
    bend: float
    bias: float


#: One set for both networks, between those fitted to each on scenes for validation.
FITTED = ConfidenceWeights(place=1.0, tolerance=1.5, bend=-0.15, bias=0.05)


def logit_of_depth(of_place: Tensor, inverse_depth: Tensor, dioptres: Tensor) -> Tensor:
    """Logit of the probability that a depth is right, see `tolerated`.

    Parameters
    ----------
    of_place : (H, W)
        The network's.
    inverse_depth : (H, W)
        1/m.
    dioptres : (N,)
        Of the slices, falling.
    """
    tolerance = (tolerated(inverse_depth, dioptres) / OF_PLACE).log()
    bend = bend_of(inverse_depth, dioptres).log()
    weights = FITTED
    surface = weights.tolerance * tolerance + weights.bend * bend
    return weights.place * of_place + surface + weights.bias


def tolerated(inverse_depth: Tensor, dioptres: Tensor) -> Tensor:
    """Steps that an inverse depth (H, W) may be off to be right: 5 % of the depth.

    And where that is less than a twentieth of a step, that: no focus measure tells more.
    """
    return (_RIGHT * inverse_depth / _step(dioptres)).clamp(min=_FINEST)


def bend_of(inverse_depth: Tensor, dioptres: Tensor) -> Tensor:
    """Steps between an inverse depth (H, W) and its mean over the pixels around it, above 0.

    None on a plane, however slanted; much beside edges and on what is folded.
    """
    values = inverse_depth[None]
    across, down = ((1, _WINDOW), (0, _WINDOW // 2)), ((_WINDOW, 1), (_WINDOW // 2, 0))
    mean = values
    for window, padding in (across, down):
        mean = functional.avg_pool2d(mean, window, 1, padding, count_include_pad=False)
    return (values - mean)[0].abs() / _step(dioptres) + _LEAST_BEND


def _step(dioptres: Tensor) -> Tensor:
    return step_of(len(dioptres)) * (dioptres[0] - dioptres[-1])
