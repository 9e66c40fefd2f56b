"""The all-in-focus image that explains a focal stack best, where the depth is known.

The blur is linear in the image, so this is a least-squares problem with bounds: FISTA.

References
----------
Beck and Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse
Problems", SIAM J. Imaging Sciences 2(1), 2009, section 4.
O'Donoghue and Candès, "Adaptive Restart for Accelerated Gradient Schemes", Foundations of
Computational Mathematics 15, 2015, section 3.2 (gradient scheme).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

_POWER_ITERATIONS = 15
_CHECK_EVERY = 10
_SAFETY = 1.02  # on the Lipschitz constant, which power iteration approaches from below


class LinearOperator(Protocol):
    """A linear map and its adjoint."""

    def forward(self, image: Tensor) -> Tensor:
        """Image to observation."""

    def adjoint(self, stack: Tensor) -> Tensor:
        """Observation to image."""


def lipschitz_constant(
    operator: LinearOperator, like: Tensor, *, deadline: float = math.inf
) -> float:
    """Largest eigenvalue of ``Aᵀ A`` by power iteration: the gradient's Lipschitz constant.

    Parameters
    ----------
    operator : LinearOperator
    like : tensor
        Of the shape and on the device of an image.
    deadline : float
        Value of ``time.monotonic()`` after which it ends with a value that is too low.
    """
    generator = torch.Generator().manual_seed(0)
    # Blur is the strongest where the image is even, and weights are positive: begin near there.
    vector = (1.0 + 0.1 * torch.rand(like.shape, generator=generator)).to(like.device)
    value = 0.0
    for _ in range(_POWER_ITERATIONS):
        if time.monotonic() >= deadline:
            break
        vector = vector / vector.norm()
        vector = operator.adjoint(operator.forward(vector))
        value = float(vector.norm())
    return value


def fista(
    operator: LinearOperator,
    observed: Tensor,
    start: Tensor,
    iterations: int,
    *,
    weight: Tensor | None = None,
    tolerance: float = 0.0,
    deadline: float = math.inf,
    check: Callable[[], None] = lambda: None,
) -> tuple[Tensor, int, bool]:
    """Minimise ``|A x - b|²`` over images x with values in [0, 1].

    Parameters
    ----------
    operator : LinearOperator
        A.
    observed : tensor
        b.
    start : tensor
        First x.
    iterations : int
        How many at most.
    weight : tensor, optional
        Of each observation, in [0, 1]; 1 by default.
    tolerance : float
        Ends when ten iterations lower the error by less than this share of it; 0: never.
    deadline : float
        Value of ``time.monotonic()`` after which no further iteration is begun.
    check : callable, optional
        Called before every iteration; what it raises ends them.

    Returns
    -------
    image : tensor
    iterations : int
        How many were made.
    cut_short : bool
        Whether it was the deadline that ended them.
    """
    constant = lipschitz_constant(operator, start, deadline=deadline)
    if time.monotonic() >= deadline:
        return start, 0, True
    step = 1.0 / (_SAFETY * constant)
    image = ahead = start
    momentum = 1.0
    before = math.inf
    done = 0
    while done < iterations:
        if time.monotonic() >= deadline:
            return image, done, True
        check()
        residual = operator.forward(ahead).sub_(observed)
        if weight is not None:
            residual.mul_(weight)
        if tolerance > 0.0 and done % _CHECK_EVERY == 0:
            error = float(residual.square().sum())
            if error > before * (1.0 - tolerance):
                break
            before = error
        new = (ahead - step * operator.adjoint(residual)).clamp_(0.0, 1.0)
        change = new - image
        # Momentum that leads uphill is dropped.
        if float(((ahead - new) * change).sum()) > 0.0:
            momentum = 1.0
        next_momentum = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum**2))
        ahead = torch.add(new, change, alpha=(momentum - 1.0) / next_momentum)
        image, momentum = new, next_momentum
        done += 1
    return image, done, False
