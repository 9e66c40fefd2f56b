"""`focdepth web` with one backend more: it answers like `argmax`, after a while.

Run by the browser test, with the options of the command; it makes visitors wait for each other.
"""

from __future__ import annotations

import sys
import time

from focdepth_ros.backends import registry
from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.backends.base import Accumulator, SweepSpec
from focdepth_ros.cli import main

SECONDS = 6.0


class SlowBackend(ArgmaxBackend):
    """Takes its time before it begins."""

    name = "slow"
    summary = "takes its time"

    def start(self, spec: SweepSpec) -> Accumulator:
        time.sleep(SECONDS)
        return super().start(spec)


if __name__ == "__main__":
    registry._BACKENDS["slow"] = "slow_backend_page:SlowBackend"
    sys.exit(main(["web", *sys.argv[1:]]))
