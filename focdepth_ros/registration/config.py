"""The settings of alignment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from focdepth_ros.errors import OptionError
from focdepth_ros.options import check_options, option
from focdepth_ros.registration.ecc import EccModel

AlignmentMethod = Literal["auto", "none", "scale", "ecc", "homography", "flow", "external"]


@dataclass(frozen=True)
class AlignmentConfig:
    """How the slices of a sweep are brought onto one pixel grid; see each field's description.

    Raises
    ------
    OptionError
        If a value is out of range, or one that the method needs is missing.
    """

    method: str = option(
        "auto",
        "How slices are brought onto one pixel grid. none: they fit already; scale: focus "
        "breathing only, from a calibration; ecc: by the correlation of their detail; "
        "homography: by SIFT points; flow: as auto, then by optical flow for parallax; external: "
        "by flow fields from files; auto: not at all where the camera stood still, else by the "
        "least that is enough.",
        choices=get_args(AlignmentMethod),
    )
    match_exposure: bool = option(
        True, "Make exposure and white balance of all slices those of the first."
    )
    ecc_model: str = option(
        "affine", "What the transform of ecc may do.", choices=get_args(EccModel)
    )
    breathing: float = option(
        0.0,
        "For scale: growth of the image per dioptre of focus [m].",
        minimum=-10.0,
        maximum=10.0,
    )
    breathing_table: str = option(
        "",
        "For scale, in place of breathing: lens positions and the magnification at each, as "
        "POSITION:MAGNIFICATION,...",
    )
    lens_map: str = option(
        "",
        "For scale, in place of both: lens map with magnifications, as `focdepth calibrate "
        "breathing` writes it.",
    )
    flow_path: str = option(
        "",
        "For external: folder with one flow field (.npy or .flo) for each slice but the first, in "
        "the order in which the slices come.",
    )
    pictures_dir: str = option(
        "", "Folder for a picture of every slice before and after alignment; none if empty."
    )

    def __post_init__(self) -> None:
        check_options(self, "alignment")
        is_calibrated = bool(self.magnifications or self.lens_map) or self.breathing != 0.0
        if self.method == "scale" and not is_calibrated:
            raise OptionError(
                "alignment by scale needs a calibration; give breathing, breathing_table or "
                "lens_map"
            )
        if self.method == "external" and not self.flow_path:
            raise OptionError("external alignment needs flow_path, the folder of the flow fields")
        if self.method != "external" and self.flow_path:
            raise OptionError(
                f"flow_path is {self.flow_path}, but alignment is by '{self.method}', which takes "
                "no flow fields; choose 'external', or leave flow_path away"
            )

    @property
    def magnifications(self) -> tuple[tuple[float, float], ...]:
        """Lens positions and the magnification at each, from `breathing_table`.

        Raises
        ------
        OptionError
            If the text says something else.
        """
        pairs = []
        for text in filter(None, self.breathing_table.split(",")):
            position, _, scale = text.partition(":")
            try:
                pair = float(position), float(scale)
            except ValueError:
                pair = math.nan, math.nan
            if not (math.isfinite(pair[0]) and 0.0 < pair[1] < math.inf):
                raise OptionError(
                    f"alignment option 'breathing_table' has '{text}'; give a lens position and a "
                    "magnification above 0, like 120:1.02"
                )
            pairs.append(pair)
        return tuple(pairs)
