"""What stands in for a backend that was asked for and cannot be had."""

from __future__ import annotations

from typing import NoReturn

from focdepth_ros.backends.base import Backend, SweepSpec
from focdepth_ros.errors import FocdepthError


class UnavailableBackend(Backend):
    """Fails on every sweep with the reason, so that the pipeline's fallback answers and says why.

    Parameters
    ----------
    name : str
        Of the backend that was asked for.
    reason : FocdepthError
        Why it could not be made.
    """

    summary = "stands in for a backend that cannot be had"
    config_class = object

    def __init__(self, name: str, reason: FocdepthError) -> None:
        self.name = name
        self._reason = str(reason)

    def start(self, spec: SweepSpec) -> NoReturn:
        raise FocdepthError(self._reason)
