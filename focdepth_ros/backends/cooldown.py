"""The pause after a failure in which nothing is asked of what has failed."""

from __future__ import annotations

import time
from collections.abc import Callable

from focdepth_ros.errors import OptionError


class Cooldown:
    """Remembers a failure for a while.

    Parameters
    ----------
    seconds : float
        How long; 0: not at all.
    clock : callable
        Gives monotonic seconds.

    Raises
    ------
    OptionError
        If `seconds` is negative or not finite.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not 0.0 <= seconds < float("inf"):
            raise OptionError(f"cooldown_s {seconds} is not a number of seconds, 0 or more")
        self.seconds = seconds
        self._clock = clock
        self._reason = ""
        self._over_at = -float("inf")

    def begin(self, reason: str) -> None:
        """Something has failed for this reason."""
        self._reason = reason
        self._over_at = self._clock() + self.seconds

    def reason(self) -> str | None:
        """Why nothing is to be tried now, and for how long; None if it may be."""
        left = self._over_at - self._clock()
        if left <= 0.0:
            return None
        return f"not tried for another {left:.1f} s after it failed: {self._reason}"
