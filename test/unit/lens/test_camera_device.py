"""The camera through OpenCV, on what is at hand: a video file, no device, or a real one."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.errors import CameraDeviceError
from focdepth_ros.lens.camera_device import Control, DeviceSettings, OpenCvDevice, focus_range_of


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five frames, each of another grey."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no videos")
    for number in range(5):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    return path


def test_frames_of_a_video(video: Path) -> None:
    device = OpenCvDevice(DeviceSettings(str(video)))
    device.open()
    for number in range(5):
        frame = device.read()
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.mean() == pytest.approx(40 * number, abs=3)
        assert frame.age == 0.0
    with pytest.raises(CameraDeviceError, match=r"video\.avi' gives no more images"):
        device.read()
    device.open()  # from the beginning, as a camera that was plugged in again
    assert device.read().image.mean() < 3
    device.close()
    device.close()


def test_a_video_has_no_controls(video: Path) -> None:
    device = OpenCvDevice(DeviceSettings(str(video)))
    device.open()
    assert not device.set(Control.FOCUS, 10.0)
    assert all(math.isnan(device.get(control)) for control in Control)
    assert device.focus_range() is None


@pytest.mark.parametrize("name", ["97", "/dev/video97", "/no/such/camera"])
def test_a_device_that_does_not_exist(name: str) -> None:
    path = "/dev/video97" if name == "97" else name
    with pytest.raises(CameraDeviceError, match=f"camera '{path}' does not exist; there") as error:
        OpenCvDevice(DeviceSettings(name)).open()
    cameras = sorted(str(path) for path in Path("/dev").glob("video*"))
    assert ", ".join(cameras) in str(error.value)


def test_what_is_no_camera(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no video", encoding="utf-8")
    with pytest.raises(CameraDeviceError, match="cannot be opened; it is in use by another"):
        OpenCvDevice(DeviceSettings(str(path))).open()
    assert focus_range_of(path) is None


@pytest.mark.parametrize(("step", "expected"), [(5, 5.0), (0, 1.0)])
def test_the_range_of_the_focus_is_that_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, expected: float
) -> None:
    def queryctrl(_: int, request: int, query: bytearray) -> None:
        assert request == 0xC0445624  # VIDIOC_QUERYCTRL, as linux/videodev2.h counts it
        control = struct.unpack_from("=I", query)[0]
        content = (control, 1, b"Focus, Absolute", 0, 250, step, 30, 0, 0, 0)
        struct.pack_into("=II32s4iI2I", query, 0, *content)

    monkeypatch.setattr("fcntl.ioctl", queryctrl)
    path = tmp_path / "video0"
    path.touch()
    assert focus_range_of(path) == (0.0, 250.0, expected)


def test_not_open_yet() -> None:
    with pytest.raises(CameraDeviceError, match="is not open"):
        OpenCvDevice(DeviceSettings("0")).read()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use everything")
def test_no_permission(tmp_path: Path) -> None:
    path = Path("/dev/mem")
    if not path.exists():
        pytest.skip("there is no device that may not be used")
    with pytest.raises(CameraDeviceError, match="add it to the group of the device"):
        OpenCvDevice(DeviceSettings(str(path))).open()


def test_a_real_camera() -> None:
    cameras = [path for path in sorted(Path("/dev").glob("video*")) if os.access(path, os.R_OK)]
    if not cameras:
        pytest.skip("no camera (/dev/video*) on this machine")
    device = OpenCvDevice(DeviceSettings(str(cameras[0])))
    device.open()
    frame = device.read()
    assert frame.image.dtype == np.uint8
    assert 0.0 <= frame.age < 1.0
    device.close()
