"""What the long tasks of training show their progress with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

ProgressBar = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""Makes of a label and a length the context of a function that is called once per step, as
`focdepth_ros.cli.progress.progress` does."""


def no_bar(label: str, length: int) -> AbstractContextManager[Callable[[], None]]:
    """No progress bar."""
    return nullcontext(lambda: None)
