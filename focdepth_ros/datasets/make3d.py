"""Make3D, outdoor photographs with depths by a laser."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.datasets.files import member, read_mat, read_rgb
from focdepth_ros.datasets.rgbd import FixedSweep, Photograph, RgbdDataset
from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import FloatImage, ImageArray

# Folders below the root. The archive Test134Depth.tar.gz unpacks as Gridlaserdata.
_PICTURES = {"train": ("Train400Img",), "test": ("Test134", "Test134Img")}
_DEPTHS = {
    "train": ("Train400Depth",),
    "test": ("Test134Depth/Gridlaserdata", "Gridlaserdata", "Test134Depth"),
}
_PICTURE = "img-{}.jpg"
_DEPTH = "depth_sph_corr-{}.mat"

_SIZE = (345, 460)  # px, width and height
_FIELD = (0.70783777, 0.946584169)  # width and height of the picture over the focal length
_FARTHEST = 80.0  # m
_SENSOR_HEIGHT = 7.11e-3  # m, of the upright Canon PowerShot S40


class Make3d(RgbdDataset):
    """Upright photographs, 1704 x 2272, with depths on a grid of 305 x 55.

    A scene is one photograph, named as its file without ``img-``.

    The picture is made smaller, to 345 x 460, at which depths of this dataset are mostly compared.
    The depths are brought to this size by taking the nearest, for between two points of the laser
    nothing was measured; one stands for 8 rows.

    The fourth layer of the stored grid is the distance along the ray of a point (the authors
    multiply it by rays of length 1). It becomes depth along the axis by the field of view that
    their code has. Others mostly take the distance as it is, which is up to 16 % more in the
    corners. The third layer should be that depth as well, but is said not to be filled everywhere.
    Distances of 80 m and more are not known, as in their code: the laser reaches little farther,
    and what sends nothing back, as the sky, is stored as about that.

    The focus distances are those of Jackson et al. Their lens is the real one of 7.1 mm, with
    pixels made 100 times smaller for want of blur; one of 50 mm at f/2.8 on pixels of the true size
    blurs as much as theirs at f/5.6, 58 px per dioptre. One photograph of those to test is damaged
    as distributed, by what others write.

    References
    ----------
    Saxena, Sun and Ng, "Make3D: Learning 3D Scene Structure from a Single Still Image",
    IEEE TPAMI 31(5), 2009.
    Jackson et al., "Depth from Defocus via Direct Optimization", arXiv 2602.18509, 2026.
    """

    name = "make3d"
    title = "Make3D Range Image Data"
    homepage = "http://make3d.cs.cornell.edu/data.html"
    licence = "none stated by its authors; made for research"
    layout = (
        "Train400Img/img-*.jpg with Train400Depth/depth_sph_corr-*.mat\n"
        "Test134/img-*.jpg with Gridlaserdata/depth_sph_corr-*.mat"
    )
    measured = "depth by a laser scanner, coarse, stacks rendered"
    splits = ("train", "test")
    sweep = FixedSweep(
        focal_length=0.05,
        f_number=2.8,
        focus_distances=(1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
        pixel_pitch=_SENSOR_HEIGHT / _SIZE[1],
    )

    def photograph(self, scene: str) -> Photograph:
        """A photograph, made smaller."""
        return Photograph(
            image=_read_picture(self._pictures / _PICTURE.format(scene)),
            depth=_read_depth(self._depths / _DEPTH.format(scene)),
            focal_px=_SIZE[0] / _FIELD[0],
        )

    def _find_scenes(self) -> list[str]:
        self._pictures = self._folder(_PICTURES[self.split])
        self._depths = self._folder(_DEPTHS[self.split])
        # Either file counts, so that a missing one is missed when it is read.
        return sorted(_named(self._pictures, _PICTURE) | _named(self._depths, _DEPTH))

    def _folder(self, names: tuple[str, ...]) -> Path:
        folders = [self.root / name for name in names]
        return next((folder for folder in folders if folder.is_dir()), folders[0])


def _named(folder: Path, pattern: str) -> set[str]:
    """What stands for ``{}`` in the names of the files."""
    before, after = pattern.split("{}")
    files = folder.glob(pattern.format("*"))
    return {path.name.removeprefix(before).removesuffix(after) for path in files}


def _read_picture(path: Path) -> ImageArray:
    image = read_rgb(path)
    height, width = image.shape[:2]
    if width >= height:
        raise DatasetError(
            f"{path}: is of {width} x {height} px; expected one that stands upright, 1704 x 2272"
        )
    return np.asarray(cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def _read_depth(path: Path) -> FloatImage:
    grid = member(read_mat(path), "Position3DGrid", path)
    if grid.ndim != 3 or grid.shape[2] != 4 or grid.dtype.kind != "f":
        raise DatasetError(
            f"{path}: 'Position3DGrid' is {grid.dtype} of shape {grid.shape}; expected floats of "
            "shape (55, 305, 4)"
        )
    distance = grid[..., 3]
    known = (distance > 0.0) & (distance < _FARTHEST)
    depth = np.where(known, distance / _ray_lengths(*distance.shape), np.nan)
    return np.asarray(
        cv2.resize(depth.astype(np.float32), _SIZE, interpolation=cv2.INTER_NEAREST_EXACT)
    )


def _ray_lengths(rows: int, columns: int) -> NDArray[np.float64]:
    """From the lens to the plane at depth 1 through the middle of each cell, (rows, columns)."""
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * _FIELD[0]
    y = ((np.arange(rows) + 0.5) / rows - 0.5) * _FIELD[1]
    return np.asarray(np.sqrt(1.0 + x[None, :] ** 2 + y[:, None] ** 2))
