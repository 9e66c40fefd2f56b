"""The settings that all backends share which look for the sharpest slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from focdepth_ros.classical.focus_measure import FocusMeasure
from focdepth_ros.classical.focus_operators import create_focus_measure, focus_measure_names
from focdepth_ros.options import check_options, option, option_infos

_OF_THE_OPERATOR = ("sigma", "gaussian_size", "laplacian_size")


@dataclass(frozen=True)
class FocusMeasureConfig:
    """Which focus measure, and over which window it is averaged.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    #: The backend's name, for messages.
    owner: ClassVar[str]

    measure: str = option(
        focus_measure_names()[0], "Focus measure by name.", choices=focus_measure_names()
    )
    sigma: float = option(
        1.0,
        "Sigma of the Gaussian before the operator [px]; 0: what gaussian_size asks for.",
        minimum=0.0,
        maximum=100.0,
    )
    gaussian_size: int = option(
        0,
        "Side of the kernel of that Gaussian [px], odd; 0: what sigma asks for.",
        minimum=0,
        maximum=255,
    )
    laplacian_size: int = option(
        1,
        "Side of the kernel of the Laplacian [px], odd; 1: the four next neighbours.",
        minimum=1,
        maximum=31,
    )
    window_sigma: float = option(
        1.5,
        "Sigma of the window over which the focus measure is averaged [px].",
        minimum=0.5,
        maximum=100.0,
    )

    def __post_init__(self) -> None:
        check_options(self, self.owner)
        self.focus_measure()

    def focus_measure(self) -> FocusMeasure:
        """The focus measure, with those of the settings that its operator has."""
        known = {info.name for info in option_infos(type(create_focus_measure(self.measure)))}
        values = {name: getattr(self, name) for name in _OF_THE_OPERATOR if name in known}
        return create_focus_measure(self.measure, **values)
