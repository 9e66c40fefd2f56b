"""Flow fields that some other tool has made of a sweep."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from focdepth_ros.errors import AlignmentError, OptionError
from focdepth_ros.stack import FloatImage
from focdepth_ros.stack_folder.slice_files import natural_order

FLOW_SUFFIXES = (".npy", ".flo")

_FLO_MAGIC = 202021.25
_FLO_HEADER = 12  # bytes
_FLO_UNKNOWN = 1e9  # px; what is longer marks that nothing is known


def flow_files(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The flow fields of a sweep: one for every slice after the first, in their order.

    Parameters
    ----------
    folder : path-like
        Its ``.npy`` and ``.flo`` files in the order of the numbers in their names.

    Raises
    ------
    OptionError
        If there is no such folder, or no flow field in it.
    """
    path = Path(folder)
    if not path.is_dir():
        raise OptionError(f"flow_path {path} is no folder; give the one with the flow fields")
    files = [file for file in path.iterdir() if file.suffix.lower() in FLOW_SUFFIXES]
    if not files:
        raise OptionError(
            f"flow_path {path} holds no flow fields; write one .npy or .flo per slice but the first"
        )
    return tuple(sorted(files, key=lambda file: natural_order(file.name)))


def read_flow(path: Path, size: tuple[int, int]) -> FloatImage:
    """Read a flow field: where each pixel of the sweep's first slice went in another.

    Parameters
    ----------
    path : Path
        ``.npy`` of float (H, W, 2), x before y, in pixels, or ``.flo`` as of the Middlebury
        benchmark.
    size : (H, W)
        Of the slices.

    Returns
    -------
    (H, W, 2) float32
        NaN where the file has no finite value, or one that the format takes to be unknown.

    Raises
    ------
    AlignmentError
        If the file cannot be read, is of another size, or holds no finite value at all.

    References
    ----------
    Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 92(1), 2011.
    """
    try:
        flow = _read_flo(path) if path.suffix.lower() == ".flo" else _read_npy(path)
    except OSError as error:
        raise AlignmentError(
            f"flow {path} cannot be read: {error.strerror}; check the file and its permissions"
        ) from error
    if flow.shape != (*size, 2):
        raise AlignmentError(
            f"flow {path} has shape {flow.shape}; slices of {size[1]}x{size[0]} px need "
            f"{(*size, 2)}"
        )
    known = np.isfinite(flow).all(axis=2)
    if not known.any():
        raise AlignmentError(f"flow {path} holds no finite value; compute it again")
    flow = flow.astype(np.float32)
    flow[~known] = np.nan
    return flow


def _read_npy(path: Path) -> FloatImage:
    with path.open("rb") as file:
        try:
            flow = np.lib.format.read_array(file, allow_pickle=False)
        except Exception as error:  # a damaged header makes NumPy raise whatever its parser does
            raise AlignmentError(
                f"flow {path} cannot be read as a NumPy array; write it with numpy.save"
            ) from error
    if flow.dtype.kind != "f":
        raise AlignmentError(f"flow {path} holds {flow.dtype}; save floats, in pixels")
    return np.asarray(flow)


def _read_flo(path: Path) -> FloatImage:
    data = path.read_bytes()
    if len(data) < _FLO_HEADER or np.frombuffer(data, "<f4", 1)[0] != _FLO_MAGIC:
        raise AlignmentError(f"flow {path} does not begin like a .flo file; write it again")
    width, height = np.frombuffer(data, "<i4", 2, offset=4)
    expected = _FLO_HEADER + 8 * int(width) * int(height)
    if width < 1 or height < 1 or len(data) != expected:
        raise AlignmentError(
            f"flow {path} is {len(data)} bytes long, a .flo file of {width}x{height} px "
            f"{expected}; write it again"
        )
    flow = np.frombuffer(data, "<f4", offset=_FLO_HEADER).reshape(height, width, 2)
    return np.where(np.abs(flow) > _FLO_UNKNOWN, np.float32(np.nan), flow)
