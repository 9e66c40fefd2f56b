"""Progress bars on standard error, and none where that is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[..., None]]:
    """Show a bar of `length` steps; what is yielded is called once per step.

    It may be given a few words about the step, which are then shown behind the label.

    The bar vanishes when the work is done.
    """
    if not sys.stderr.isatty():
        yield lambda words="": None
        return
    from rich.console import Console
    from rich.progress import Progress

    # Lines for standard output go above the bar if both are the terminal, else to where it goes.
    above = sys.stdout.isatty()
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=above) as bar:
        task = bar.add_task(label, total=length)

        def advance(words: str = "") -> None:
            bar.update(task, advance=1, description=f"{label}: {words}" if words else label)

        yield advance
