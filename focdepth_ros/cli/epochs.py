"""Following the epochs of depth from defocus: a step of the progress bar and pictures of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from focdepth_ros.errors import OptionError

if TYPE_CHECKING:
    from focdepth_ros.backends.base import Backend
    from focdepth_ros.defocus.solver import EpochLoss, EpochState


class EpochWatch:
    """Follows a backend that works in epochs, and leaves every other one alone.

    Parameters
    ----------
    backend : Backend
    folder : Path or None
        For pictures of the epochs, if they are wanted.

    Raises
    ------
    OptionError
        If pictures are wanted of a backend that has no epochs.
    """

    def __init__(self, backend: Backend, folder: Path | None) -> None:
        from focdepth_ros.backends.defocus import DefocusBackend

        #: How many there will be at most.
        self.epochs = 0
        #: Called after each.
        self.advance: Callable[[], None] = lambda: None
        self._folder = folder
        self._linear_light = False
        self._losses: list[EpochLoss] = []
        if isinstance(backend, DefocusBackend):
            self.epochs = backend.config.epochs
            self._linear_light = backend.config.linear_light
            backend.on_epoch = self._take
        elif folder is not None:
            raise OptionError(
                f"--save-plots shows the epochs of the backend defocus, not of '{backend.name}'; "
                "leave it out, or give --backend defocus"
            )
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def finish(self) -> Iterator[str]:
        """Write what is drawn of all epochs together, and yield lines that say what came out."""
        if not self._losses:
            return
        first, last = self._losses[0], self._losses[-1]
        yield (
            f"epochs: {len(self._losses)} of {self.epochs}, error (RMS) from "
            f"{first.after_depth**0.5:.4g} to {last.after_image**0.5:.4g}"
        )
        if self._folder is not None:
            from focdepth_ros.defocus.plots import save_loss_curve

            save_loss_curve(self._folder, self._losses)
            yield f"plots written to {self._folder}"

    def _take(self, state: EpochState) -> None:
        self.advance()
        self._losses.append(state.loss)
        if self._folder is not None:
            from focdepth_ros.defocus.plots import save_epoch_plot

            save_epoch_plot(self._folder, state, linear_light=self._linear_light)
