"""The ground truth of a sweep on its pixel grid, also where another camera has measured it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from focdepth_ros.bags.depth_registration import register_depth
from focdepth_ros.bags.rigid_transform import RigidTransform
from focdepth_ros.bags.static_transforms import TOPIC, StaticTransforms
from focdepth_ros.bags.topics import BagSettings
from focdepth_ros.errors import CalibrationError, MessageError
from focdepth_ros.messages.reading import camera_intrinsics, turns_when_rectified
from focdepth_ros.stack import CameraIntrinsics, FloatImage

SAME_GRID = "same"
"""Extrinsic of a depth that is on the grid of the images whatever its frame is called."""

_CANNOT = "the depth of another camera cannot be registered to the images"


@dataclass(frozen=True, eq=False)
class DepthCamera:
    """A camera of its own that measured the ground truth.

    Parameters
    ----------
    info : CameraInfo message
    extrinsic : RigidTransform
        How its optical frame lies in that of the images.
    """

    info: Any
    extrinsic: RigidTransform

    def registered(self, depth: FloatImage, intrinsics: CameraIntrinsics) -> FloatImage:
        """Its depth image [m], as the camera with these intrinsics would see it.

        Raises
        ------
        MessageError
            If its calibration cannot be used.
        """
        height, width = depth.shape
        try:
            own = camera_intrinsics(
                self.info, (height, width), rectified=turns_when_rectified(self.info)
            )
            return register_depth(depth, own, intrinsics, self.extrinsic)
        except (MessageError, CalibrationError) as error:
            raise MessageError(f"{_CANNOT}: {error}") from error


def depth_camera(
    settings: BagSettings,
    *,
    images_frame: str,
    depth_frame: str,
    info: Any,
    transforms: StaticTransforms,
) -> DepthCamera | None:
    """The camera of the ground truth; None if the truth is on the grid of the images as it is.

    It is a camera of its own if an extrinsic or its calibration is named, or if its frame is
    another one than that of the images.

    Parameters
    ----------
    settings : BagSettings
    images_frame, depth_frame : str
        ``frame_id`` of both.
    info : CameraInfo message or None
        Calibration of the depth camera, if there is one.
    transforms : StaticTransforms

    Raises
    ------
    MessageError
        If it is one, and how it lies or its calibration is not known.
    """
    is_other = bool(images_frame and depth_frame and images_frame != depth_frame)
    extrinsic = settings.extrinsic
    if extrinsic == SAME_GRID or not (is_other or extrinsic or settings.depth_info_topic):
        return None
    if extrinsic is None:
        try:
            extrinsic = transforms.between(images_frame, depth_frame)
        except CalibrationError as error:
            raise MessageError(f"{_CANNOT}: {error}") from error
    if not isinstance(extrinsic, RigidTransform):
        raise MessageError(
            f"the ground truth is in the frame '{depth_frame}', the images in '{images_frame}', "
            f"and {TOPIC} does not tell how the two lie; give --extrinsic, or --extrinsic "
            f"{SAME_GRID} if the depth is on the pixel grid of the images"
        )
    if info is None:
        raise MessageError(
            f"the ground truth in the frame '{depth_frame}' has no camera_info beside it, so it "
            "cannot be registered; name one by --depth-info-topic, or give --extrinsic "
            f"{SAME_GRID} if the depth is on the pixel grid of the images"
        )
    return DepthCamera(info, extrinsic)


def truth_on_grid(
    depth: FloatImage, camera: DepthCamera | None, intrinsics: CameraIntrinsics | None, lack: str
) -> FloatImage:
    """A depth image [m] on the grid of the images.

    Parameters
    ----------
    depth : (H, W) float32
    camera : DepthCamera or None
        None: it is on that grid already.
    intrinsics : CameraIntrinsics or None
        Of the camera of the images.
    lack : str
        Why there are none.

    Raises
    ------
    MessageError
        If it has to be registered and cannot be.
    """
    if camera is None:
        return depth
    if intrinsics is None:
        raise MessageError(f"{_CANNOT}: {lack}")
    return camera.registered(depth, intrinsics)
