"""The 4D Light Field Benchmark: rendered light fields, which are refocused into focal stacks."""

from __future__ import annotations

import math
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.datasets.files import read_raw, read_rgb
from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import CameraIntrinsics, FloatImage, FocalStack, ImageArray, Lens, Slice

_PARAMETERS, _DISPARITY = "parameters.cfg", "gt_disp_lowres.pfm"
_SLICES = 10
_LOBES = 4  # of Lanczos' interpolation on either side


class LightField4d(Dataset):
    """Synthetic scenes seen by 9 x 9 cameras, 512 x 512 px each.

    The splits are the folders of the authors. Of ``test`` the truth is not public.

    The focal stack is made here: 10 slices, each the mean of all views after those points were
    laid on each other that have one disparity. The disparities are evenly spaced from the greatest
    to the least of the scene's ``parameters.cfg``, and with them the focus distances in dioptres.
    (Wang et al., who made such stacks first, took -2.5 to 2.5 px for every scene.) The values are
    averaged as stored, without undoing their gamma, as by the others. At the border of a view its
    last pixels are repeated; the authors do not evaluate the outermost 15 px.

    The view in the middle is the all-in-focus image, and the truth is on its grid. The lens is the
    thin lens that has the aperture of all the cameras (square, 9 baselines wide) and, focused at
    disparity 0, the image size of the views.

    References
    ----------
    Honauer, Johannsen, Kondermann and Goldlücke, "A Dataset and Evaluation Methodology for Depth
    Estimation on 4D Light Fields", ACCV 2016. Layout and formulas:
    https://github.com/lightfield-analysis/evaluation-toolkit.
    Wang et al., "Bridging Unsupervised and Supervised Depth from Focus via All-in-Focus
    Supervision", ICCV 2021.
    """

    name = "light_field_4d"
    title = "4D Light Field Benchmark (HCI)"
    homepage = "https://lightfield-analysis.uni-konstanz.de"
    licence = "CC BY-NC-SA 4.0"
    layout = (
        "{training,additional,stratified,test}/*/input_Cam000.png ... input_Cam080.png with "
        f"{_PARAMETERS} and, but for test, {_DISPARITY}"
    )
    measured = "rendered light field, refocused, exact depth"
    splits = ("training", "additional", "stratified", "test")

    def _find_scenes(self) -> list[str]:
        folder = self.root / self.split
        return sorted(path.name for path in folder.glob("*") if path.is_dir())

    def _load(self, scene: str) -> LabelledStack:
        folder = self.root / self.split / scene
        cameras = _Cameras.read(folder / _PARAMETERS)
        views = [
            _read_view(folder / f"input_Cam{number:03d}.png", cameras)
            for number in range(cameras.rows * cameras.columns)
        ]
        truth = folder / _DISPARITY
        depth = None
        if self.split != "test" or truth.exists():
            depth = cameras.depth(read_raw(truth)).astype(np.float32)
        slices = [
            Slice(_refocused(views, cameras, disparity), float(cameras.depth(disparity)))
            for disparity in cameras.sweep()
        ]
        return LabelledStack(
            name=scene,
            stack=FocalStack(slices, cameras.intrinsics(), cameras.lens()),
            depth=depth,
            all_in_focus=views[len(views) // 2],
        )


@dataclass(frozen=True)
class _Cameras:
    """Cameras side by side and on top of each other, all looking the same way.

    Their sensors are shifted so that what is at `focus_distance` has disparity 0.
    """

    rows: int
    columns: int
    width: int  # px, of a view
    height: int  # px
    focal_length: float  # m, from the pinhole to the sensor
    sensor_size: float  # m, of the longer side
    baseline: float  # m, from one camera to the next
    focus_distance: float  # m
    disparity_range: tuple[float, float]  # px from one camera to the next, the least first

    @classmethod
    def read(cls, path: Path) -> _Cameras:
        """From ``parameters.cfg``."""
        parser = ConfigParser(interpolation=None)
        try:
            with path.open(encoding="utf-8") as file:
                parser.read_file(file)
            inner, outer, meta = (parser[name] for name in ("intrinsics", "extrinsics", "meta"))
            cameras = cls(
                rows=int(outer["num_cams_y"]),
                columns=int(outer["num_cams_x"]),
                width=int(inner["image_resolution_x_px"]),
                height=int(inner["image_resolution_y_px"]),
                focal_length=float(inner["focal_length_mm"]) * 1e-3,
                sensor_size=float(inner["sensor_size_mm"]) * 1e-3,
                baseline=float(outer["baseline_mm"]) * 1e-3,
                focus_distance=float(outer["focus_distance_m"]),
                disparity_range=(float(meta["disp_min"]), float(meta["disp_max"])),
            )
        except FileNotFoundError as error:
            raise DatasetError(f"{path}: no such file; the dataset is not complete") from error
        except KeyError as error:
            raise DatasetError(f"{path}: has no {error}; download the file again") from error
        except (ConfigError, ValueError) as error:
            raise DatasetError(f"{path}: {error}; download the file again") from error
        cameras._check(path)
        return cameras

    def _check(self, path: Path) -> None:
        sizes = (self.rows, self.columns, self.width, self.height, self.focal_length,
                 self.sensor_size, self.baseline, self.focus_distance)  # fmt: skip
        low, high = self.disparity_range
        if not all(size > 0 for size in sizes):
            wrong = f"a size or distance among {', '.join(map(str, sizes))} is not above 0"
        elif not low < high:
            wrong = f"disp_max {high} px is not above disp_min {low} px"
        elif not self.depth(low) > 0.0:
            wrong = f"disp_min {low} px lies beyond infinity"
        else:
            return
        raise DatasetError(f"{path}: {wrong}; download the file again")

    @property
    def pixel_pitch(self) -> float:
        """Metres."""
        return self.sensor_size / max(self.width, self.height)

    def sweep(self) -> NDArray[np.float64]:
        """Disparities of the slices, near to far, in pixels."""
        return np.linspace(*self.disparity_range[::-1], _SLICES)

    def depth(self, disparity: ArrayLike) -> NDArray[np.float64]:
        """Metres of disparities in pixels, NaN where there are none or they mean nothing.

        ``1/Z = 1/Z_0 + d p / (f b)``, as in ``BaseScene.disp2depth`` of the authors' toolkit.
        """
        per_pixel = self.pixel_pitch / (self.focal_length * self.baseline)
        dioptre = 1.0 / self.focus_distance + np.asarray(disparity, np.float64) * per_pixel
        known = np.isfinite(dioptre) & (dioptre > 0.0)
        return np.where(known, 1.0 / np.where(known, dioptre, 1.0), np.nan)

    def intrinsics(self) -> CameraIntrinsics:
        """Of the camera in the middle."""
        focal_px = self.focal_length / self.pixel_pitch
        middle = (self.width - 1) / 2, (self.height - 1) / 2
        return CameraIntrinsics(self.width, self.height, focal_px, focal_px, *middle)

    def lens(self) -> Lens:
        """The thin lens that blurs as the mean of the views does."""
        focal_length = 1.0 / (1.0 / self.focal_length + 1.0 / self.focus_distance)
        aperture = self.columns * self.baseline
        return Lens(focal_length, focal_length / aperture, self.pixel_pitch)


def _read_view(path: Path, cameras: _Cameras) -> ImageArray:
    view = read_rgb(path)
    if view.shape[:2] != (cameras.height, cameras.width):
        raise DatasetError(
            f"{path}: {view.shape[1]}x{view.shape[0]} px, but {_PARAMETERS} says "
            f"{cameras.width}x{cameras.height}; download the file again"
        )
    return view


def _refocused(views: list[ImageArray], cameras: _Cameras, disparity: float) -> ImageArray:
    """Mean of the views, shifted so that points of a disparity fall on those of the middle one.

    Views are numbered by rows from the top left. What the middle view has at x, the view k columns
    further left has at ``x + k · disparity``.
    """
    total = np.zeros(views[0].shape, dtype=np.float32)
    for number, view in enumerate(views):
        row, column = divmod(number, cameras.columns)
        right = ((cameras.columns - 1) / 2 - column) * disparity
        down = ((cameras.rows - 1) / 2 - row) * disparity
        total += _seen_from(view, right, down)
    return np.clip(np.rint(total / len(views)), 0, 255).astype(np.uint8)


def _seen_from(view: ImageArray, right: float, down: float) -> FloatImage:
    """Values of a view at ``(x + right, y + down)`` for all x and y, (H, W, 3).

    Linear interpolation would blur, and each slice otherwise; Lanczos' hardly does.
    """
    x, y = math.floor(right), math.floor(down)
    margin = max(abs(x), abs(y))
    wider = cv2.copyMakeBorder(view, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    moved = cv2.sepFilter2D(
        wider,
        cv2.CV_32F,
        _lanczos(right - x),
        _lanczos(down - y),
        anchor=(_LOBES - 1, _LOBES - 1),
        borderType=cv2.BORDER_REPLICATE,
    )
    height, width = view.shape[:2]
    top, left = margin + y, margin + x
    return np.asarray(moved[top : top + height, left : left + width])


def _lanczos(fraction: float) -> NDArray[np.float64]:
    """Weights of the 8 values around a place that is a fraction of a pixel after the fourth."""
    distance = np.arange(1 - _LOBES, _LOBES + 1) - fraction
    weights = np.sinc(distance) * np.sinc(distance / _LOBES)
    return np.asarray(weights / weights.sum())
