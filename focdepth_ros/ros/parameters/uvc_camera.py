"""The parameters of `uvc_camera_node`; ``config/uvc_camera_node.yaml`` lists them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast, get_args

from focdepth_ros.errors import OptionError
from focdepth_ros.lens.camera_device import DeviceSettings
from focdepth_ros.lens.sweeping_camera import SweepMode, SweepTiming
from focdepth_ros.ros.params import parameter

_FOURCC = 4  # letters


@dataclass(frozen=True)
class UvcCameraParameters:
    """All parameters of `uvc_camera_node`.

    Raises
    ------
    OptionError
        If values do not go together.
    """

    device: str = parameter(
        "/dev/video0", "Camera by its path, such as those in /dev/v4l/by-id; or by its number."
    )
    width: int = parameter(640, "Of the images [px].", minimum=16, maximum=8192)
    height: int = parameter(480, "Of the images [px].", minimum=16, maximum=8192)
    frame_rate: float = parameter(
        30.0, "Images per second that the camera is asked for.", minimum=0.1, maximum=1000.0
    )
    pixel_format: str = parameter(
        "MJPG", "Format on the cable, four letters: MJPG, YUYV, ...; empty: the driver's choice."
    )
    frame_id: str = parameter("camera_optical_frame", "Optical frame of the camera.")
    camera_info_file: str = parameter(
        "", "Calibration, as camera_calibration writes it (YAML); empty: there is no camera_info."
    )
    lens_map: str = parameter(
        "",
        "File that says which focus distance each position of the lens is, by `focdepth calibrate "
        "lens`; without it the focus distances are not known, and there is no depth.",
    )

    mode: str = parameter(
        "ping_pong",
        "How the focus moves: to and fro, always from near to far, or not at all.",
        choices=get_args(SweepMode),
        live=True,
    )
    slices: int = parameter(10, "Focus positions per sweep.", minimum=2, maximum=200)
    near: float = parameter(
        0.0, "Nearest focus distance [m]; 0: the nearest in the lens map.", minimum=0.0
    )
    far: float = parameter(
        math.inf, "Farthest focus distance [m]; .inf: the farthest in the lens map.", minimum=0.0
    )
    position_min: float = parameter(0.0, "Least focus position where there is no lens map.")
    position_max: float = parameter(
        0.0, "Greatest one; 0, as is position_min: the driver is asked for its range."
    )
    settle_frames: int = parameter(
        4,
        "Images left out after each step of the focus: the lens moves, and older images are still "
        "on their way.",
        minimum=0,
        maximum=1000,
        live=True,
    )
    jump_settle_frames: int = parameter(
        10,
        "Images left out after the jump to the first position of a sweep.",
        minimum=0,
        maximum=1000,
        live=True,
    )
    publish_unsettled: bool = parameter(
        False, "Publish these images, too, with a focus state that is not settled.", live=True
    )
    lock: bool = parameter(
        True, "Switch automatic exposure and white balance off during the sweeps."
    )
    adapt_period: float = parameter(
        10.0,
        "Time after which they may adapt to the light again, between two sweeps [s]; 0: never.",
        minimum=0.0,
        maximum=86400.0,
        live=True,
    )
    adapt_frames: int = parameter(
        8, "Images that they have for it.", minimum=1, maximum=1000, live=True
    )

    retry_period: float = parameter(
        1.0,
        "Time until a camera that is not there, or was lost, is tried again [s]; doubled each "
        "time, up to 30 s.",
        minimum=0.05,
        maximum=30.0,
    )
    diagnostics_period: float = parameter(
        1.0, "Time between two messages on /diagnostics [s].", minimum=0.05, maximum=3600.0
    )

    def __post_init__(self) -> None:
        if not self.near < self.far:
            raise OptionError(
                f"near is {self.near} m and far {self.far} m; near must be smaller than far"
            )
        if self.pixel_format and len(self.pixel_format) != _FOURCC:
            raise OptionError(
                f"pixel_format is '{self.pixel_format}'; give four letters, such as MJPG or YUYV "
                "(`v4l2-ctl --list-formats` lists those of the camera), or none"
            )
        limits = (self.position_min, self.position_max)
        if any(limits) and not limits[0] < limits[1]:
            raise OptionError(
                f"position_min is {limits[0]} and position_max {limits[1]}; position_min must be "
                "smaller, or both 0"
            )

    @property
    def device_settings(self) -> DeviceSettings:
        """What is asked of the camera when it is opened."""
        return DeviceSettings(
            self.device, self.width, self.height, self.frame_rate, self.pixel_format
        )

    @property
    def timing(self) -> SweepTiming:
        """How long things take."""
        return SweepTiming(
            self.settle_frames, self.jump_settle_frames, self.adapt_period, self.adapt_frames
        )

    @property
    def sweep_mode(self) -> SweepMode:
        """The mode, as one of the names that there are."""
        return cast(SweepMode, self.mode)

    @property
    def position_range(self) -> tuple[float, float] | None:
        """Least and greatest focus position, if they are given."""
        limits = (self.position_min, self.position_max)
        return limits if any(limits) else None
