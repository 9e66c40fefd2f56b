"""A USB camera that is not there: it renders what it would see at its focus of the moment."""

from __future__ import annotations

import math
import os
import time
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from small_sweep import INTRINSICS, LENS

from focdepth_ros.errors import CameraDeviceError
from focdepth_ros.lens.camera_device import Control, DeviceFrame, DeviceSettings
from focdepth_ros.lens.lens_map import LensMap
from focdepth_ros.simulation import render_rgbd
from focdepth_ros.stack import FloatImage, ImageArray

#: Raw positions of the simulated lens, as those of common webcams: 0 is infinity.
LENS_MAP = LensMap((0.0, 250.0), (0.1, 2.3), "raw")
_RENDERED = 56  # focus positions that pictures are rendered for
_GAIN_OF_AUTO_EXPOSURE = (
    0.35  # how much it changes the picture from one end of the focus to the other
)


@lru_cache(maxsize=1)
def scene() -> tuple[list[ImageArray], FloatImage, list[float]]:
    """Pictures (BGR) of a textured slope at many focus positions, its depth, and the positions."""
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (INTRINSICS.height, INTRINSICS.width, 3), dtype=np.uint8)
    dioptres = np.linspace(1.0 / 0.6, 1.0 / 2.4, INTRINSICS.width)
    depth = np.tile((1.0 / dioptres).astype(np.float32), (INTRINSICS.height, 1))
    positions = np.linspace(*LENS_MAP.range, _RENDERED)
    distances = 1.0 / LENS_MAP.to_dioptres(positions)
    near_first = np.argsort(distances)
    stack = render_rgbd(image, depth, INTRINSICS, LENS, distances[near_first].tolist()).stack
    pictures = [cv2.cvtColor(item.image, cv2.COLOR_RGB2BGR) for item in stack.slices]
    ordered = [pictures[i] for i in np.argsort(near_first)]
    return ordered, depth, positions.tolist()


class SimulatedUvcDevice:
    """A `CameraDevice` that behaves as UVC cameras do.

    A focus command is refused while auto-focus is on; the lens starts `delay` frames later and
    moves by `slew` units a frame; reading back gives what was set, rounded to the step. Automatic
    exposure changes the brightness with the focus. Unplugged while the file named by UNPLUGGED
    exists.

    Parameters
    ----------
    settings : DeviceSettings
    delay : int
    slew : float
    step : float
        From one focus position to the next.
    """

    def __init__(
        self, settings: DeviceSettings, delay: int = 2, slew: float = 60.0, step: float = 1.0
    ) -> None:
        self.settings = settings
        self.delay = delay
        self.slew = slew
        self.step = step
        self.controls = {
            Control.FOCUS: 30.0,
            Control.AUTO_FOCUS: 1.0,
            Control.AUTO_EXPOSURE: 3.0,
            Control.AUTO_WHITE_BALANCE: 1.0,
        }
        #: All that was set, in order.
        self.history: list[tuple[Control, float]] = []
        self.lens = self._target = 30.0
        self._pending: list[tuple[int, float]] = []
        self._number = 0
        self._due = 0.0
        self._is_open = False

    def open(self) -> None:
        self._check_plugged()
        scene()
        self._is_open = True
        self._due = time.monotonic()

    def close(self) -> None:
        self._is_open = False

    def read(self) -> DeviceFrame:
        self._check_plugged()
        self._due += 1.0 / self.settings.frame_rate
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._number += 1
        while self._pending and self._pending[0][0] <= self._number:
            self._target = self._pending.pop(0)[1]
        self.lens += float(np.clip(self._target - self.lens, -self.slew, self.slew))
        pictures, _, positions = scene()
        picture = pictures[int(np.argmin(np.abs(np.array(positions) - self.lens)))]
        if self.controls[Control.AUTO_EXPOSURE] != 0.0:
            gain = 1.0 - _GAIN_OF_AUTO_EXPOSURE * self.lens / LENS_MAP.range[1]
            picture = cv2.convertScaleAbs(picture, alpha=gain)
        return DeviceFrame(picture, age=0.01)

    def set(self, control: Control, value: float) -> bool:
        self._check_plugged()
        self.history.append((control, value))
        if control is Control.FOCUS:
            if self.controls[Control.AUTO_FOCUS] != 0.0 or not 0.0 <= value <= 250.0:
                return False
            value = self.step * math.floor(value / self.step + 0.5)  # as the kernel does
            self._pending.append((self._number + 1 + self.delay, value))
        self.controls[control] = value
        return True

    def get(self, control: Control) -> float:
        self._check_plugged()
        return self.controls.get(control, math.nan)

    def focus_range(self) -> tuple[float, float, float] | None:
        return *LENS_MAP.range, self.step

    def _check_plugged(self) -> None:
        flag = os.environ.get("UNPLUGGED")
        if flag and Path(flag).exists():
            raise CameraDeviceError(
                f"camera '{self.settings.device}' gives no more images; is it still plugged in?"
            )
