"""Writing a fused focal stack as files that other programs and people can read.

- ``all_in_focus.png``: 8-bit colours
- ``slice_index.npy``: (H, W) float32, fractional: 0 is the first image, near to far; NaN where no
  image shows the pixel
- ``index.png``: 16-bit grey, the number of the nearest image, from 0 on; 65535 where there is none
- ``depth_preview.png``: colours for people, near warm, not known black, with a colour bar
- ``depth.npy``, ``depth.png``: metres and millimetres as `results.write_results` writes them, where
  focus distances are known
- ``result.json``: the images in the order in which they are counted, backend, timings, settings,
  warnings; written last, so that all the rest is there when it is
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.files.image_io import write_image
from focdepth_ros.files.results import (
    RESULT_JSON,
    WrittenResults,
    depth_in_millimetres,
    summary_of,
    write_preview,
    write_result,
)
from focdepth_ros.stack import FloatImage

#: In ``index.png``: no image shows the pixel.
NO_IMAGE = 65535

_DEPTH_FILES = ("depth.npy", "depth.png")


def write_fusion(
    folder: Path,
    estimate: DepthEstimate,
    images: Sequence[Path],
    focus_distances: Sequence[float] | None,
    settings: Mapping[str, Any],
) -> WrittenResults:
    """Write a fused focal stack; see the module's description for the files.

    Parameters
    ----------
    folder : Path
        Made where missing. Files of the same names are replaced, and those that cannot be given
        this time are removed.
    estimate : DepthEstimate
        With an all-in-focus image.
    images : sequence of Path
        Of the stack, in the order that the slice index counts.
    focus_distances : sequence of float or None
        Metres, one per image; None for a relative stack.
    settings : mapping
        As asked for, see `is_fused`.

    Raises
    ------
    OSError
        If the folder or a file in it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_JSON).unlink(missing_ok=True)
    assert estimate.all_in_focus is not None
    write_image(folder / "all_in_focus.png", estimate.all_in_focus)
    np.save(folder / "slice_index.npy", estimate.slice_index, allow_pickle=False)
    write_image(folder / "index.png", nearest_image(estimate.slice_index))
    write_preview(folder / "depth_preview.png", estimate)
    files = ["all_in_focus.png", "slice_index.npy", "index.png", "depth_preview.png"]
    skipped = {}
    if estimate.metric:
        np.save(folder / "depth.npy", estimate.depth, allow_pickle=False)
        write_image(folder / "depth.png", depth_in_millimetres(estimate.depth))
        files.extend(_DEPTH_FILES)
    else:
        skipped = dict.fromkeys(_DEPTH_FILES, "without focus distances there are no metres")
        for name in skipped:
            (folder / name).unlink(missing_ok=True)
    files.append(RESULT_JSON)
    result = {
        **summary_of(estimate, len(images), focus_distances),
        "images": [path.name for path in images],
        "files": files,
        "skipped": skipped,
        "settings": settings,
    }
    write_result(folder, result)
    return WrittenResults(folder, tuple(files), skipped)


def is_fused(folder: Path, images: Sequence[Path], settings: Mapping[str, Any]) -> bool:
    """Whether `write_fusion` has already written that there, of these images and settings."""
    try:
        result = json.loads((folder / RESULT_JSON).read_text(encoding="utf-8"))
        same = result["images"] == [path.name for path in images] and result["settings"] == settings
        return bool(same) and all((folder / name).is_file() for name in result["files"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or none of ours
        return False


def nearest_image(slice_index: FloatImage) -> NDArray[np.uint16]:
    """The number of the nearest image, (H, W) uint16; `NO_IMAGE` where the position is NaN."""
    unknown = np.isnan(slice_index)
    nearest = np.rint(np.where(unknown, np.float32(NO_IMAGE), slice_index))
    return np.asarray(nearest, np.uint16)
