"""The interface of a depth backend: ``start``, then ``add`` per frame, then ``finish``.

A sweep takes time, so the work of a frame is done while the next one is exposed; after the
last frame only `Accumulator.finish` is left.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import FocalStack, Slice
from focdepth_ros.sweep_parts.spec import SweepSpec, spec_of

# Who writes a backend, or starts one, finds here all that it takes.
__all__ = ["Accumulator", "Backend", "SweepSpec", "spec_of"]


class Accumulator(ABC):
    """The work on one sweep in progress."""

    @abstractmethod
    def add(self, item: Slice) -> None:
        """Take in one frame.

        Frames may come near to far or far to near. A frame at the focus distance of the
        frame added last replaces it.

        Raises
        ------
        SliceError
            If the frame does not fit the `SweepSpec`; the sweep goes on without it.
        """

    @abstractmethod
    def finish(self) -> DepthEstimate:
        """Answer from the frames added so far, on the pixel grid of the first.

        Every pixel is answered; the confidence says what the answer is worth.

        Raises
        ------
        StackError
            If fewer than 2 frames were added.
        BackendError
            If no answer could be computed.
        """


class Backend(ABC):
    """A way to get depth from a focus sweep."""

    #: What the options given to `create_backend` are the fields of.
    config_class: ClassVar[type]
    name: str
    summary: ClassVar[str]
    #: Whether only those get it who ask for it by name: not ``auto``, nor who compares backends.
    on_request: ClassVar[bool] = False
    #: Whether it works on a GPU, so that on the CPU it may answer what it could not there.
    may_fall_back_to_cpu: bool = False
    #: How many steps `Accumulator.finish` may take that are worth telling.
    steps: int = 1
    #: Called after each of them, where there are several, with a few words about it.
    on_step: Callable[[str], None] | None = None

    @abstractmethod
    def __init__(self, config: Any) -> None: ...

    @classmethod
    def unusable_because(cls, config: Any = None) -> str | None:
        """Why this backend cannot run on this machine and what to do, or None if it can.

        Parameters
        ----------
        config : optional
            With which settings; by default with those that it has by itself.
        """
        return None

    @classmethod
    def passed_over_because(cls) -> str | None:
        """Why ``auto`` takes another backend although this one can be used, or None."""
        return None

    @abstractmethod
    def start(self, spec: SweepSpec) -> Accumulator:
        """Begin the work on one sweep."""

    def interrupt(self) -> None:
        """Let a long `Accumulator.finish` in another thread fail soon: nobody wants it any more.

        From now on no sweep is answered.
        """
        return

    def estimate(
        self, stack: FocalStack, *, all_in_focus: bool = True, depth: bool = True
    ) -> DepthEstimate:
        """Depth of a whole focal stack at once.

        Parameters
        ----------
        stack : FocalStack
        all_in_focus, depth : bool
            Whether the all-in-focus image, and whether depth, is wanted.

        Returns
        -------
        DepthEstimate
            Every pixel answered, whatever its confidence.
        """
        accumulator = self.start(spec_of(stack, all_in_focus=all_in_focus, depth=depth))
        for item in stack.slices:
            accumulator.add(item)
        return accumulator.finish()
