"""Async functions that run a step at a time in the callbacks of a node, in its one thread.

An async function waits for a condition by being asked again, whenever something happened. rclpy
can run coroutines itself, but only inside its executor and not to an end after it has stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class _NextStep:
    """Awaited, it gives the word back until the next step."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def until(condition: Callable[[], Any], seconds: float) -> bool:
    """Wait for a condition; whether it holds, and not the time is up."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        await _NextStep()
    return True


class Routine:
    """An async function at work.

    Parameters
    ----------
    coroutine : coroutine
        It waits by `until` only.
    """

    def __init__(self, coroutine: Coroutine[None, None, None]) -> None:
        self._coroutine = coroutine
        self._is_in_step = False
        #: Whether it has come to its end.
        self.is_done = False

    def step(self) -> None:
        """Let it go on until it waits again. What it raises ends it and is raised here."""
        if self.is_done or self._is_in_step:
            return
        self._is_in_step = True
        try:
            self._coroutine.send(None)
        except StopIteration:
            self.is_done = True
        except BaseException:
            self.is_done = True
            raise
        finally:
            self._is_in_step = False

    def close(self) -> None:
        """Let go of it where it waits."""
        self.is_done = True
        self._coroutine.close()
