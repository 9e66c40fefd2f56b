"""Plays a ROS 2 bag where there is no ``ros2 bag``: the recorded bytes at their recorded times."""

from __future__ import annotations

if __name__ == "__main__":
    from focdepth_ros.ros.early_signals import end_at_once_on_signals

    end_at_once_on_signals()

import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMessage

from focdepth_ros.bags.reading import BagReader
from focdepth_ros.bags.topics import BagSettings, choose_topics
from focdepth_ros.errors import BagError, OptionError
from focdepth_ros.ros.bag_topics import message_class, playback_qos
from focdepth_ros.ros.conversions import time_message
from focdepth_ros.ros.node_support.node_runner import NodeFinished, run_node
from focdepth_ros.ros.node_support.qos_events import overridable
from focdepth_ros.ros.node_support.surroundings import warn_of_surroundings
from focdepth_ros.ros.parameters.bag_player import BagPlayerParameters
from focdepth_ros.ros.params import declare_parameters, warn_of_unknown_parameters

_CLOCK = "/clock"
_CLOCK_PERIOD = 0.025  # seconds of real time, as of ``ros2 bag play --clock``
_PROGRESS_PERIOD = 5.0  # seconds
_POLL_PERIOD = 0.1  # seconds
_TOO_LATE = 0.2  # seconds behind the recording that are worth a word
_ACKNOWLEDGED = Duration(seconds=5)
_LINGER = 0.5  # seconds in which what was sent by best effort still arrives
_NANOSECONDS = 10**9  # per second
_LEFT_OUT = 1


class BagPlayerNode:
    """Plays the messages of a bag as they are, none left out for want of time.

    A thread reads and publishes; when it is late it does not skip, but catches up.

    Parameters
    ----------
    node : Node

    Raises
    ------
    FocdepthError
        If a parameter is out of range, or the bag cannot be opened or has nothing to play.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._log = node.get_logger()
        self._parameters = parameters = declare_parameters(node, BagPlayerParameters)
        warn_of_unknown_parameters(node)
        warn_of_surroundings(node)
        self._path = Path(parameters.bag)
        self._left_out = 0
        self._late = 0.0
        self._count = 0
        with BagReader(self._path) as reader:
            self._first, self._last = reader.span
            self._publishers = self._create_publishers(reader)
            self._awaited = self._find_awaited(reader)
        self._clock = node.create_publisher(ClockMessage, _CLOCK, 10) if parameters.clock else None
        self._clock_sent = 0.0
        self._stop = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bag_player")
        node.create_timer(
            _POLL_PERIOD, self._end_if_done, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._log.info(
            f"playing {self._path}: {len(self._publishers)} topics, {self._seconds(self._last):.1f}"
            f" s at {parameters.rate:g} times the speed"
        )
        self._thread.start()

    def close(self) -> int:
        """Stop playing; 1 if something of the bag was left out."""
        self._stop.set()
        self._thread.join()
        return _LEFT_OUT if self._left_out else 0

    def complain(self, error: Exception) -> None:
        """Report an error that nobody has foreseen; the node goes on."""
        self._log.debug("".join(traceback.format_exception(error)))
        self._log.error(f"{type(error).__name__}: {error}", throttle_duration_sec=1.0)

    def _create_publishers(self, reader: BagReader) -> dict[str, Any]:
        there = {topic.name: topic for topic in reader.topics}
        wanted = self._parameters.topic_names or tuple(there)
        unknown = [name for name in wanted if name not in there]
        if unknown:
            raise OptionError(
                f"parameter 'topics' names {', '.join(unknown)}; {self._path} has "
                f"{', '.join(there) or 'no topics'}"
            )
        publishers = {}
        for name in wanted:
            if name == _CLOCK and self._parameters.clock:
                continue  # there must be one clock
            try:
                kind = message_class(there[name].kind)
            except BagError as error:
                self._leave_out(f"{name}: {error}")
                continue
            publishers[name] = self.node.create_publisher(
                kind,
                name,
                playback_qos(reader.offered_qos(name)),
                qos_overriding_options=overridable(),
            )
        if not publishers:
            raise BagError(f"{self._path}: has no messages that can be played")
        return publishers

    def _find_awaited(self, reader: BagReader) -> list[Any]:
        """Publishers that must be heard before anything is sent; none of them: any."""
        named: tuple[str | None, ...] = self._parameters.awaited_names
        if unknown := [name for name in named if name not in self._publishers]:
            raise OptionError(
                f"parameter 'awaited' names {', '.join(map(str, unknown))}; played are "
                f"{', '.join(self._publishers)}"
            )
        if not named:
            try:
                topics = choose_topics(reader, BagSettings())
            except BagError:  # no bag of one camera whose focus moves, or not clear which
                return []
            named = (topics.images, topics.focus, topics.depth)
        return [self._publishers[name] for name in named if name in self._publishers]

    def _run(self) -> None:
        try:
            self._wait_until_heard()
            self._play_once()
            while self._parameters.loop and not self._stop.is_set():
                self._log.info("from the beginning")
                self._play_once()
            if not self._stop.is_set():
                self._see_off()
        except Exception as error:
            self._left_out += 1
            self.complain(error)
        self._done.set()

    def _wait_until_heard(self) -> None:
        needed = self._parameters.wait_for_subscribers
        asked = time.monotonic()
        while lacking := self._unheard(needed):
            if self._stop.wait(0.02):
                return
            if time.monotonic() - asked > _PROGRESS_PERIOD:
                asked = time.monotonic()
                names = ", ".join(publisher.topic_name for publisher in lacking)
                self._log.info(f"waiting for {needed} subscribers to {names}")
        self._stop.wait(self._parameters.start_delay)

    def _unheard(self, needed: int) -> list[Any]:
        """Publishers that have too few subscribers yet."""
        every = self._awaited or list(self._publishers.values())
        lacking = [item for item in every if item.get_subscription_count() < needed]
        return lacking if self._awaited or len(lacking) == len(every) else []

    def _play_once(self) -> None:
        started = told = time.monotonic()
        # Opened anew in this thread, since SQLite refuses to be used by two.
        try:
            with BagReader(self._path) as reader:
                for topic, received, data in reader.serialised(tuple(self._publishers)):
                    if not self._wait_for(received, started):
                        return
                    damage = reader.damage(topic, data)
                    if damage:
                        self._leave_out(
                            f"damaged message on {topic.name}, at {self._seconds(received):.3f} s "
                            f"of the bag: {damage}"
                        )
                        continue
                    self._publishers[topic.name].publish(bytes(data))
                    self._count += 1
                    if time.monotonic() - told > _PROGRESS_PERIOD:
                        told = time.monotonic()
                        self._log.info(
                            f"{self._seconds(received):.1f} of {self._seconds(self._last):.1f} s, "
                            f"{self._count} messages"
                        )
        except BagError as error:
            self._leave_out(str(error))

    def _wait_for(self, received: int, started: float) -> bool:
        """Whether it is now time for a message, and not to stop."""
        due = started + self._seconds(received) / self._parameters.rate
        self._tick(started)
        while (left := due - time.monotonic()) > 0.0:
            if self._stop.wait(left if self._clock is None else min(left, _CLOCK_PERIOD)):
                return False
            self._tick(started)
        self._late = max(self._late, -left)
        return not self._stop.is_set()

    def _tick(self, started: float) -> None:
        now = time.monotonic()
        if self._clock is None or now - self._clock_sent < _CLOCK_PERIOD:
            return
        self._clock_sent = now
        passed = round((now - started) * self._parameters.rate * _NANOSECONDS)
        self._clock.publish(ClockMessage(clock=time_message(self._first + passed)))

    def _see_off(self) -> None:
        """Wait until all that was sent has arrived, and say so."""
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(_ACKNOWLEDGED)
        self._stop.wait(_LINGER)
        if self._late > _TOO_LATE:
            self._log.warning(
                f"messages were sent up to {self._late:.1f} s late, the disk or the processor is "
                "too slow; lower the rate"
            )
        played = f"played {self._count} messages of {self._path}"
        self._log.info(f"{played}, {self._left_out} left out" if self._left_out else played)

    def _leave_out(self, what: str) -> None:
        self._left_out += 1
        self._log.error(f"left out: {what}")

    def _seconds(self, received: int) -> float:
        """Since the first message."""
        return (received - self._first) / _NANOSECONDS

    def _end_if_done(self) -> None:
        if self._done.is_set() and self._parameters.exit_at_end:
            raise NodeFinished


def main(args: Sequence[str] | None = None) -> int:
    """Run `bag_player_node` until the bag is played; the exit code is returned."""
    return run_node("bag_player_node", BagPlayerNode, args)


if __name__ == "__main__":
    sys.exit(main())
