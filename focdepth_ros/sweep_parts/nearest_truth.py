"""Which ground truth belongs to a sweep; the same rule for bags and for topics."""

from __future__ import annotations

from collections.abc import Iterable

_NANOSECONDS = 10**9  # per second


def nearest_in_time(
    truths: Iterable[tuple[int, int]], wanted: tuple[int, int], *, tolerance: float
) -> tuple[int, int] | None:
    """The truth whose stamp is nearest to that of the reference slice of a sweep.

    Parameters
    ----------
    truths : iterable of tuple of int
        Stamp and time of receipt of each, in nanoseconds.
    wanted : tuple of int
        The same of the reference slice. Of truths that are equally near in stamp, as those of a
        bag that is played in a loop, the one nearest in receipt is taken.
    tolerance : float
        Seconds between the stamps, at most.

    Returns
    -------
    tuple of int, or None
        One of `truths`; None if none is near enough.
    """
    stamp, received = wanted
    nearest = min(
        truths, key=lambda truth: (abs(truth[0] - stamp), abs(truth[1] - received)), default=None
    )
    if nearest is None or abs(nearest[0] - stamp) > tolerance * _NANOSECONDS:
        return None
    return nearest
