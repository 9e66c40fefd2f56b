from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, PointField, RegionOfInterest
from std_msgs.msg import Header

from focdepth_ros.errors import CalibrationError, MessageError
from focdepth_ros.messages.reading import camera_intrinsics, focus_sample, image_size, stamp_of
from focdepth_ros.msg import FocusState
from focdepth_ros.ros.conversions import (
    camera_info_message,
    float_image_message,
    mono_image_message,
    point_cloud_message,
    rgb_image_message,
    time_message,
    with_header,
)
from focdepth_ros.stack import CameraIntrinsics

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id="optical")
INTRINSICS = CameraIntrinsics(
    width=6, height=4, fx=5.0, fy=6.0, cx=2.5, cy=1.5, distortion_model="plumb_bob"
)


@pytest.mark.parametrize("stamp", [0, 1, 10**9, 12 * 10**9 + 34, -1])
def test_stamps_there_and_back(stamp: int) -> None:
    assert stamp_of(Header(stamp=time_message(stamp))) == stamp


def test_focus_state() -> None:
    sample = focus_sample(
        FocusState(
            header=HEADER,
            focus_distance=math.inf,
            lens_position=3.0,
            settled=True,
            sweep_id=7,
            sweep_step=2,
            sweep_size=9,
        )
    )
    assert sample.stamp == 12 * 10**9 + 34
    assert (sample.focus_distance, sample.lens_position, sample.settled) == (math.inf, 3.0, True)
    assert (sample.sweep_id, sample.sweep_step, sample.sweep_size) == (7, 2, 9)


class TestCameraInfo:
    @pytest.mark.parametrize(
        ("model", "coefficients"),
        [("plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0)), ("equidistant", ())],
    )
    def test_there_and_back(self, model: str, coefficients: tuple[float, ...]) -> None:
        intrinsics = CameraIntrinsics(6, 4, 5.0, 6.0, 2.5, 1.5, model, coefficients)
        message = camera_info_message(intrinsics, HEADER)
        assert message.header == HEADER
        assert list(message.p[:3]) == [5.0, 0.0, 2.5]
        assert camera_intrinsics(message, (4, 6)) == intrinsics

    def test_binning_and_region_of_interest(self) -> None:
        message = camera_info_message(
            CameraIntrinsics(640, 480, 500.0, 400.0, 319.5, 239.5), HEADER
        )
        message.binning_x, message.binning_y = 2, 4
        message.roi = RegionOfInterest(x_offset=100, y_offset=80, width=320, height=240)
        assert image_size(message) == (60, 160)
        intrinsics = camera_intrinsics(message, (60, 160))
        assert (intrinsics.width, intrinsics.height) == (160, 60)
        assert (intrinsics.fx, intrinsics.fy) == (250.0, 100.0)
        # The same ray before and after: binned pixel i covers 2 i and 2 i + 1 from 100 on.
        ray = (100 + 2 * 30 + 0.5 - 319.5) / 500.0
        assert (30 - intrinsics.cx) / intrinsics.fx == pytest.approx(ray)
        assert intrinsics.cy == pytest.approx((239.5 - 80 + 0.5) / 4 - 0.5)

    def test_without_calibration(self) -> None:
        with pytest.raises(MessageError, match="K is zero; calibrate"):
            camera_intrinsics(CameraInfo(width=6, height=4), (4, 6))

    def test_for_another_size(self) -> None:
        message = camera_info_message(INTRINSICS, HEADER)
        with pytest.raises(MessageError, match=r"images of 6x4 px, those that come are 12x8"):
            camera_intrinsics(message, (8, 12))

    @pytest.mark.parametrize(("index", "value"), [(0, math.nan), (4, -1.0), (2, math.inf)])
    def test_values_of_no_real_camera(self, index: int, value: float) -> None:
        message = camera_info_message(INTRINSICS, HEADER)
        message.k[index] = value
        with pytest.raises(CalibrationError):
            camera_intrinsics(message, (4, 6))

    def test_new_header_leaves_the_old_message_alone(self) -> None:
        message = camera_info_message(INTRINSICS, HEADER)
        renewed = with_header(message, Header(frame_id="other"))
        assert renewed.header.frame_id == "other"
        assert message.header == HEADER
        assert list(renewed.k) == list(message.k)


@pytest.mark.parametrize("is_contiguous", [True, False])
def test_images(is_contiguous: bool) -> None:
    rgb = np.arange(4 * 12 * 3, dtype=np.uint8).reshape(4, 12, 3)
    step = 1 if is_contiguous else 2
    rgb = rgb[:, ::step]
    depth = np.ascontiguousarray(rgb[..., 0]).astype(np.float32)[:, ::step]
    for message, image, encoding in (
        (rgb_image_message(rgb, HEADER), rgb, "rgb8"),
        (mono_image_message(rgb[..., 1], HEADER), rgb[..., 1], "mono8"),
        (float_image_message(depth, HEADER), depth, "32FC1"),
    ):
        assert message.encoding == encoding
        assert (message.height, message.width) == image.shape[:2]
        assert message.step * message.height == len(message.data) == image.nbytes
        assert bytes(message.data) == image.tobytes()
        assert message.header == HEADER


class TestPointCloud:
    @staticmethod
    def points_of(message: object) -> np.ndarray:
        """Read by the fields, as any subscriber would."""
        fields = {field.name: field for field in message.fields}
        assert all(field.datatype == PointField.FLOAT32 for field in fields.values())
        order = ">" if message.is_bigendian else "<"
        layout = np.dtype(
            {
                "names": list(fields),
                "formats": [f"{order}f4", f"{order}f4", f"{order}f4", f"{order}u4"],
                "offsets": [field.offset for field in fields.values()],
                "itemsize": message.point_step,
            }
        )
        assert message.row_step == message.point_step * message.width
        return np.frombuffer(message.data, layout).reshape(message.height, message.width)

    def test_points_and_colours(self) -> None:
        depth = np.full((4, 6), 2.0, np.float32)
        depth[0, 0], depth[0, 1] = np.nan, np.inf
        colours = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
        message = point_cloud_message(depth, INTRINSICS, colours, HEADER)
        points = self.points_of(message)
        assert [field.name for field in message.fields] == ["x", "y", "z", "rgb"]
        assert message.header == HEADER
        assert not message.is_dense
        assert points["z"][2, 3] == 2.0
        assert points["x"][2, 3] == pytest.approx(2.0 * (3 - 2.5) / 5.0)
        assert points["y"][2, 3] == pytest.approx(2.0 * (2 - 1.5) / 6.0)
        for unknown in points[0, :2]:
            assert np.isnan([unknown["x"], unknown["y"], unknown["z"]]).all()
        red, green, blue = (int(value) for value in colours[2, 3])
        assert points["rgb"][2, 3] == (red << 16) | (green << 8) | blue

    def test_grey(self) -> None:
        grey = np.full((4, 6), 0xAB, np.uint8)
        message = point_cloud_message(np.ones((4, 6), np.float32), INTRINSICS, grey, HEADER)
        assert np.all(self.points_of(message)["rgb"] == 0xABABAB)
