"""Runs one node from its parameters to a clean end by Ctrl-C or a signal."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from focdepth_ros.errors import FocdepthError
from focdepth_ros.processes import ending_signals
from focdepth_ros.ros.node_support.health import Level
from focdepth_ros.ros.node_support.memory import keep_freed_memory

_WAKE_PERIOD = 0.1  # seconds; signals do not wake the executor


class Interrupted(Exception):  # noqa: N818, it is no error
    """A signal came while a node was being set up."""


class NodeFinished(Exception):  # noqa: N818, it is no error
    """Raised in a callback of a node whose work is done; ends it."""


class RunnableNode(Protocol):
    """What `run_node` needs of a node."""

    @property
    def node(self) -> Node:
        """The node of rclpy."""

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""

    def close(self) -> int | None:
        """End all threads. The node can still publish, nothing will be received any more.

        Returns
        -------
        int or None
            Exit code of the process, if it is another one than 0.
        """


def run_node(
    name: str, create: Callable[[Node], RunnableNode], args: Sequence[str] | None = None
) -> int:
    """Run a node in the main thread until a signal asks it to end, or its work is done.

    Parameters
    ----------
    name : str
        Of the node, unless it is remapped.
    create : callable
        Sets up the node. A `FocdepthError` that it raises ends the process with a line of log,
        as does a command line that cannot be used.
    args : sequence of str, optional
        The command line; that of the process by default.

    Returns
    -------
    int
        Exit code: that of the node, usually 0, or 2 if it could not be set up.
    """
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    keep_freed_memory()
    # rclpy's own handlers would take away the context from threads that still publish.
    for number in ending_signals():
        signal.signal(number, on_signal)
    logger = get_logger(name)
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # what rcl has to say about a command line
        logger.fatal(str(error).replace("\n", " "))
        return 2
    node: Node | None = None
    try:
        try:
            node = Node(name)
            runnable = create(node)
        # The latter two: rclpy refuses a value of use_sim_time or qos_overrides.
        except (FocdepthError, ParameterException, RuntimeError) as error:
            logger.fatal(str(error))
            logger.debug(traceback.format_exc())
            return 2
        except Interrupted:
            return 0
        try:
            _spin(runnable, stop)
        finally:
            exit_code = runnable.close()
        return exit_code or 0
    finally:
        if node is not None:
            node.destroy_node()  # or it would be seen by others as long as the process lives
        rclpy.try_shutdown()


def log_at(level: Level, logger: Any, text: str) -> None:
    """Log a text at the severity of a level."""
    # Each severity needs a line of its own: rclpy ties it to the place of the call.
    if level == Level.ERROR:
        logger.error(text)
    elif level == Level.WARN:
        logger.warning(text)
    else:
        logger.info(text)


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets a signal end long work at once by `Interrupted`.

    For the set-up of a node only, and only around work that may be left half done.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    before = {number: signal.signal(number, on_signal) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Keeps signals until the block is done; then each goes to the handler it had before.

    For calls into rclpy: an exception that a handler raises within one comes out as another.
    """
    received: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, on_signal) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in dict.fromkeys(received):
            signal.raise_signal(late)


def _spin(runnable: RunnableNode, stop: threading.Event) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(runnable.node)
    try:
        while not stop.is_set():
            try:
                executor.spin_once(timeout_sec=_WAKE_PERIOD)
            except (ExternalShutdownException, NodeFinished):
                return
            except Exception as error:  # such as a message that cannot be deserialised
                runnable.complain(error)
    finally:
        # Not for ever: a callback may wait for what does not come any more.
        executor.shutdown(timeout_sec=_WAKE_PERIOD)
