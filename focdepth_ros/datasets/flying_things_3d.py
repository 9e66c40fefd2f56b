"""FlyingThings3D, rendered things that fly about."""

from __future__ import annotations

from focdepth_ros.datasets.files import depth_from_disparity, read_lines, read_raw, read_rgb
from focdepth_ros.datasets.rgbd import Photograph, RgbdDataset
from focdepth_ros.errors import DatasetError

_FOCAL_PX = 1050.0
_BASELINE = 0.1  # m, what we say that the authors' unit of length is
_UNUSED = "all_unused_files.txt"


class FlyingThings3d(RgbdDataset):
    """Synthetic stereo videos, 960 x 540, ten frames each, of which the left view is taken.

    A scene is one frame, named as its file without split, camera and ending, ``A/0000/0006``.
    Pictures are those without motion blur and defocus (``frames_cleanpass``, as PNG). Where the
    authors' list ``all_unused_files.txt`` lies in the root, the frames on it, with extreme
    disparities, are left out as by the authors.

    Depth is the focal length times the distance of the cameras over the disparity, at every pixel.
    That distance is 1 in a unit of the renderer that stands for no real length; here it is 10 cm,
    so that with the usual disparities of 10 to 300 px things are 0.35 to 10 m away, and a focal
    stack of them takes an ordinary lens. Depth is therefore not called metric.

    The full dataset is read, not the "DispNet/FlowNet2.0 subset", whose folders and signs differ.

    References
    ----------
    Mayer et al., "A Large Dataset to Train Convolutional Networks for Disparity, Optical Flow, and
    Scene Flow Estimation", CVPR 2016.
    """

    name = "flying_things_3d"
    title = "Scene Flow Datasets: FlyingThings3D"
    homepage = "https://lmb.informatik.uni-freiburg.de/resources/datasets/SceneFlowDatasets.en.html"
    licence = "for research only, not for commercial use"
    layout = (
        "frames_cleanpass/{TRAIN,TEST}/{A,B,C}/*/left/*.png\n"
        "disparity/{TRAIN,TEST}/{A,B,C}/*/left/*.pfm"
    )
    measured = "depth by ray tracing of random objects, in arbitrary units, stacks rendered"
    splits = ("train", "test")

    def photograph(self, scene: str) -> Photograph:
        """A frame."""
        part, video, frame = scene.split("/")
        file = f"{self.split.upper()}/{part}/{video}/left/{frame}"
        image = read_rgb(self.root / "frames_cleanpass" / f"{file}.png")
        path = self.root / "disparity" / f"{file}.pfm"
        disparity = read_raw(path)
        if disparity.shape != image.shape[:2]:
            raise DatasetError(
                f"{path}: has shape {disparity.shape}, its picture {image.shape[:2]}; they must be "
                "of one size"
            )
        return Photograph(
            image=image,
            depth=depth_from_disparity(disparity, _FOCAL_PX, _BASELINE),
            focal_px=_FOCAL_PX,
        )

    def _find_scenes(self) -> list[str]:
        # Either file of a frame counts, so that a missing one is missed when it is read.
        scenes = self._scenes_in("frames_cleanpass", "png") | self._scenes_in("disparity", "pfm")
        return sorted(scenes - self._unused())

    def _scenes_in(self, folder: str, suffix: str) -> set[str]:
        files = (self.root / folder / self.split.upper()).glob(f"[ABC]/*/left/*.{suffix}")
        return {f"{path.parts[-4]}/{path.parts[-3]}/{path.stem}" for path in files}

    def _unused(self) -> set[str]:
        """Scenes on the list of the authors, which has lines as ``TRAIN/A/0000/left/0006.png``."""
        path = self.root / _UNUSED
        lines = read_lines(path) if path.exists() else []
        start = f"{self.split.upper()}/"
        files = (line.removeprefix(start) for line in lines if line.startswith(start))
        return {file.removesuffix(".png").replace("/left/", "/") for file in files}
