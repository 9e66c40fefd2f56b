"""Settings of depth from defocus."""

from __future__ import annotations

import math
from dataclasses import dataclass

from focdepth_ros.errors import OptionError
from focdepth_ros.options import check_options, option


@dataclass(frozen=True)
class DefocusConfig:
    """How depth from defocus is solved; each field's description says what it does."""

    settings: str = option(
        "",
        "Further settings by name (nyu_depth_v2, make3d, mobile_depth), or path of a YAML file of "
        "them; what is set otherwise than by default goes before.",
    )
    epochs: int = option(
        10,
        "How often at most the depth and the image are improved in turns.",
        minimum=1,
        maximum=1000,
    )
    depths: int = option(
        100,
        "Depths tried for every pixel before the finer search, evenly spaced in dioptres.",
        minimum=3,
        maximum=10_000,
    )
    near: float = option(
        0.0,
        "Least depth looked for [m]; 0: half a step of the sweep before its nearest focus.",
        minimum=0.0,
        maximum=math.inf,
    )
    far: float = option(
        0.0,
        "Largest depth looked for [m]; 0: half a step of the sweep beyond its farthest focus, but "
        "not more than twice as far.",
        minimum=0.0,
        maximum=math.inf,
    )
    window: int = option(
        5,
        "Side of the square over which the error is averaged when depths are tried [px], odd; 1: "
        "every pixel by itself.",
        minimum=1,
        maximum=501,
    )
    psf: str = option(
        "disc",
        "Shape of the blur: a disc of the diameter of the circle of confusion, as a lens without "
        "aberrations makes it, or a Gaussian of sigma half of that, as in the paper.",
        choices=("gaussian", "disc"),
    )
    min_coc: float = option(
        0.0,
        "Circle of confusion below which the blur shrinks no further [px].",
        minimum=0.0,
        maximum=100.0,
    )
    linear_light: bool = option(
        True, "Whether the images are sRGB, so that light has to be worked out before it mixes."
    )
    iterations: int = option(
        200,
        "Iterations at most on the image in the first epoch.",
        minimum=1,
        maximum=100_000,
    )
    image_tolerance: float = option(
        0.01,
        "These iterations end when ten of them lower the error by less than this share of it; 0: "
        "never.",
        minimum=0.0,
        maximum=1.0,
    )
    growth: float = option(
        1.05, "Factor on these iterations from epoch to epoch.", minimum=1.0, maximum=10.0
    )
    tolerance: float = option(
        0.001,
        "The end has come when an epoch lowers the error by less than this share of it.",
        minimum=0.0,
        maximum=1.0,
    )
    start: str = option(
        "graph_cut",
        "First guess of the image: slices put together by a graph cut, or the sharpest slice of "
        "every pixel.",
        choices=("graph_cut", "sharpest"),
    )
    smoothness: float = option(
        2.0,
        "What a step in depth between neighbouring pixels costs in the cut that chooses the depth "
        "at the end, per tenth of the sweep; 0: no cut, each pixel keeps the depth of its least "
        "error.",
        minimum=0.0,
        maximum=1000.0,
    )
    median_radius: int = option(
        7,
        "Radius of the weighted median over the depth that neighbours of like colour agree on "
        "[px]; 0: none.",
        minimum=0,
        maximum=200,
    )
    outliers: str = option(
        "unknown",
        "What becomes of depth that stands out from its neighbours: keep, the mean of the "
        "neighbours, or unknown: NaN, confidence 0.",
        choices=("keep", "mean", "unknown"),
    )
    outlier_threshold: float = option(
        0.5,
        "Total variation of the depth over a pixel's neighbours from which on it stands out, in "
        "steps between slices.",
        minimum=0.0,
        maximum=1000.0,
    )
    max_seconds: float = option(
        0.0,
        "After this time the best answer so far is given [s]; 0: no limit.",
        minimum=0.0,
        maximum=math.inf,
    )
    plots_dir: str = option(
        "", "Folder for pictures of depth, image and error after every epoch; empty: none."
    )
    device: str = option(
        "auto",
        "Where it is computed; auto: on a GPU if CUDA is there.",
        choices=("auto", "cpu", "cuda"),
    )
    memory_mb: int = option(
        1000,
        "Memory for the errors of the depths that are tried [MiB]; larger images are worked on "
        "in strips.",
        minimum=1,
        maximum=1_000_000,
    )

    def __post_init__(self) -> None:
        check_options(self, "defocus")
        if self.window % 2 == 0:
            raise OptionError(
                f"defocus option 'window' is {self.window}; a square has a middle pixel, so give "
                "an odd number"
            )
        if 0.0 < self.far <= self.near:
            raise OptionError(
                f"defocus looks for depth from {self.near} m to {self.far} m; give near < far"
            )
