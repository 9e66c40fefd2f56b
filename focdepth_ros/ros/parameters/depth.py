"""The parameters of `depth_node`; ``config/depth_node.yaml`` lists them with their defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast, get_args

from focdepth_ros.backends.registry import AUTO
from focdepth_ros.defaults import DEFAULT_COOLDOWN_S, DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import OptionError
from focdepth_ros.messages.image_decoding import ImageLimits
from focdepth_ros.options import option_infos
from focdepth_ros.ros.params import parameter
from focdepth_ros.stack import Lens
from focdepth_ros.sweep_parts.config import Reference, SweepConfig

#: Of the parameters that are the fields of `AlignmentConfig`; those of a backend have its name.
ALIGNMENT_PREFIX = "alignment."

_SWEEP = {info.name: info for info in option_infos(SweepConfig)}


def _of_sweep(name: str) -> Any:
    """The field of `SweepConfig` as a parameter ``sweep.NAME``."""
    info = _SWEEP[name]
    default: Any = info.default
    return parameter(
        default,
        info.description,
        name=f"sweep.{name}",
        minimum=info.minimum,
        maximum=info.maximum,
        choices=info.choices,
    )


@dataclass(frozen=True)
class DepthNodeParameters:
    """All parameters of `depth_node`.

    Raises
    ------
    OptionError
        If values do not go together.
    """

    backend: str = parameter(
        AUTO,
        "Depth backend by name, as `focdepth backends` lists them; auto: the best usable one.",
    )
    aif_only: bool = parameter(
        False,
        "Publish the all-in-focus image alone: no depth, no confidence, no points. Focus distances "
        "are not needed then: where focus states have no metres, sweeps go by lens position.",
    )
    cooldown_s: float = parameter(
        DEFAULT_COOLDOWN_S,
        "Time in which the backend is not tried again after its GPU has failed; a simpler one "
        "answers meanwhile [s].",
        minimum=0.0,
        maximum=3600.0,
    )
    min_confidence: float = parameter(
        DEFAULT_MIN_CONFIDENCE,
        "Pixels of lower confidence have NaN as their depth; 0 answers every pixel.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    fill_holes: bool = parameter(
        False,
        "Guess the depth of these pixels from those around them; their confidence is then 0. For "
        "pictures: a robot must not steer by guesses.",
        live=True,
    )
    min_range: float = parameter(0.0, "Smaller depths become NaN [m].", minimum=0.0, live=True)
    max_range: float = parameter(
        math.inf,
        "Larger depths become NaN [m]; .inf keeps all, also those at infinity.",
        minimum=0.0,
        live=True,
    )
    reference: str = parameter(
        "last",
        "Slice whose stamp and pixel grid the results have, in the order of exposure.",
        choices=get_args(Reference),
        live=True,
    )

    compressed: bool = parameter(
        False, "Subscribe to image_raw/compressed (JPEG or PNG) in place of image_raw."
    )
    image_bit_depth: int = parameter(
        16,
        "Used bits of 16-bit images: 10 or 12 for many cameras that send mono16.",
        minimum=8,
        maximum=16,
    )
    max_image_pixels: int = parameter(
        20_000_000,
        "Larger images are refused before anything is allocated for them.",
        minimum=1,
        maximum=2**31 - 1,
    )
    max_waiting_sweeps: int = parameter(
        1,
        "Whole sweeps that wait while another is worked on; beyond it the oldest is dropped.",
        minimum=1,
        maximum=100,
    )
    diagnostics_period: float = parameter(
        1.0, "Time between two messages on /diagnostics [s].", minimum=0.05, maximum=3600.0
    )

    lens_focal_length: float = parameter(
        0.0,
        "Focal length of the lens [m]; 0: not known. Of the backends only defocus needs the lens.",
        name="lens.focal_length",
        minimum=0.0,
    )
    lens_f_number: float = parameter(
        0.0, "f-number of the lens; 0: not known.", name="lens.f_number", minimum=0.0
    )
    lens_pixel_pitch: float = parameter(
        0.0,
        "Distance of the pixels of the image on the sensor [m]; 0: not known.",
        name="lens.pixel_pitch",
        minimum=0.0,
    )

    sweep_split: str = _of_sweep("split")
    sweep_count: int = _of_sweep("count")
    sweep_window_stride: int = _of_sweep("window_stride")
    sweep_min_slices: int = _of_sweep("min_slices")
    sweep_max_slices: int = _of_sweep("max_slices")
    sweep_timeout: float = _of_sweep("timeout")
    sweep_min_dioptre_step: float = _of_sweep("min_dioptre_step")
    sweep_match_window: int = _of_sweep("match_window")

    def __post_init__(self) -> None:
        if not self.min_range < self.max_range:
            raise OptionError(
                f"min_range is {self.min_range} m and max_range {self.max_range} m; "
                "min_range must be smaller"
            )
        lens = (self.lens_focal_length, self.lens_f_number, self.lens_pixel_pitch)
        if any(lens) and not all(lens):
            raise OptionError(
                f"lens.focal_length, lens.f_number and lens.pixel_pitch are {lens[0]}, {lens[1]} "
                f"and {lens[2]}; set all three of them, or none"
            )
        try:
            _ = self.sweep
        except OptionError as error:
            raise OptionError(f"sweep.{error}") from error

    @property
    def sweep(self) -> SweepConfig:
        """How frames are put together to sweeps."""
        return SweepConfig(
            split=self.sweep_split,
            count=self.sweep_count,
            window_stride=self.sweep_window_stride,
            min_slices=self.sweep_min_slices,
            max_slices=self.sweep_max_slices,
            timeout=self.sweep_timeout,
            min_dioptre_step=self.sweep_min_dioptre_step,
            match_window=self.sweep_match_window,
        )

    @property
    def reference_slice(self) -> Reference:
        """The reference, as one of the names that there are."""
        return cast(Reference, self.reference)

    @property
    def lens(self) -> Lens | None:
        """The lens, if it is known."""
        if not self.lens_focal_length:
            return None
        return Lens(self.lens_focal_length, self.lens_f_number, self.lens_pixel_pitch)

    @property
    def image_limits(self) -> ImageLimits:
        """Which images are taken, and how those of 16 bits are read."""
        return ImageLimits(self.max_image_pixels, self.image_bit_depth)
