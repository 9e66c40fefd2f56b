"""Frames of ICL-NUIM, rendered videos of a living room and an office."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from focdepth_ros.datasets.files import read_depth_png, read_rgb
from focdepth_ros.datasets.rgbd import Photograph, RgbdVideo


class IclNuim(RgbdVideo):
    """Synthetic RGB-D frames, 640 x 480, with depth at every pixel.

    A scene is one frame, as ``living_room_traj0_frei_png/0``. Two layouts are read, below a
    folder for each trajectory or without it:

    - that of the authors for the tools of TUM RGB-D, PNG pictures and depths of 5000 in a metre;
    - the augmented dataset of Choi et al., JPEG pictures and depths in millimetres, in the folders
      ``<name>-color`` and ``<name>-depth-clean`` or in ``rgb`` and ``depth``.

    Their focal lengths differ; that of the authors down the picture has a minus sign with them, for
    their y points up. Depths are taken to be along the optical axis, as other readers of the PNG
    files do; only for the raw ``.depth`` files do the authors say that they are along the ray.

    References
    ----------
    Handa et al., "A Benchmark for RGB-D Visual Odometry, 3D Reconstruction and SLAM", ICRA 2014.
    Choi, Zhou and Koltun, "Robust Reconstruction of Indoor Scenes", CVPR 2015.
    """

    name = "icl_nuim"
    title = "ICL-NUIM RGB-D Benchmark Dataset"
    homepage = "https://www.doc.ic.ac.uk/~ahanda/VaFRIC/iclnuim.html"
    licence = "Creative Commons Attribution 3.0"
    layout = "rgb/*.png with depth/*.png\n*/rgb/*.png\n*-color/*.jpg with *-depth-clean/*.png"
    measured = "depth by ray tracing of modelled rooms, stacks rendered"

    def photograph(self, scene: str) -> Photograph:
        """A frame."""
        picture, depth, release = self._frames[scene]
        return Photograph(
            image=read_rgb(picture),
            depth=read_depth_png(depth, per_metre=release.per_metre),
            focal_px=release.focal_px,
            focal_px_down=release.focal_px_down,
        )

    def _find_scenes(self) -> list[str]:
        self._frames: dict[str, tuple[Path, Path, _Release]] = {}
        for trajectory, pictures, depths in _trajectories(self.root):
            release = _AUGMENTED if any(pictures.glob("*.jpg")) else _ORIGINAL
            # Either file of a frame counts, so that a missing one is missed when it is read.
            stems = {p.stem for folder in (pictures, depths) for p in folder.glob("*")}
            # Numbers of different lengths: 2 comes before 10.
            for stem in sorted(filter(str.isdecimal, stems), key=int)[:: self._every]:
                picture = pictures / f"{stem}{release.suffix}"
                frame = (picture, depths / f"{stem}.png", release)
                self._frames[(trajectory / stem).as_posix()] = frame
        return list(self._frames)


@dataclass(frozen=True)
class _Release:
    suffix: str  # of the pictures
    per_metre: float
    focal_px: float
    focal_px_down: float


_ORIGINAL = _Release(".png", 5000.0, 481.2, 480.0)
_AUGMENTED = _Release(".jpg", 1000.0, 525.0, 525.0)


def _trajectories(root: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Name of each trajectory, as a path, and the folders of its pictures and depths."""
    for pictures in sorted((*root.glob("rgb"), *root.glob("*/rgb"))):
        yield pictures.parent.relative_to(root), pictures, pictures.with_name("depth")
    for pictures in sorted(root.glob("*-color")):
        name = pictures.name.removesuffix("-color")
        yield Path(name), pictures, root / f"{name}-depth-clean"
