"""Mobile Depth: focus sweeps of hand-held phones, without ground truth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from focdepth_ros.datasets.base import Dataset, LabelledStack
from focdepth_ros.datasets.files import read_lines, read_rgb
from focdepth_ros.errors import DatasetError
from focdepth_ros.stack import FocalStack, Lens, Slice
from focdepth_ros.stack_folder.slice_files import natural_order

_ANYWHERE = ("", "*/")  # the archives may be unpacked side by side or each into a folder
_PHOTOS = {
    "aligned": ("Aligned/*/*", "a[0-9]*.jpg"),
    "photos": ("Figure*/*", "[0-9]*.jpg"),
}
_CALIBRATION, _CALIBRATED = "calibration", "calibrated.txt"
# Scenes that are called otherwise among the calibrations.
_CALIBRATED_AS = {
    "metals": "metal",
    "largemotion": "GTLarge",
    "smallmotion": "GTSmall",
    "zeromotion": "GT",
}
_FROM_LAST_TO_FIRST = ("metals",)
_PIXEL_PITCH = 0.75  # in the unit of the calibration; Jackson has 1.5 at half the resolution


class MobileDepth(Dataset):
    """13 sweeps of 12 to 41 photos, such as keyboard, balls, plants and window.

    A scene is one sweep, named as its folder. The split ``aligned`` is the photos after the
    authors' alignment, ``photos`` those that were taken, which need one.

    Of all scenes but bucket and kitchen the authors distribute what their method found of the
    camera: in ``calibrated.txt`` the focal depth and the aperture of each photo, then the focal
    length. They are in no unit of length (confirmed by the author to Jackson, who has used them),
    so the stack is always relative. A calibration puts its slices in order, near to far, and each
    focal depth is kept as the `lens_position` of its slice. The lens is in the same unit, with the
    pixel pitch that Jackson has; there is none where the aperture changes. Without calibration the
    slices keep the order of their numbers, which may be far to near. The rows of the calibration
    of metals go with the photos in reverse, as three others have found. The depth that the
    authors' method estimated (``depth_var.bin``) is no truth and not read.

    Not confirmed: the layout is known only from the readers of others.

    References
    ----------
    Suwajanakorn, Hernández and Seitz, "Depth from Focus with Your Mobile Phone", CVPR 2015.
    The files: https://github.com/albert100121/AiFDepthNet (``gen_txt_mobile.py``, ``test.py``),
    https://github.com/fuy34/DFV, https://github.com/hollyjackson/dfd (``dataset_loader.py``).
    """

    name = "mobile_depth"
    title = "Mobile Depth (Depth from Focus with Your Mobile Phone)"
    homepage = "https://www.supasorn.com/dffdownload.html"
    licence = "none stated by its authors"
    layout = "\n".join(
        (
            "Aligned/FIGURE/SCENE/a00.jpg, a01.jpg, ...",
            "FIGURE/SCENE/00.jpg, 01.jpg, ... (split photos)",
            f"{_CALIBRATION}/SCENE/{_CALIBRATED} (optional)",
        )
    )
    measured = "hand-held cameras, most of them phones; no ground truth"
    splits = tuple(_PHOTOS)

    def _find_scenes(self) -> list[str]:
        folders, self._pattern = _PHOTOS[self.split]
        found = [p for outer in _ANYWHERE for p in sorted(self.root.glob(f"{outer}{folders}"))]
        # The first of a name is taken.
        self._folders = {p.name: p for p in reversed(found) if any(p.glob(self._pattern))}
        return sorted(self._folders)

    def _load(self, scene: str) -> LabelledStack:
        folder = self._folders[scene]
        paths = sorted(folder.glob(self._pattern), key=lambda path: natural_order(path.name))
        if len(paths) < 2:
            raise DatasetError(f"{folder}: holds one photo, {paths[0].name}; a sweep has several")
        focal_depths, lens = self._calibration(scene, len(paths))
        if focal_depths:
            order = np.argsort(focal_depths, kind="stable")
            paths = [paths[i] for i in order]
            focal_depths = [focal_depths[i] for i in order]
        images = [read_rgb(path) for path in paths]
        for path, image in zip(paths, images, strict=True):
            if image.shape != images[0].shape:
                raise DatasetError(
                    f"{path}: of shape {image.shape}, but {paths[0].name} is of "
                    f"{images[0].shape}; all photos of a sweep must be of one size"
                )
        slices = [
            Slice(image, None, lens_position=focal_depths[i] if focal_depths else None)
            for i, image in enumerate(images)
        ]
        return LabelledStack(scene, FocalStack(slices, lens=lens), is_metric=False)

    def _calibration(self, scene: str, count: int) -> tuple[list[float], Lens | None]:
        """Focal depths of the photos in the order of their numbers, none without calibration."""
        names = (_CALIBRATED_AS.get(scene, scene), scene)
        files = (
            path
            for outer in _ANYWHERE
            for name in names
            for path in self.root.glob(f"{outer}{_CALIBRATION}/{name}/{_CALIBRATED}")
        )
        path = next(files, None)
        if path is None:
            return [], None
        depths, lens = _read_calibration(path)
        if len(depths) != count:
            raise DatasetError(
                f"{path}: has focal depths of {len(depths)} photos, but {self._folders[scene]} "
                f"holds {count}; download the files again"
            )
        return depths[::-1] if scene in _FROM_LAST_TO_FIRST else depths, lens


def _read_calibration(path: Path) -> tuple[list[float], Lens | None]:
    """Focal depths and lens: lines of focal depth and aperture, and one of the focal length."""
    *lines, last = read_lines(path) or [""]
    depths, apertures = [], []
    for line in lines:
        depth, aperture = _numbers(line, 2, path, "focal depth and aperture")
        depths.append(depth)
        apertures.append(aperture)
    (focal_length,) = _numbers(last, 1, path, "focal length")
    if len({*apertures}) != 1 or not focal_length > 0.0 or not apertures[0] > 0.0:
        return depths, None
    return depths, Lens(focal_length, focal_length / apertures[0], _PIXEL_PITCH)


def _numbers(line: str, count: int, path: Path, what: str) -> list[float]:
    try:
        numbers = [float(part) for part in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise DatasetError(f"{path}: line '{line}' is no {what}; download the file again")
    return numbers
