"""`focdepth web` with one backend more: it answers like `argmax`, once it is released.

Run by the browser test, with the options of the command; it makes visitors wait for each other.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from focdepth_ros.backends import registry
from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.backends.base import Accumulator, SweepSpec
from focdepth_ros.cli import main

RELEASE = "FOCDEPTH_TEST_RELEASE"  # the environment variable that names the file it waits for
PATIENCE = 300.0  # seconds


class SlowBackend(ArgmaxBackend):
    """Begins when there is a file that releases it."""

    name = "slow"
    summary = "takes its time"

    def start(self, spec: SweepSpec) -> Accumulator:
        end = time.monotonic() + PATIENCE
        while not Path(os.environ[RELEASE]).exists() and time.monotonic() < end:
            time.sleep(0.05)
        return super().start(spec)


if __name__ == "__main__":
    registry._BACKENDS["slow"] = "slow_backend_page:SlowBackend"
    sys.exit(main(["web", *sys.argv[1:]]))
