"""The parameters of `sweep_node`; ``config/sweep_node.yaml`` lists them."""

from __future__ import annotations

from dataclasses import dataclass

from focdepth_ros.errors import OptionError
from focdepth_ros.ros.params import parameter

MODES = ("ping_pong", "saw_tooth", "on_demand", "paused")


@dataclass(frozen=True)
class SweepNodeParameters:
    """All parameters of `sweep_node`.

    Raises
    ------
    OptionError
        If values do not go together.
    """

    driver: str = parameter(
        "camera_ros",
        "Table of the camera driver: camera_ros, v4l2_camera, usb_cam, depthai, or the path of one "
        "of your own.",
    )
    driver_node: str = parameter("", "Name of the driver's node; empty: the one in the table.")
    parameter_prefix: str = parameter(
        "", "What the names of the driver's parameters begin with; empty: what the table says."
    )
    lens_map: str = parameter(
        "",
        "Lens map, as `focdepth calibrate lens` writes it; needed where the driver's lens "
        "positions are no dioptres.",
    )
    mode: str = parameter(
        "ping_pong",
        "Sweep all the time, there and back or always near to far; only when the service ~/sweep "
        "is called; or not at all.",
        choices=MODES,
        live=True,
    )
    near: float = parameter(
        0.0, "Nearest focus distance [m]; 0: as near as the lens goes.", minimum=0.0, live=True
    )
    far: float = parameter(
        0.0,
        "Farthest focus distance [m]; .inf is allowed, 0: as far as the lens goes.",
        minimum=0.0,
        live=True,
    )
    steps: int = parameter(
        10, "Focus distances per sweep, uniform in 1/m.", minimum=2, maximum=200, live=True
    )
    frames_per_step: int = parameter(
        1, "Frames at each of them; the sharpest is kept.", minimum=1, maximum=100, live=True
    )
    settle_time: float = parameter(
        -1.0,
        "Time that the lens may take after the driver has confirmed a position [s]; -1: what the "
        "table says.",
        minimum=-1.0,
        maximum=60.0,
    )
    settle_frames: int = parameter(
        -1,
        "Further frames that are left out after that; -1: what the table says.",
        minimum=-1,
        maximum=100,
    )
    lock_exposure: bool = parameter(True, "Keep exposure and gain as they are during sweeps.")
    lock_white_balance: bool = parameter(True, "Keep the white balance as it is during sweeps.")
    converge_time: float = parameter(
        1.0,
        "Time that the camera has to find exposure and white balance after its first frame, before "
        "they are locked [s].",
        minimum=0.0,
        maximum=60.0,
    )
    frames: str = parameter(
        "auto",
        "Topic from which the stamps of the frames are taken; auto: diagnostics where the table "
        "says that the driver tells the lens position there, else camera_info.",
        choices=("auto", "camera_info", "image", "compressed", "diagnostics"),
    )
    hardware_id: str = parameter(
        "", "Of the camera on /diagnostics, where there are several drivers; empty: the only one."
    )
    response_timeout: float = parameter(
        2.0, "Time that the driver has for each answer [s].", minimum=0.05, maximum=60.0
    )
    move_timeout: float = parameter(
        2.0,
        "Time that the lens has to arrive, and the camera for a frame [s].",
        minimum=0.05,
        maximum=60.0,
    )
    tries: int = parameter(
        3, "How often the lens is sent to a position before that fails.", minimum=1, maximum=100
    )
    retry_delay: float = parameter(
        1.0,
        "Time after a failure until all is set up anew [s]; it doubles each time, up to 8 s.",
        minimum=0.05,
        maximum=8.0,
    )
    release_timeout: float = parameter(
        2.0,
        "Time to give the camera its own settings back at the end [s].",
        minimum=0.0,
        maximum=60.0,
    )
    diagnostics_period: float = parameter(
        1.0, "Time between two messages on /diagnostics [s].", minimum=0.01, maximum=3600.0
    )

    def __post_init__(self) -> None:
        if not self.driver:
            raise OptionError(
                "parameter 'driver' is empty; give camera_ros, v4l2_camera, usb_cam, depthai, or "
                "the path of a driver table"
            )
        if 0.0 < self.far <= self.near:
            raise OptionError(
                f"near is {self.near} m and far {self.far} m; near must be smaller than far"
            )
