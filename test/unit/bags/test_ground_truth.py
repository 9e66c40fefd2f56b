"""Ground truth of another camera than that of the images: a plane, whose depth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_copies import More, rewritten
from cli_runs import run

from focdepth_ros.bags import message_types as types
from focdepth_ros.bags.rigid_transform import RigidTransform, read_transform
from focdepth_ros.bags.sweeps import BagContents, find_sweeps
from focdepth_ros.bags.topics import BagSettings
from focdepth_ros.bags.writing import FRAME_ID, GROUND_TRUTH, INFOS
from focdepth_ros.datasets.bag_sweeps import BagSweeps
from focdepth_ros.errors import BagError, MessageError, OptionError
from focdepth_ros.geometry import pixel_rays
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.stack import CameraIntrinsics

TOF = CameraIntrinsics(80, 64, 40.0, 41.0, 39.0, 31.0)  # sees more than the camera
TOF_FRAME, TOF_DEPTH, TOF_INFO = "tof_optical_frame", "/tof/depth", "/tof/camera_info"
POSE = read_transform("0.1,-0.05,0.02,0.03,-0.08,0.02,0.996")
POSE_TEXT = "0.1,-0.05,0.02,0.03,-0.08,0.02,0.996"
NORMAL, DISTANCE = np.array([0.25, -0.15, 1.0]), 2.0
STORE = types.message_types().types
LATE = 1_500_000_000  # after the last image


def plane_depth(
    intrinsics: CameraIntrinsics, normal: np.ndarray = NORMAL, distance: float = DISTANCE
) -> np.ndarray:
    rays = pixel_rays(intrinsics).astype(np.float64)
    return distance / (rays[..., 0] * normal[0] + rays[..., 1] * normal[1] + normal[2])


def new(kind: str, **fields: Any) -> Any:
    return STORE[kind](**fields)


def header(frame: str, stamp: int = LATE) -> Any:
    sec, nanosec = divmod(stamp, 10**9)
    time = new("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return new("std_msgs/msg/Header", stamp=time, frame_id=frame)


def tof_depth(tof: CameraIntrinsics = TOF, pose: RigidTransform = POSE) -> np.ndarray:
    inner = pose.matrix.T @ NORMAL
    return plane_depth(tof, inner, DISTANCE - float(NORMAL @ pose.translation)).astype(np.float32)


def tof_info(tof: CameraIntrinsics = TOF, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "header": header(TOF_FRAME),
        "height": tof.height,
        "width": tof.width,
        "distortion_model": tof.distortion_model or "plumb_bob",
        "d": np.array(tof.distortion or [0.0] * 5, np.float64),
        "k": np.array([tof.fx, 0, tof.cx, 0, tof.fy, tof.cy, 0, 0, 1], np.float64),
        "r": np.eye(3).ravel(),
        "p": np.array([tof.fx, 0, tof.cx, 0, 0, tof.fy, tof.cy, 0, 0, 0, 1, 0], np.float64),
        "binning_x": 0,
        "binning_y": 0,
        "roi": new(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        ),
    }
    return new(types.CAMERA_INFO, **{**fields, **changes})


def tof_image(depth: np.ndarray, stamp: int, frame: str = TOF_FRAME) -> Any:
    return new(
        types.IMAGE,
        header=header(frame, stamp),
        height=depth.shape[0],
        width=depth.shape[1],
        encoding="32FC1",
        is_bigendian=0,
        step=depth.shape[1] * 4,
        data=np.ascontiguousarray(depth).reshape(-1).view(np.uint8),
    )


def transform(parent: str, child: str, pose: RigidTransform) -> Any:
    t = dict(zip("xyz", pose.translation, strict=True))
    q = dict(zip("xyzw", pose.rotation, strict=True))
    return new(
        "geometry_msgs/msg/TransformStamped",
        header=header(parent, 1),
        child_frame_id=child,
        transform=new(
            "geometry_msgs/msg/Transform",
            translation=new("geometry_msgs/msg/Vector3", **t),
            rotation=new("geometry_msgs/msg/Quaternion", **q),
        ),
    )


def static(*transforms: Any) -> More:
    message = new(types.TRANSFORMS, transforms=list(transforms))
    return ("/tf_static", types.TRANSFORMS, 1_000_000_001, message)


def tof_messages(
    depth: np.ndarray | None = None, info: Any | None = None, frame: str = TOF_FRAME
) -> list[More]:
    """A depth near the end of either sweep, and the calibration."""
    depth = tof_depth() if depth is None else depth
    images = [
        (TOF_DEPTH, types.IMAGE, stamp, tof_image(depth, stamp, frame))
        for stamp in (1_110_000_000, 1_240_000_000)
    ]
    calibration = tof_info() if info is None else info
    return [*images, (TOF_INFO, types.CAMERA_INFO, 1_050_000_000, calibration)]


def with_tof(whole: Path, path: Path, *more: More, keep: str = "") -> Path:
    """The whole bag with the depth of another camera in place of its truth."""
    left_out = {GROUND_TRUTH} - {keep}
    return rewritten(whole, path, lambda t, n, m: None if t in left_out else m, more=more)


def loaded_depth(contents: BagContents, number: int = 1) -> np.ndarray:
    _, depth = contents.load(contents.sweeps[number])
    assert depth is not None
    return depth


@pytest.fixture
def camera(simulated: SimulatedStack) -> CameraIntrinsics:
    intrinsics = simulated.stack.intrinsics
    assert intrinsics is not None
    return intrinsics


def test_depth_is_registered_by_an_extrinsic_that_is_given(
    whole: Path, tmp_path: Path, camera: CameraIntrinsics
) -> None:
    bag = with_tof(whole, tmp_path / "bag", *tof_messages())
    contents = find_sweeps(bag, BagSettings(extrinsic=POSE))
    assert contents.topics.depth == TOF_DEPTH
    assert contents.topics.depth_info == TOF_INFO
    assert contents.left_out == ()
    depth = loaded_depth(contents)
    assert depth.shape == (camera.height, camera.width)
    np.testing.assert_allclose(depth, plane_depth(camera), rtol=1e-5)
    dataset = BagSweeps(bag, settings=BagSettings(extrinsic=POSE))
    np.testing.assert_array_equal(dataset.load("sweep_0002").depth, depth)


def test_the_bag_itself_may_tell_where_the_cameras_are(
    whole: Path, tmp_path: Path, camera: CameraIntrinsics
) -> None:
    """By a chain of frames, up from the one and down to the other."""
    to_body = read_transform("0,0.2,1,0.5,-0.5,0.5,-0.5")
    tree = static(
        transform("body", "/camera_link", to_body),  # a slash, as in older bags
        transform("camera_link", FRAME_ID, RigidTransform()),
        transform("body", TOF_FRAME, to_body @ POSE),
    )
    contents = find_sweeps(with_tof(whole, tmp_path / "bag", tree, *tof_messages()))
    np.testing.assert_allclose(loaded_depth(contents), plane_depth(camera), rtol=1e-5)


def test_evaluates_from_the_command_line(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    bag = with_tof(whole, tmp_path / "bag", *tof_messages(), keep=GROUND_TRUTH)
    file = tmp_path / "extrinsic.yaml"
    file.write_text("translation: [0.1, -0.05, 0.02]\nrotation: [0.03, -0.08, 0.02, 0.996]")
    figures = []
    for name, extrinsic in (("file", file), ("numbers", POSE_TEXT)):
        out = tmp_path / name
        topics = ("--depth-topic", TOF_DEPTH, "--depth-info-topic", TOF_INFO)
        arguments = ("--backend", "argmax", "--output", out, "--no-pictures")
        assert run("bag", "eval", bag, *topics, "--extrinsic", extrinsic, *arguments) == 0
        figures.append((out / "scenes.csv").read_text().splitlines()[1].split(",")[:8])
    assert figures[0] == figures[1]
    capsys.readouterr()
    assert run("bag", "info", bag, *topics, "--extrinsic", POSE_TEXT) == 0
    out = capsys.readouterr().out
    assert "truth of another camera, which lies at (0.1, -0.05, 0.02) m" in out
    assert run("bag", "eval", bag, "--extrinsic", "1,2,3", "--output", tmp_path / "no") == 2
    assert "extrinsic '1,2,3' has 3 numbers" in capsys.readouterr().err


def test_a_stereo_camera_has_its_depth_on_the_rectified_image(
    whole: Path, tmp_path: Path, camera: CameraIntrinsics
) -> None:
    turned = RigidTransform(rotation=(0.0, 0.01, 0.0, 0.99995)).matrix
    info = tof_info(
        r=turned.ravel(),
        k=np.array([50, 0, 30, 0, 50, 30, 0, 0, 1], np.float64),
        d=np.array([0.3, 0.1, 0, 0, 0]),
    )
    bag = with_tof(whole, tmp_path / "bag", *tof_messages(info=info))
    contents = find_sweeps(bag, BagSettings(extrinsic=POSE))
    np.testing.assert_allclose(loaded_depth(contents), plane_depth(camera), rtol=1e-5)


def test_in_the_frame_of_the_images_it_is_on_their_grid_or_said_to_be(
    whole: Path, tmp_path: Path, camera: CameraIntrinsics
) -> None:
    depth = plane_depth(camera).astype(np.float32)
    same = with_tof(whole, tmp_path / "same", *tof_messages(depth, frame=FRAME_ID))
    np.testing.assert_array_equal(loaded_depth(find_sweeps(same)), depth)
    other = with_tof(whole, tmp_path / "other", *tof_messages(depth))
    contents = find_sweeps(other, BagSettings(extrinsic="same"))
    np.testing.assert_array_equal(loaded_depth(contents), depth)
    # Of another resolution, at the same place: its calibration is named.
    pose = RigidTransform()
    small = with_tof(whole, tmp_path / "small", *tof_messages(tof_depth(pose=pose), frame=FRAME_ID))
    contents = find_sweeps(small, BagSettings(depth_info_topic=TOF_INFO))
    np.testing.assert_allclose(loaded_depth(contents), plane_depth(camera), rtol=1e-5)


def test_another_frame_that_nobody_knows(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = with_tof(whole, tmp_path / "bag", *tof_messages())
    contents = find_sweeps(bag)
    message = (
        f"the ground truth is in the frame '{TOF_FRAME}', the images in '{FRAME_ID}', and "
        "/tf_static does not tell how the two lie; give --extrinsic"
    )
    with pytest.raises(MessageError, match=message):
        contents.load(contents.sweeps[0])
    with pytest.raises(BagError, match=f"{bag}: {message}"):
        BagSweeps(bag).load("sweep_0001")
    assert run("bag", "info", bag) == 1
    assert f"missing: sweep 1: {message}" in capsys.readouterr().err
    # Without the truth a sweep is a stack all the same.
    assert run("bag", "convert", bag, tmp_path / "out") == 1


def broken_pose() -> Any:
    message = transform(FRAME_ID, TOF_FRAME, POSE)
    message.transform.rotation.w = 2.0
    return message


@pytest.mark.parametrize(
    ("settings", "more", "message"),
    [
        (
            BagSettings(extrinsic=POSE),
            tof_messages()[:2],
            f"in the frame '{TOF_FRAME}' has no camera_info beside it",
        ),
        (
            BagSettings(extrinsic=POSE),
            tof_messages(info=tof_info(width=640)),
            "camera_info is for images of 640x64 px, those that come are 80x64",
        ),
        (
            BagSettings(extrinsic=POSE),
            tof_messages(info=tof_info(k=np.zeros(9))),
            "camera_info has no calibration: K is zero",
        ),
        (
            BagSettings(extrinsic=POSE),
            tof_messages(info=tof_info(distortion_model="odd", d=np.ones(5))),
            "distortion model 'odd' is not known",
        ),
        (
            BagSettings(),
            [static(broken_pose()), *tof_messages()],
            f"/tf_static: frame '{TOF_FRAME}': rotation .* has the norm 2.0",
        ),
    ],
)
def test_what_cannot_be_registered_says_why(
    whole: Path, tmp_path: Path, settings: BagSettings, more: list[More], message: str
) -> None:
    bag = with_tof(whole, tmp_path / "bag", *more)
    with pytest.raises(BagError, match=message):
        BagSweeps(bag, settings=settings).load("sweep_0001")


def test_images_without_calibration_take_no_depth_of_another_camera(
    whole: Path, tmp_path: Path
) -> None:
    bag = rewritten(
        whole,
        tmp_path / "bag",
        lambda t, n, m: None if t in (INFOS, GROUND_TRUTH) else m,
        more=tof_messages(),
    )
    with pytest.raises(BagError, match="cannot be registered to the images: the bag has no camera"):
        BagSweeps(bag, settings=BagSettings(extrinsic=POSE)).load("sweep_0001")


def test_topics_that_are_not_there(whole: Path) -> None:
    with pytest.raises(BagError, match="has no messages on /none"):
        find_sweeps(whole, BagSettings(depth_info_topic="/none", extrinsic=POSE))
    with pytest.raises(BagError, match="is of the type sensor_msgs/msg/Image"):
        find_sweeps(whole, BagSettings(depth_info_topic=GROUND_TRUTH))
    with pytest.raises(OptionError, match="depth_tolerance is -1"):
        BagSettings(depth_tolerance=-1.0)


def test_frames_in_a_circle_are_in_no_tree(whole: Path, tmp_path: Path) -> None:
    circle = static(transform("a", TOF_FRAME, POSE), transform(TOF_FRAME, "a", POSE))
    contents = find_sweeps(with_tof(whole, tmp_path / "bag", circle, *tof_messages()))
    with pytest.raises(MessageError, match="does not tell how the two lie"):
        contents.load(contents.sweeps[0])


def test_millimetres_are_registered_too(
    whole: Path, tmp_path: Path, camera: CameraIntrinsics
) -> None:
    images = [
        (t, k, at, replace(m, encoding="16UC1", step=160, data=_millimetres(tof_depth())))
        for t, k, at, m in tof_messages()[:2]
    ]
    bag = with_tof(whole, tmp_path / "bag", *images, tof_messages()[2])
    depth = loaded_depth(find_sweeps(bag, BagSettings(extrinsic=POSE)))
    np.testing.assert_allclose(depth, plane_depth(camera), atol=1e-3)


def _millimetres(depth: np.ndarray) -> np.ndarray:
    return np.round(1000.0 * depth).astype("<u2").reshape(-1).view(np.uint8)
