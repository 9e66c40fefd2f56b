"""Whether a long run of the nodes is as it should be: see soak.py."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
from rich.table import Table

from focdepth_ros.ros.node_process import ProcessUsage

WARM_UP = 0.2  # of the run; not looked at
WINDOW = 0.2  # of the run, at the start after the warm-up and at the end, that are compared
BLOCK = 50  # sweeps
MAX_OTHERS = 0.10  # of the machine that other programs may take while latencies are compared
MARKS = {True: "[green]good[/green]", False: "[red]BAD[/red]", None: "[yellow]unsure[/yellow]"}
MAX_GROWTH = 0.02
MAX_SLOWING = 0.10
# What costs a whole sweep, not a frame of it, by the names that depth_node counts them.
LOST_SWEEPS = ("sweep outrun", "too few slices", "no depth")


@dataclass(frozen=True)
class Answer:
    """One answered sweep: its number, when it came, and its two latencies, in seconds.

    `latency` is from the arrival of the last frame in depth_node to the published answer,
    `delay` from the stamp of the last frame to the arrival of the answer here.
    """

    sequence: int
    received: float
    latency: float
    delay: float


@dataclass(frozen=True)
class Sample:
    """What was taken at one time, in seconds.

    `usage` is of depth_node; `others` is the processor time of all programs on this machine but the
    nodes and this one, in seconds since it was booted.
    """

    time: float
    usage: ProcessUsage
    others: float


@dataclass(frozen=True)
class Verdict:
    """One line of the table; None: it cannot be told."""

    what: str
    seen: str
    wanted: str
    is_good: bool | None


@dataclass
class Run:
    """What was seen of a whole run: `sent` sweeps of as many `slices`."""

    sent: int
    slices: int
    answers: list[Answer]
    samples: list[Sample]
    figures: dict[str, str]
    received: dict[str, int]
    exit_codes: dict[str, int]


def judged(run: Run) -> list[Verdict]:
    """All lines of the table."""
    return [*accounts(run), *stability(run), *latencies(run), at_the_end(run)]


def accounts(run: Run) -> list[Verdict]:
    answered = len({answer.sequence for answer in run.answers})
    lost = {reason: int(run.figures.get(reason, "0")) for reason in LOST_SWEEPS}
    dropped = ", ".join(f"{count} {reason}" for reason, count in lost.items() if count) or "none"
    missing = run.sent - answered - sum(lost.values())
    received = min(run.received.values())
    on_the_way = run.sent * run.slices - int(run.figures.get("images received", "0"))
    return [
        Verdict("sweeps sent", str(run.sent), "", True),
        Verdict("answered", f"{answered} ({answered / run.sent:.1%})", "", answered > 0),
        Verdict("dropped, with reason", dropped, "", True),
        Verdict("frames lost on the way to the node", str(on_the_way), "0", on_the_way == 0),
        Verdict("unaccounted for", str(missing), "0", missing == 0),
        Verdict(
            "results received of each topic", str(received), str(answered), received == answered
        ),
    ]


def stability(run: Run) -> list[Verdict]:
    samples = settled(run)
    seconds = np.array([sample.time for sample in samples])
    verdicts = []
    for name, values in (
        ("memory of its own", [sample.usage.own_memory for sample in samples]),
        ("memory in all", [sample.usage.memory for sample in samples]),
    ):
        memory = np.array(values) / 2**20
        slope = np.polyfit(seconds - seconds[0], memory, 1)[0]
        growth = slope * (seconds[-1] - seconds[0]) / np.median(memory)
        verdicts.append(
            Verdict(
                f"growth of {name}",
                f"{growth:+.2%} of {np.median(memory):.1f} MiB",
                f"< {MAX_GROWTH:.0%}",
                bool(growth < MAX_GROWTH),
            )
        )
    for name, counts in (
        ("file descriptors", {sample.usage.files for sample in samples}),
        ("threads", {sample.usage.threads for sample in samples}),
    ):
        seen = " to ".join(map(str, sorted({min(counts), max(counts)})))
        verdicts.append(Verdict(name, seen, "constant", len(counts) == 1))
    return verdicts


def latencies(run: Run) -> list[Verdict]:
    answers = run.answers[int(WARM_UP * len(run.answers)) :]
    count = int(WINDOW * len(run.answers))
    verdicts = []
    for name, values in (
        ("latency after the last frame", [answer.latency for answer in answers]),
        ("delay from stamp to subscriber", [answer.delay for answer in answers]),
    ):
        for percent in (50, 90, 99):
            start = usual_percentile(values[:count], percent)
            end = usual_percentile(values[-count:], percent)
            verdicts.append(compared(f"{name}, {percent} %", 1e3 * start, 1e3 * end, "ms"))
    verdicts.append(cpu_time(run))
    busy = share_of_others(run)
    if max(busy) < MAX_OTHERS:
        return verdicts
    seen = f"{busy[0]:.0%} of the machine at the start, {busy[1]:.0%} at the end"
    # They would slow down anything.
    unsure = [replace(verdict, is_good=None) for verdict in verdicts]
    return [*unsure, Verdict("other programs", seen, f"< {MAX_OTHERS:.0%}", None)]


def share_of_others(run: Run) -> tuple[float, float]:
    """Part of the processors that other programs took, in the windows that are compared."""
    times = np.array([sample.time for sample in run.samples])
    others = np.array([sample.others for sample in run.samples])
    received = [answer.received for answer in run.answers]

    def share(first: float, last: float) -> float:
        begin, end = (received[int(part * (len(received) - 1))] for part in (first, last))
        spent = np.interp(end, times, others) - np.interp(begin, times, others)
        return float(spent / (end - begin) / (os.cpu_count() or 1))

    return share(WARM_UP, WARM_UP + WINDOW), share(1.0 - WINDOW, 1.0)


def usual_percentile(values: list[float], percent: int) -> float:
    """The median of that of blocks: what else the machine does for some seconds does not count."""
    blocks = [values[first : first + BLOCK] for first in range(0, len(values), BLOCK)]
    return float(np.median([np.percentile(block, percent) for block in blocks]))


def cpu_time(run: Run) -> Verdict:
    """Processor time of depth_node per answered sweep."""
    times = np.array([sample.time for sample in run.samples])
    used = np.array([sample.usage.cpu_seconds for sample in run.samples])
    received = [answer.received for answer in run.answers]

    def per_sweep(first: float, last: float) -> float:
        count = len(received)
        begin, end = received[int(first * (count - 1))], received[int(last * (count - 1))]
        spent = np.interp(end, times, used) - np.interp(begin, times, used)
        return float(1e3 * spent / ((last - first) * count))

    start, end = per_sweep(WARM_UP, WARM_UP + WINDOW), per_sweep(1.0 - WINDOW, 1.0)
    return compared("processor time per sweep", start, end, "ms")


def compared(what: str, start: float, end: float, unit: str) -> Verdict:
    change = end / start - 1.0
    return Verdict(
        what,
        f"{start:.1f} {unit} at the start, {end:.1f} at the end ({change:+.1%})",
        f"< {MAX_SLOWING:+.0%}",
        bool(change < MAX_SLOWING),
    )


def at_the_end(run: Run) -> Verdict:
    codes = ", ".join(f"{name} {code}" for name, code in run.exit_codes.items())
    return Verdict("exit codes", codes, "0", not any(run.exit_codes.values()))


def settled(run: Run) -> list[Sample]:
    """The samples after the warm-up, and before the nodes went idle."""
    first = run.answers[int(WARM_UP * len(run.answers))].received
    last = run.answers[-1].received
    return [sample for sample in run.samples if first <= sample.time <= last]


def table(verdicts: list[Verdict], run: Run) -> Table:
    seconds = run.answers[-1].received - run.answers[0].received
    rows = Table(title=f"{run.sent} sweeps in {seconds:.0f} s", title_justify="left")
    for heading in ("", "seen", "wanted", "verdict"):
        rows.add_column(heading)
    for verdict in verdicts:
        mark = MARKS[verdict.is_good]
        rows.add_row(verdict.what, verdict.seen, verdict.wanted, mark if verdict.wanted else "")
    return rows
