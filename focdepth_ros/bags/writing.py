"""A camera's sweeps as a ROS 2 bag, with the topics, types and frame of `sim_camera_node`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from focdepth_ros.bags.message_types import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    FOCUS_STATE,
    IMAGE,
    message_types,
    require_rosbags,
)
from focdepth_ros.errors import BagError
from focdepth_ros.simulation.camera import CameraFrame, SimulatedCamera
from focdepth_ros.stack import CameraIntrinsics, FloatImage, ImageArray

Storage = Literal["sqlite3", "mcap"]
Compression = Literal["none", "message", "file", "chunk"]
ImageFormat = Literal["raw", "jpeg", "png"]

IMAGES, INFOS, STATES = "/image_raw", "/camera_info", "/focus_state"
COMPRESSED_IMAGES = "/image_raw/compressed"
GROUND_TRUTH = "/ground_truth/depth"
FRAME_ID = "camera_optical_frame"

_START = 1_000_000_000  # nanoseconds; 0 would be no stamp at all
_METADATA_VERSION = 8  # that of Jazzy; older distributions read it, too
_NANOSECONDS = 10**9
_QUALITY = 95  # of JPEG, as image_transport has it by default
_IS_BIG_ENDIAN = sys.byteorder == "big"


def record_camera(
    path: Path,
    camera: SimulatedCamera,
    *,
    depth: FloatImage | None = None,
    sweeps: int = 1,
    storage: Storage = "sqlite3",
    compression: Compression = "none",
    images: ImageFormat = "raw",
) -> int:
    """Write sweeps of a camera; every message is received at its stamp.

    Parameters
    ----------
    path : Path
        Folder of the bag, which must not be there.
    camera : SimulatedCamera
    depth : (H, W) float32, optional
        Ground truth in metres; written with the last slice of every sweep.
    sweeps : int
    storage : {"sqlite3", "mcap"}
    compression : {"none", "message", "file", "chunk"}
        What is compressed by zstd; ``chunk``: by MCAP itself.
    images : {"raw", "jpeg", "png"}
        The images as such, or as ``image_raw/compressed``.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    BagError
        If rosbags is not installed, the folder is there, or the storage has no chunks.
    OSError
        If it cannot be written to.
    """
    require_rosbags()
    if path.exists():
        raise BagError(f"{path}: exists already; choose another folder for the bag")
    if compression == "chunk" and storage != "mcap":
        raise BagError(f"{storage} has no chunks to compress; use mcap, or compress by message")
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    messages = _Messages()
    writer = Writer(path, version=_METADATA_VERSION, storage_plugin=StoragePlugin[storage.upper()])
    mode = "STORAGE" if compression == "chunk" else compression.upper()
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    count = 0
    with writer:
        topics = {
            name: writer.add_connection(
                name,
                kind,
                typestore=messages.types,
                offered_qos_profiles=_latched() if name == GROUND_TRUTH else (),
            )
            for name, kind in (
                (STATES, FOCUS_STATE),
                (INFOS, CAMERA_INFO),
                (IMAGES, IMAGE) if images == "raw" else (COMPRESSED_IMAGES, COMPRESSED_IMAGE),
                (GROUND_TRUTH, IMAGE),
            )
            if not (name == INFOS and camera.intrinsics is None)
            and not (name == GROUND_TRUTH and depth is None)
        }
        for frame in camera.frames(_START, sweeps=sweeps):
            header = messages.header(frame.stamp)
            sent = {STATES: messages.focus_state(frame, header)}
            if camera.intrinsics is not None:
                sent[INFOS] = messages.camera_info(camera.intrinsics, header)
            encoding = "mono8" if frame.image.ndim == 2 else "rgb8"
            if images == "raw":
                sent[IMAGES] = messages.image(frame.image, encoding, header)
            else:
                sent[COMPRESSED_IMAGES] = messages.compressed_image(frame.image, images, header)
            if depth is not None and frame.settled and frame.sweep_step == frame.sweep_size - 1:
                sent[GROUND_TRUTH] = messages.image(depth, "32FC1", header)
            for name, message in sent.items():
                data = messages.types.serialize_cdr(message, topics[name].msgtype)
                writer.write(topics[name], frame.stamp, data)
            count += 1
    return count


def _latched() -> tuple[Any, ...]:
    """Whoever comes late still gets the last one, as from `sim_camera_node`."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    endless = QosTime(2147483647, 4294967295)
    return (
        Qos(
            history=QosHistory.KEEP_LAST,
            depth=1,
            reliability=QosReliability.RELIABLE,
            durability=QosDurability.TRANSIENT_LOCAL,
            deadline=endless,
            lifespan=endless,
            liveliness=QosLiveliness.AUTOMATIC,
            liveliness_lease_duration=endless,
            avoid_ros_namespace_conventions=False,
        ),
    )


class _Messages:
    """Makes the messages that `conversions` makes with ROS."""

    def __init__(self) -> None:
        self.types = message_types()

    def header(self, stamp: int) -> Any:
        sec, nanosec = divmod(stamp, _NANOSECONDS)
        time = self._new("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
        return self._new("std_msgs/msg/Header", stamp=time, frame_id=FRAME_ID)

    def focus_state(self, frame: CameraFrame, header: Any) -> Any:
        return self._new(
            FOCUS_STATE,
            header=header,
            focus_distance=frame.focus_distance,
            lens_position=frame.lens_position,
            lens_position_unit="" if math.isnan(frame.lens_position) else "dioptre",
            settled=frame.settled,
            sweep_id=frame.sweep_id,
            sweep_step=frame.sweep_step,
            sweep_size=frame.sweep_size,
        )

    def camera_info(self, intrinsics: CameraIntrinsics, header: Any) -> Any:
        fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
        model = intrinsics.distortion_model or "plumb_bob"
        region = self._new(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        )
        distortion = intrinsics.distortion or (0.0,) * (5 if model == "plumb_bob" else 0)
        return self._new(
            CAMERA_INFO,
            header=header,
            height=intrinsics.height,
            width=intrinsics.width,
            distortion_model=model,
            d=np.array(distortion, np.float64),
            k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1], np.float64),
            r=np.eye(3).ravel(),
            p=np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0], np.float64),
            binning_x=0,
            binning_y=0,
            roi=region,
        )

    def image(self, image: NDArray[Any], encoding: str, header: Any) -> Any:
        height, width = image.shape[:2]
        return self._new(
            IMAGE,
            header=header,
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=int(_IS_BIG_ENDIAN),
            step=image.nbytes // height,
            data=np.ascontiguousarray(image).reshape(-1).view(np.uint8),
        )

    def compressed_image(self, image: ImageArray, kind: str, header: Any) -> Any:
        channels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(f".{kind}", channels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        encoding = "mono8" if image.ndim == 2 else "rgb8"
        layout = "mono8" if image.ndim == 2 else "bgr8"
        return self._new(
            COMPRESSED_IMAGE,
            header=header,
            format=f"{encoding}; {kind} compressed {layout}",
            data=np.asarray(data, np.uint8).reshape(-1),
        )

    def _new(self, kind: str, **fields: Any) -> Any:
        return self.types.types[kind](**fields)
