"""Pictures of how depth from defocus gets on: a sheet after every epoch, and the error's curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from focdepth_ros.defocus.light import codes_of
from focdepth_ros.files.image_io import write_image
from focdepth_ros.pictures.chart import BLUE, RED, Series, chart
from focdepth_ros.pictures.depth_pictures import (
    as_colour,
    colour_depth,
    colour_values,
    depth_range,
    with_depth_bar,
)
from focdepth_ros.pictures.sheet import panel_grid
from focdepth_ros.stack import FloatImage, ImageArray

if TYPE_CHECKING:
    from focdepth_ros.defocus.solver import EpochLoss, EpochState

_PANEL_WIDTH = 480  # px
_SHARE_IN_COLOURS = 99.0  # percent of the residuals; larger ones take the last colour


def save_epoch_plot(
    folder: Path,
    state: EpochState,
    *,
    linear_light: bool,
    limits: tuple[float, float] | None = None,
) -> Path:
    """Write all-in-focus image, depth and residual after an epoch, as ``epoch_NNN.png``.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    state : EpochState
    linear_light : bool
        Whether the image is linear light (`DefocusConfig.linear_light`), not sRGB.
    limits : (float, float), optional
        Nearest and farthest depth of the colours [m]; those of this depth by default, so that
        sheets of several epochs compare only with it.

    Returns
    -------
    Path
        The file.
    """
    depth = _metres(state.dioptre.cpu().numpy())
    limits = depth_range(depth) if limits is None else limits
    picture = with_depth_bar(colour_depth(depth, metric=True, limits=limits), limits, metric=True)
    residual = state.residual().cpu().numpy()
    largest = float(np.percentile(residual, _SHARE_IN_COLOURS))
    loss = state.loss
    sheet = panel_grid(
        [
            ("all-in-focus image", _as_picture(state.image.cpu().numpy(), linear_light)),
            ("depth", picture),
            (
                f"residual, 0 to {100.0 * largest:.2g} % of white",
                colour_values(residual, 0.0, largest),
            ),
        ],
        title=f"epoch {loss.epoch} of {state.epochs}, mean squared error {loss.after_image:.3g}, "
        f"{loss.seconds:.1f} s",
        panel_width=_PANEL_WIDTH,
        columns=3,
    )
    return _written(folder / f"epoch_{loss.epoch:03d}.png", sheet)


def save_loss_curve(folder: Path, losses: Sequence[EpochLoss]) -> Path:
    """Write the error after the two steps of every epoch as a curve, as ``loss.png``.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    losses : sequence of EpochLoss

    Returns
    -------
    Path
        The file.
    """
    epochs = np.array([loss.epoch for loss in losses], np.float64)
    after_depth = np.array([loss.after_depth for loss in losses])
    after_image = np.array([loss.after_image for loss in losses])
    # In the order in which the steps are taken: depth half-way through an epoch, then image.
    both = Series(
        np.stack([epochs - 0.5, epochs], axis=1).ravel(),
        np.stack([after_depth, after_image], axis=1).ravel(),
        (200, 200, 200),
    )
    picture = chart(
        "red: after the depth step; blue: after the image step",
        "epoch",
        "mean squared error",
        [
            both,
            Series(epochs - 0.5, after_depth, RED, line=False),
            Series(epochs, after_image, BLUE, line=False),
        ],
        log_y=True,
    )
    return _written(folder / "loss.png", picture)


def _metres(dioptre: FloatImage) -> FloatImage:
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / dioptre, np.float32)


def _as_picture(image: FloatImage, linear_light: bool) -> ImageArray:
    """Colours (H, W, 3) of an image (H, W, C) in [0, 1]."""
    codes = codes_of(image, linear_light)
    return as_colour(codes[..., 0] if codes.shape[2] == 1 else codes)


def _written(path: Path, picture: ImageArray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, picture)
    return path
