"""What ends a node while its libraries are still being loaded.

Called before anything that takes time is imported, so nothing heavy is imported here.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

from focdepth_ros.processes import ending_signals


def end_at_once_on_signals() -> None:
    """What asks the process to end ends it with code 0: there is nothing yet to be closed.

    `node_runner.run_node` replaces the handlers.
    """
    for number in ending_signals():
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(0)
