"""Which sweeps a running `depth_node` answered, and which it says that it did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from focdepth_ros.sweep_parts.types import USUAL, USUAL_AT_FIRST

# What `depth_node` counts beside frames and sweeps that it left out, or what is named sweep by
# sweep: such a one has no answer, or that of a fallback.
_NAMED_OTHERWISE = frozenset(
    {
        "sweep outrun",
        "no depth",
        "fell back",
        "not aligned",
        "alignment warning",
        "backend warning",
    }
)


class SweepLedger:
    """Numbers the sweeps from 1 as `focdepth bag info` does, and finds the gaps.

    Parameters are those of ``SweepInfo``: sweeps are counted, and what was left out is, since the
    node was started.
    """

    def __init__(self) -> None:
        #: Number of the last sweep before the evaluation began; None: not known.
        self._before: int | None = None
        self._offset = 0
        self._dropped: dict[int, Counter[str]] = {}

    def begin(self, received: int) -> None:
        """The node has put together so many sweeps before; the first call counts."""
        if self._before is None:
            self._before = received

    def enter(self, sequence: int, dropped: Mapping[str, int]) -> int:
        """Take down a sweep that was answered.

        Returns
        -------
        int
            Its number; it is not `sequence` if the node was started anew meanwhile.
        """
        self.begin(sequence - 1)
        number = self._offset + sequence
        if number in self._dropped:
            self._offset = max(self._dropped)
            number = self._offset + sequence
        self._dropped[number] = Counter(dropped)
        return number

    def unanswered(self, received: int) -> Iterator[tuple[int, str]]:
        """Numbers of the sweeps that were not answered, and why as far as is known.

        Parameters
        ----------
        received : int
            Sweeps that the node has put together until now; 0 where it does not say.
        """
        last = max(self._offset + received, max(self._dropped, default=0))
        for number in range((self._before or 0) + 1, last + 1):
            if number not in self._dropped:
                yield number, self._why(number)

    def left_out(self) -> str:
        """What else was left out, by reason; empty if nothing, or only what usually is."""
        if not self._dropped:
            return ""
        numbers = sorted(self._dropped)
        first, last = self._dropped[numbers[0]], self._dropped[numbers[-1]]
        # At the start of a stream some frames are of a sweep that is under way already. Of a node
        # that was at work before, nothing before the first answer counts.
        reasons = first if self._before else map(str, USUAL_AT_FIRST)
        usual = Counter({reason: first[reason] for reason in reasons})
        unusual = {
            reason: count
            for reason, count in (last - usual).items()
            if reason not in USUAL and reason not in _NAMED_OTHERWISE
        }
        return ", ".join(f"{reason} ({count})" for reason, count in unusual.items())

    def _why(self, number: int) -> str:
        before = [self._dropped[n] for n in sorted(self._dropped) if n < number]
        after = [self._dropped[n] for n in sorted(self._dropped) if n > number]
        if not after:
            return "it was not answered by depth_node, whose diagnostics say why"
        news = after[0] - (before[-1] if before else Counter())
        reasons = {r: n for r, n in news.items() if r in ("sweep outrun", "no depth")}
        if not reasons:
            return "its answer was not received"
        said = ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
        return f"it was not answered by depth_node: {said}; play more slowly"
