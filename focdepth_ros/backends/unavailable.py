"""What stands in for a backend that was asked for and cannot be had."""

from __future__ import annotations

from collections.abc import Callable

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.errors import FocdepthError


class UnavailableBackend(Backend):
    """Fails on every sweep with the reason, so that the pipeline's fallback answers and says why.

    Parameters
    ----------
    name : str
        Of the backend that was asked for.
    reason : FocdepthError
        Why it could not be made.
    create : callable, optional
        Makes it; given where that may yet succeed, as after a failure of the device. It is tried
        at every sweep but the first, until there is one to hand the sweeps on to.
    """

    summary = "stands in for a backend that cannot be had"
    config_class = object

    def __init__(
        self, name: str, reason: FocdepthError, create: Callable[[], Backend] | None = None
    ) -> None:
        self.name = name
        self._reason = reason
        self._create = create
        self._has_told = False
        self._made: Backend | None = None

    def start(self, spec: SweepSpec) -> Accumulator:
        if self._made is None:
            if self._create is None or not self._has_told:
                self._has_told = True
                raise self._reason.with_traceback(None)
            self._made = self._create()
        return self._made.start(spec)
