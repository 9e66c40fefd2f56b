"""How much one visitor may ask of the computer that serves the page."""

from __future__ import annotations

from dataclasses import dataclass, fields

from focdepth_ros.errors import OptionError


@dataclass(frozen=True)
class WebLimits:
    """Limits of what visitors may upload, and of what is kept for them.

    Parameters
    ----------
    max_images : int
        Images of one stack.
    max_megapixels : float
        Of one image, in millions of pixels.
    max_upload_mb : float
        All files of one upload, in millions of bytes.
    max_unpacked_mb : float
        What a zip file holds when it is unpacked, in millions of bytes.
    max_side : int
        Images whose longest side has more pixels are scaled down to it.
    max_visits : int
        Answers that are kept at a time; the one that was looked at longest ago goes first.
    idle_minutes : float
        How long files and answer of a visitor are kept after the last click.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    max_images: int = 60
    max_megapixels: float = 30.0
    max_upload_mb: float = 300.0
    max_unpacked_mb: float = 600.0
    max_side: int = 960
    max_visits: int = 16
    idle_minutes: float = 60.0

    def __post_init__(self) -> None:
        least = {"max_images": 2, "max_side": 64, "max_visits": 1}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in least and value < least[field.name]:
                raise OptionError(f"{field.name} is {value}; give at least {least[field.name]}")
            if not 0.0 < value < float("inf"):  # NaN fails this comparison too
                raise OptionError(f"{field.name} is {value}; give a number above 0")
