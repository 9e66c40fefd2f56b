"""How long a signal should be for its Fourier transform to be quick."""

from __future__ import annotations


def fast_length(least: int) -> int:
    """The next even number without a prime factor above 5, for which transforms are quick.

    Parameters
    ----------
    least : int
        At least 1.
    """
    length = least + least % 2
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 2
