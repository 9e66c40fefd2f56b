"""The parameters of `sim_camera_node`; ``config/sim_camera_node.yaml`` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from focdepth_ros.errors import OptionError
from focdepth_ros.ros.params import parameter
from focdepth_ros.simulation.camera import SweepPattern


@dataclass(frozen=True)
class SimCameraParameters:
    """All parameters of `sim_camera_node`.

    Raises
    ------
    OptionError
        If values do not go together.
    """

    stack: str = parameter(
        "", "Focal stack folder to play; empty: a simulated scene, with ground truth."
    )
    seed: int = parameter(
        1000,
        "Of the scene and the noise; scenes from 1000 on are held out from tuning.",
        minimum=0,
        maximum=2**31 - 1,
    )
    textures: str = parameter(
        "", "Folder of photographs for the scene; empty: those of scikit-image, or patterns."
    )
    width: int = parameter(640, "Of the images [px].", minimum=16, maximum=8192)
    height: int = parameter(480, "Of the images [px].", minimum=16, maximum=8192)
    slices: int = parameter(10, "Focus distances per sweep.", minimum=2, maximum=200)
    near: float = parameter(0.4, "Nearest focus distance [m].", minimum=0.05)
    far: float = parameter(4.0, "Farthest focus distance [m]; .inf is allowed.", minimum=0.05)
    pattern: str = parameter(
        "near_to_far", "Order of the focus distances.", choices=get_args(SweepPattern)
    )
    frame_rate: float = parameter(30.0, "Images per second.", minimum=0.1, maximum=1000.0)
    jump_settling: int = parameter(
        0,
        "Images during which the lens jumps back to the first distance, not settled.",
        minimum=0,
        maximum=100,
    )
    breathing: float = parameter(
        0.0, "Change of the image scale with focus; 1: that of a thin lens.", minimum=0.0
    )
    shake: float = parameter(0.0, "Camera shake from slice to slice [px].", minimum=0.0)
    provide_sweep_ids: bool = parameter(
        True, "Say in focus_state which sweep an image belongs to, and how long the sweep is."
    )
    sweeps: int = parameter(
        0, "Stop sending after this many sweeps; 0: never.", minimum=0, maximum=2**31 - 1
    )
    wait_for_subscribers: int = parameter(
        0,
        "Send nothing until images and focus states have this many subscribers each.",
        minimum=0,
        maximum=1000,
    )
    start_delay: float = parameter(
        0.0,
        "Time to wait after that [s]: a subscriber finds this node a little later than this node "
        "finds it.",
        minimum=0.0,
        maximum=3600.0,
    )
    frame_id: str = parameter("camera_optical_frame", "Optical frame of the camera.")

    def __post_init__(self) -> None:
        if not self.near < self.far:
            raise OptionError(
                f"near is {self.near} m and far {self.far} m; near must be smaller than far"
            )
