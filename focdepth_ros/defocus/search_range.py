"""Between which depths depth from defocus looks."""

from __future__ import annotations

from collections.abc import Sequence

from focdepth_ros.errors import OptionError


def search_range(
    focus_distances: Sequence[float], near: float = 0.0, far: float = 0.0
) -> tuple[float, float]:
    """The range of dioptres in which to look for depth.

    Parameters
    ----------
    focus_distances : sequence of float
        Metres, of at least 2 slices; +inf allowed.
    near, far : float
        Metres; 0: as far as the sweep reaches, and half a mean step between slices beyond it, but
        not more than twice as far. `far` may be +inf.

    Returns
    -------
    far, near : float
        In 1/m, ``0 <= far < near``.

    Raises
    ------
    OptionError
        If the range is empty, or no focus distance lies in it.
    """
    focus = sorted(1.0 / distance for distance in focus_distances)
    beyond = 0.5 * (focus[-1] - focus[0]) / (len(focus) - 1)
    least = 1.0 / far if far > 0.0 else max(0.5 * focus[0], focus[0] - beyond)
    largest = 1.0 / near if near > 0.0 else focus[-1] + beyond
    if not least < largest:
        raise OptionError(
            f"depth is looked for from {1.0 / largest:g} m on, but only up to "
            f"{1.0 / least if least else float('inf'):g} m; give near < far"
        )
    if not any(least <= dioptre <= largest for dioptre in focus):
        listed = ", ".join(f"{distance:g}" for distance in focus_distances)
        raise OptionError(
            f"depth is looked for from {1.0 / largest:g} m to "
            f"{1.0 / least if least else float('inf'):g} m, but no focus distance ({listed} m) "
            "lies there; set near and far around them"
        )
    return least, largest
