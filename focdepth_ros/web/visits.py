"""What is kept of every visitor: the files uploaded, the answer, and for how long."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from focdepth_ros.errors import FocdepthError
from focdepth_ros.web.answer import Answer
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.uploads import Upload


class Stopped(BaseException):
    """What is worked out is no longer wanted: an end as asked for, like KeyboardInterrupt.

    No `Exception`: the pipeline answers whatever a backend dies of with a simpler one.
    """


#: Visitors in the queue; more are told to come back.
MOST_WAITING = 32

_LEFT_SECONDS = 300.0  # after the page was closed: a telephone that slept comes back


class Visit:
    """One open page.

    Parameters
    ----------
    folder : Path
        Of its own, for its files; made when it is needed. The server gives a file to whoever can
        name it.

    Attributes
    ----------
    key : str
        Names the answer in addresses, which nobody else can guess.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.upload: Upload | None = None
        self.answer: Answer | None = None
        self.key = ""
        self.last_used = 0.0
        self._stopped = threading.Event()

    def begin(self) -> threading.Event:
        """Begin to work out a stack, and give up the one that may be under way.

        Returns
        -------
        Event
            Set when the work is no longer wanted.
        """
        self.stop()
        self._stopped = threading.Event()
        return self._stopped

    def stop(self) -> None:
        """Give up what is being worked out."""
        self._stopped.set()

    @staticmethod
    def new_key() -> str:
        """A name for an answer."""
        return secrets.token_urlsafe(16)

    def files_of(self, key: str) -> Path:
        """Folder for the files of an answer."""
        return self.folder / f"answer_{key}"

    def show(self, answer: Answer, key: str) -> None:
        """Keep an answer instead of the one before, whose files go."""
        before, self.answer, self.key = self.key, answer, key
        if before:
            self.drop(before)

    def forget(self) -> None:
        """Keep the answer no longer."""
        before, self.answer, self.key = self.key, None, ""
        if before:
            self.drop(before)

    def drop(self, key: str) -> None:
        """Remove the files of an answer."""
        shutil.rmtree(self.files_of(key), ignore_errors=True)

    def answered(self) -> Answer:
        """The answer that the page shows.

        Raises
        ------
        FocdepthError
            If there is none any more.
        """
        if self.answer is None:
            raise FocdepthError("the answer is no longer kept; press Estimate depth again")
        return self.answer


class Visits:
    """All open pages, by the name that the server has for each.

    Parameters
    ----------
    folder : Path
        For the files of all.
    limits : WebLimits
    clock : callable, optional
        Seconds; for tests.
    """

    def __init__(
        self, folder: Path, limits: WebLimits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._visits: dict[str, Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def of(self, name: str) -> Visit:
        """The visit of that name, a new one if there is none; what is too old is removed."""
        with self._lock:
            if name not in self._visits:
                self._visits[name] = Visit(self._folder / f"visit_{secrets.token_urlsafe(16)}")
            visit = self._visits[name]
            visit.last_used = self._clock()
        self.tidy()
        return visit

    def with_key(self, key: str) -> Visit | None:
        """The visit whose answer has that key, if it is still kept."""
        with self._lock:
            found = [visit for visit in self._visits.values() if visit.key and visit.key == key]
        return found[0] if found else None

    def leave(self, name: str) -> None:
        """The page was closed: what is kept of it goes soon, if it does not come back.

        Work for it ends, which nobody waits for any more.
        """
        with self._lock:
            visit = self._visits.get(name)
            if visit is not None:
                visit.stop()
                soon = self._clock() + _LEFT_SECONDS - 60.0 * self._limits.idle_minutes
                visit.last_used = min(visit.last_used, soon)
        self.tidy()

    def tidy(self) -> None:
        """Remove the visits that were idle for too long, and answers of which there are too many.

        Also the oldest visits, if there are more than can wait in the queue besides those.
        """
        limits = self._limits
        with self._lock:
            oldest = self._clock() - 60.0 * limits.idle_minutes
            in_turn = sorted(self._visits, key=lambda name: self._visits[name].last_used)
            too_many = len(in_turn) - limits.max_visits - MOST_WAITING
            gone = [
                self._visits.pop(name)
                for number, name in enumerate(in_turn)
                if number < too_many or self._visits[name].last_used < oldest
            ]
            answered = [
                visit
                for name in in_turn
                if (visit := self._visits.get(name)) is not None and visit.answer is not None
            ]
            for visit in answered[: max(len(answered) - limits.max_visits, 0)]:
                visit.forget()
        for visit in gone:
            visit.stop()
            shutil.rmtree(visit.folder, ignore_errors=True)

    def touch(self) -> None:
        """Make the files that are kept look new: Gradio removes by age what it serves."""
        with self._lock:
            folders = [visit.folder for visit in self._visits.values()]
        for folder in folders:
            for place, _, names in os.walk(folder):
                for name in names:
                    with suppress(OSError):  # it may be going right now
                        os.utime(os.path.join(place, name))
