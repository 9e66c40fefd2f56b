"""The kinds of files that datasets come in, read so that a bad one is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.errors import DatasetError, StackFileError
from focdepth_ros.files.image_io import read_image
from focdepth_ros.libraries import missing_because
from focdepth_ros.stack import FloatImage, ImageArray

HDF5_LIBRARIES = ("h5py",)
MAT_LIBRARIES = ("scipy",)


def read_rgb(path: Path) -> ImageArray:
    """A picture as (H, W, 3) uint8 RGB, also if it is grey.

    Raises
    ------
    DatasetError
        If it is missing or no picture.
    """
    try:
        image = read_image(path)
    except StackFileError as error:
        raise DatasetError(str(error)) from error
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def read_raw(path: Path) -> NDArray[Any]:
    """A picture of one channel with its values as stored, (H, W): PNG, PGM, PFM or TIFF.

    Raises
    ------
    DatasetError
        If it is missing, no picture, or has several channels.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; the dataset is not complete")
    if path.suffix.lower() == ".pfm":
        return _read_pfm(path)
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise DatasetError(f"{path}: cannot be read as an image; download the file again")
    if values.ndim != 2:
        raise DatasetError(f"{path}: has shape {values.shape}; expected one channel")
    return np.asarray(values)


def _read_pfm(path: Path) -> FloatImage:
    # OpenCV would apply the scale of the header, which here is the sign of the byte order and
    # else means nothing: some files have 1/255 there.
    try:
        kind, size, scale, data = path.read_bytes().split(b"\n", 3)
        width, height = map(int, size.split())
        values = np.frombuffer(data, "<f4" if float(scale) < 0 else ">f4")
        rows = values.reshape(height, width)
    except ValueError as error:
        raise DatasetError(
            f"{path}: is no PFM file, or a damaged one; download it again"
        ) from error
    if kind.strip() != b"Pf":
        raise DatasetError(f"{path}: is of the kind {kind!r}; expected b'Pf', one channel")
    return rows[::-1].astype(np.float32)  # from the bottom to the top


def read_depth_png(
    path: Path, *, per_metre: float, unknown: tuple[float, ...] = (0.0,)
) -> FloatImage:
    """Depth from a picture of whole numbers, (H, W) float32 in metres, NaN where not known.

    Parameters
    ----------
    path : Path
    per_metre : float
        Units of the values in a metre.
    unknown : tuple of float
        Values that stand for "not known".

    Raises
    ------
    DatasetError
        As `read_raw`, or if it has not 16 bits: it is a preview then.
    """
    stored = read_raw(path)
    if stored.dtype != np.uint16:
        raise DatasetError(f"{path}: holds {stored.dtype} values; expected depths in 16 bits")
    depth = stored.astype(np.float32) / np.float32(per_metre)
    depth[np.isin(stored, unknown)] = np.nan
    return depth


def depth_from_disparity(
    disparity: NDArray[Any], focal_px: float, baseline: float, offset: float = 0.0
) -> FloatImage:
    """Depth of a pair of cameras side by side, ``f b / (d + offset)``, (H, W) float32.

    Parameters
    ----------
    disparity : (H, W)
        Pixels; NaN, infinite, or not above 0: not known.
    focal_px : float
    baseline : float
        Metres.
    offset : float
        Difference of the principal points in pixels.

    Returns
    -------
    (H, W) float32
        Metres, NaN where not known.
    """
    values = np.asarray(disparity, dtype=np.float32)
    total = values + np.float32(offset)
    known = np.isfinite(values) & (values > 0.0) & (total > 0.0)
    depth = np.full(values.shape, np.nan, dtype=np.float32)
    depth[known] = np.float32(focal_px * baseline) / total[known]
    return depth


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """An HDF5 file, also a .mat file of MATLAB 7.3, as h5py opens it.

    Raises
    ------
    DatasetError
        If h5py is not installed, or the file is missing or of another kind.
    """
    missing = missing_because(HDF5_LIBRARIES, "datasets")
    if missing is not None:
        raise DatasetError(f"{path} cannot be read here: {missing}")
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        what = "no such file" if not path.exists() else "is no HDF5 file, or a damaged one"
        raise DatasetError(f"{path}: {what}; download the file again") from error
    with file:
        yield file


def read_mat(path: Path) -> dict[str, Any]:
    """Variables of a .mat file of MATLAB up to version 7.

    Raises
    ------
    DatasetError
        If SciPy is not installed, or the file is missing or of another kind.
    """
    missing = missing_because(MAT_LIBRARIES, "datasets")
    if missing is not None:
        raise DatasetError(f"{path} cannot be read here: {missing}")
    from scipy.io import loadmat

    if not path.is_file():
        raise DatasetError(f"{path}: no such file; the dataset is not complete")
    try:
        values: dict[str, Any] = loadmat(path)
    except Exception as error:  # a damaged file makes SciPy raise whatever its parser does
        raise DatasetError(f"{path}: cannot be read as a .mat file: {error}") from error
    return values


def member(values: Any, name: str, path: Path) -> Any:
    """What a file of named values holds under a name.

    Raises
    ------
    DatasetError
        If there is nothing of that name.
    """
    if name not in values:
        there = ", ".join(sorted(str(key) for key in values if not str(key).startswith("__")))
        raise DatasetError(f"{path}: has no '{name}'; it has {there or 'nothing'}")
    return values[name]


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without those that are empty or comments (``#``).

    Raises
    ------
    DatasetError
        If it is missing or no text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file; the dataset is not complete") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is no text in UTF-8; download the file again") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
