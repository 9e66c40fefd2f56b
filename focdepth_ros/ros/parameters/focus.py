"""The parameters ``focus.*`` of nodes that take in where the focus was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from focdepth_ros.errors import OptionError
from focdepth_ros.lens.lens_map import DIOPTRES, LensMap, read_lens_map
from focdepth_ros.ros.params import parameter

FocusSourceName = Literal["focus_state", "diagnostics", "lens_position"]

#: Before the names of these parameters.
FOCUS_PREFIX = "focus."


@dataclass(frozen=True)
class FocusParameters:
    """Where focus states come from, and what lens positions mean.

    Raises
    ------
    OptionError
        If values do not go together.
    """

    source: str = parameter(
        "focus_state",
        "What tells the focus. focus_state: messages of this type, as of sweep_node; diagnostics: "
        "those of the camera driver for each image, as of camera_ros; lens_position: a topic with "
        "a number.",
        choices=get_args(FocusSourceName),
    )
    lens_map: str = parameter(
        "",
        "File that says what a lens position means, as `focdepth calibrate lens` writes it. Empty: "
        "those in diagnostics are dioptres. With focus_state it is used where that has a position "
        "and no distance.",
    )
    settle_time: float = parameter(
        0.1,
        "An image counts only if the lens position has not changed for this long; with positions "
        "that have no stamps it includes the way of the image to this node [s]. Not for "
        "focus_state.",
        minimum=0.0,
        maximum=60.0,
    )
    position_tolerance: float = parameter(
        0.0,
        "Lens positions that differ by no more are no change; for sensors with noise. Of "
        "focus_state only where sweeps go by them: with aif_only without metres, and when targets "
        "are recorded.",
        minimum=0.0,
    )
    hardware_id: str = parameter(
        "",
        "Of the camera in diagnostics: what `ros2 topic echo /diagnostics` shows as its "
        "hardware_id. Empty: there is only one with lens positions.",
    )
    position_key: str = parameter("LensPosition", "Of the lens position in diagnostics.")
    state_key: str = parameter(
        "AfState", "Of what says in diagnostics whether the lens is moving; empty: nothing does."
    )
    moving_states: str = parameter(
        "1",
        "Values of it, separated by commas, that mean a moving lens. libcamera: 1, scanning.",
    )
    position_type: str = parameter(
        "",
        "Type of the topic lens_position, like std_msgs/msg/Float32; empty: as it is published.",
    )
    position_field: str = parameter(
        "data",
        "Place of the number in these messages, like data, point.x or position[0].",
    )

    def __post_init__(self) -> None:
        if self.source == "diagnostics" and not self.position_key:
            raise OptionError(
                "focus.position_key is empty; give the key of the lens position, like LensPosition"
            )

    def read_lens_map(self, *, needs_metres: bool = True) -> LensMap | None:
        """The lens map; None where the source tells distances itself, or nobody needs them.

        Parameters
        ----------
        needs_metres : bool
            Whether sweeps cannot go by lens positions.

        Raises
        ------
        OptionError
            If one is needed and none is given.
        CalibrationError
            If the file is none.
        """
        if self.lens_map:
            return read_lens_map(self.lens_map)
        if self.source == "lens_position" and needs_metres:
            raise OptionError(
                "focus.source is lens_position and focus.lens_map is empty; make a lens map by "
                "`focdepth calibrate lens`, or give config/lens/dioptres.yaml if these are "
                "dioptres; the all-in-focus image alone (aif_only) needs none"
            )
        return DIOPTRES if self.source == "diagnostics" else None
