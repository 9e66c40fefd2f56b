"""Figures of an all-in-focus image: against the true one, against its slices, and of it alone."""

from __future__ import annotations

from collections.abc import Sequence

from focdepth_ros.errors import EvaluationError
from focdepth_ros.evaluation.fusion_metrics import mutual_information, psnr, q_abf, scd, ssim, vif
from focdepth_ros.evaluation.niqe import niqe
from focdepth_ros.libraries import missing_because
from focdepth_ros.pictures.depth_pictures import as_colour
from focdepth_ros.stack import ImageArray

#: Those that need the true image.
AGAINST_TRUTH = ("psnr", "ssim", "vif")
#: Every figure, in the order of a table.
FUSION_FIGURES = (*AGAINST_TRUTH, "niqe", "q_abf", "mutual_information", "scd")

_LIBRARIES = ("skimage", "sewar")


def need_fusion_libraries() -> None:
    """Raise an `EvaluationError` that names what is missing, if something is."""
    missing = missing_because(_LIBRARIES, "evaluation")
    if missing is not None:
        raise EvaluationError(f"all-in-focus images cannot be measured here: {missing}")


def fusion_figures(
    image: ImageArray | None, slices: Sequence[ImageArray], truth: ImageArray | None
) -> dict[str, float]:
    """All figures of an all-in-focus image.

    Parameters
    ----------
    image : (H, W, 3) uint8 or None
        RGB; None where a backend made none.
    slices : sequence of (H, W, 3) or (H, W) uint8
        That it was made of, on its pixel grid.
    truth : (H, W, 3) uint8 or None

    Returns
    -------
    dict of str to float
        Those of `FUSION_FIGURES`, NaN where something is missing.

    Raises
    ------
    EvaluationError
        If the libraries are not there, or the sizes differ.
    """
    need_fusion_libraries()
    figures = dict.fromkeys(FUSION_FIGURES, float("nan"))
    if image is None:
        return figures
    if truth is not None:
        true = as_colour(truth)
        figures |= {"psnr": psnr(image, true), "ssim": ssim(image, true), "vif": vif(image, true)}
    sources = [as_colour(item) for item in slices]
    return figures | {
        "niqe": niqe(image),
        "q_abf": q_abf(image, sources),
        "mutual_information": mutual_information(image, sources),
        "scd": scd(image, sources),
    }
