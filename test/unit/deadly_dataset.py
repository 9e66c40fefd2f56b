"""Focal stack folders of which one kills the process that reads it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.datasets.stack_folders import StackFolders
from focdepth_ros.evaluation.job import DatasetChoice


@dataclass(frozen=True)
class DeadlyChoice(DatasetChoice):
    """Stack folders; to read the scene `deadly`, or any if it is ``all``, kills the process.

    With a `fuse`, the path of a file, only once: the file is gone then.
    """

    deadly: str = ""
    fuse: str = ""

    def open(self) -> DeadlyStacks:
        return DeadlyStacks(self)


class DeadlyStacks(StackFolders):
    def __init__(self, choice: DeadlyChoice) -> None:
        self._choice = choice
        super().__init__(choice.root)

    def load(self, scene: str) -> LabelledStack:
        fuse = self._choice.fuse
        if self._choice.deadly in (scene, "all") and (not fuse or Path(fuse).exists()):
            if fuse:
                Path(fuse).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load(scene)
