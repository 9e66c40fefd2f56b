"""Stopping a run at the end of a step instead of in the middle of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from focdepth_ros.processes import ending_signals


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that the first signal to end sets; the second one does what it always does.

    In a thread other than the main one, which gets no signals, it is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in ending_signals()}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: object) -> None:
        stop.set()
        restore()

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
