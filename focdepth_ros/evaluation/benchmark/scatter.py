"""What the charts of error against cost in a benchmark's page are drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from focdepth_ros.evaluation.report_tables import COLOURS, round_up

_WIDTH, _HEIGHT, _MARGIN = 420.0, 250.0, 46.0  # px
_ROOM = 1.3  # beyond the least and the greatest cost, as a factor
_Y_TICKS = 4


@dataclass(frozen=True)
class Dot:
    """A backend: what it costs, in the unit of the axis, and how far off it is."""

    name: str
    cost: float
    error: float


def scatter_chart(x_label: str, y_label: str, dots: Sequence[Dot]) -> dict[str, Any] | None:
    """Places of dots and ticks in an SVG, the cost on a logarithmic axis.

    Parameters
    ----------
    x_label, y_label : str
    dots : sequence of Dot
        The colour is by the place in it. Those without cost or error are left out.

    Returns
    -------
    dict or None
        None where fewer than two dots are left, as there is nothing to compare.
    """
    known = [
        (dot, COLOURS[number % len(COLOURS)])
        for number, dot in enumerate(dots)
        if dot.cost > 0.0 and math.isfinite(dot.error)
    ]
    if len(known) < 2:
        return None
    low = math.log10(min(dot.cost for dot, _ in known) / _ROOM)
    high = math.log10(max(dot.cost for dot, _ in known) * _ROOM)
    top = round_up(max(dot.error for dot, _ in known) or 1.0)

    def x(cost: float) -> float:
        return round(
            _MARGIN + (math.log10(cost) - low) / (high - low) * (_WIDTH - 1.5 * _MARGIN), 1
        )

    def y(error: float) -> float:
        return round(_HEIGHT - _MARGIN - error / top * (_HEIGHT - 2.0 * _MARGIN), 1)

    shares = [step / _Y_TICKS for step in range(_Y_TICKS + 1)]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "margin": _MARGIN,
        "x_label": x_label,
        "y_label": y_label,
        "x_ticks": [(x(cost), f"{cost:g}") for cost in _log_ticks(low, high)],
        "y_ticks": [(y(share * top), f"{share * top:.3g}") for share in shares],
        "dots": [
            {"name": dot.name, "x": x(dot.cost), "y": y(dot.error), "colour": colour}
            for dot, colour in known
        ],
    }


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between powers of ten, from three to eight of them where that can be."""
    ticks: list[float] = []
    for digits in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        ticks = [
            digit * 10.0**decade
            for decade in range(math.floor(low), math.ceil(high) + 1)
            for digit in digits
            if low <= math.log10(digit) + decade <= high
        ]
        if len(ticks) >= 3:
            break
    return ticks
