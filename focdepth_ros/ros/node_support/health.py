"""What a node knows of its own state: for its log and for ``/diagnostics``. No ROS in it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """As in ``diagnostic_msgs/DiagnosticStatus``."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class HealthReport:
    """The state at one time: the worst level, what is wrong, and figures by name."""

    level: Level
    message: str
    values: dict[str, str]


@dataclass
class _Problem:
    detail: str
    level: Level
    seen: float
    logged: float
    unlogged: int = 0


class NodeHealth:
    """Collects what goes wrong, tells the log of it now and then, and reports it all.

    There are problems, which happen, and conditions, which last until they are cleared. A
    problem is logged when it happens first and then at most once per `log_period` for the same
    reason; it stays in the reports for `hold` seconds. One of level OK is only counted. A
    condition is logged when it sets in or changes, and when it is over. Safe to be used from
    several threads.

    Parameters
    ----------
    log : callable
        Called with the level and one line of text.
    log_period, hold : float
        Seconds.
    clock : callable
        Gives monotonic seconds.
    """

    def __init__(
        self,
        log: Callable[[Level, str], None],
        *,
        log_period: float = 10.0,
        hold: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._log_period = log_period
        self._hold = hold
        self._clock = clock
        self._lock = threading.Lock()
        self._problems: dict[str, _Problem] = {}
        self._conditions: dict[str, tuple[Level, str]] = {}
        self._problem_counts: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._values: dict[str, str] = {}

    def problem(self, reason: str, detail: str, level: Level = Level.WARN) -> None:
        """Something went wrong; `reason` is the same for all that is of one kind."""
        now = self._clock()
        line = None
        with self._lock:
            self._problem_counts[reason] += 1
            if level == Level.OK:
                return
            last = self._problems.get(reason)
            if last is None or now - last.logged >= self._log_period:
                unlogged = 0 if last is None else last.unlogged
                more = f" ({unlogged} more before, not logged)" if unlogged else ""
                line = f"{reason}: {detail}{more}"
                self._problems[reason] = _Problem(detail, level, seen=now, logged=now)
            else:
                last.detail, last.level, last.seen = detail, level, now
                last.unlogged += 1
        if line is not None:
            self._log(level, line)

    def condition(self, name: str, detail: str | None, level: Level = Level.WARN) -> None:
        """Something is not as it should be, until this is called again with None."""
        with self._lock:
            before = self._conditions.get(name)
            if detail is None:
                self._conditions.pop(name, None)
            else:
                self._conditions[name] = (level, detail)
        if detail is not None and (before is None or before[1] != detail):
            self._log(level, detail)
        elif detail is None and before is not None:
            self._log(Level.OK, f"no longer so: {before[1]}")

    def count(self, name: str, amount: int = 1) -> None:
        """Count something that is not a problem."""
        with self._lock:
            self._counts[name] += amount

    def problem_counts(self) -> dict[str, int]:
        """How often each problem happened, by reason."""
        with self._lock:
            return dict(self._problem_counts)

    def set_value(self, name: str, value: str) -> None:
        """A figure for the next reports."""
        with self._lock:
            self._values[name] = value

    def report(self, all_is_well: str) -> HealthReport:
        """The state now; `all_is_well` is the message where nothing is wrong."""
        since = self._clock() - self._hold
        with self._lock:
            wrong = list(self._conditions.values()) + [
                (problem.level, f"{reason}: {problem.detail}")
                for reason, problem in self._problems.items()
                if problem.seen >= since
            ]
            values = dict(self._values)
            for counts in (self._counts, self._problem_counts):
                values.update((name, str(number)) for name, number in counts.items())
        wrong.sort(key=lambda entry: -entry[0])
        return HealthReport(
            level=max((level for level, _ in wrong), default=Level.OK),
            message="; ".join(detail for _, detail in wrong) or all_is_well,
            values=values,
        )
