"""Parallax is followed; what only defocus makes of a still scene is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_motion import SIZE, seen, similarity

from focdepth_ros.errors import AlignmentError, OptionError
from focdepth_ros.registration.flow import residual_flow, significant_flow
from focdepth_ros.registration.flow_files import flow_files, read_flow
from focdepth_ros.registration.motion import Motion
from focdepth_ros.registration.view import view_of
from focdepth_ros.stack import FloatImage


def on_image(flow: FloatImage) -> FloatImage:
    return np.asarray(cv2.resize(flow, SIZE[::-1], interpolation=cv2.INTER_LINEAR))


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_a_part_that_moves_otherwise_is_followed(blur: float) -> None:
    far, near = seen(np.eye(3), blur=blur), seen(similarity(shift=(3.0, 0.0)), blur=blur)
    second = far.copy()
    second[:, :128] = near[:, :128]
    flow = on_image(residual_flow(view_of(seen(np.eye(3))), view_of(second), np.eye(3)))
    assert np.abs(np.median(flow[20:-20, 20:100], axis=(0, 1)) - (3.0, 0.0)).max() < 0.3
    assert np.abs(np.median(flow[20:-20, 156:236], axis=(0, 1))).max() < 0.1


def test_flow_adds_to_the_transform() -> None:
    matrix = similarity(1.01, 0.5, (2.0, 1.0))
    flow = residual_flow(view_of(seen(np.eye(3))), view_of(seen(matrix)), matrix)
    assert np.percentile(np.abs(flow), 99) < 0.2


@pytest.mark.parametrize("blur", [0.5, 1.0, 2.0])
def test_a_still_scene_is_not_pulled_apart_by_defocus(blur: float) -> None:
    flow = residual_flow(view_of(seen(np.eye(3))), view_of(seen(np.eye(3), blur=blur)), np.eye(3))
    length = np.hypot(flow[..., 0], flow[..., 1])
    assert np.median(length) < 0.1
    assert np.percentile(length, 99) < 0.5


def test_where_nothing_is_seen_the_transform_alone_counts() -> None:
    image = seen(np.eye(3))
    image[:, 96:] = 128
    moved = seen(similarity(shift=(2.0, 0.0)))
    moved[:, 96:] = 128
    flow = on_image(residual_flow(view_of(image), view_of(moved), np.eye(3)))
    assert np.abs(flow[:, 140:]).max() < 0.05
    assert np.median(flow[20:-20, 20:70, 0]) > 1.5


def test_short_flow_goes_and_long_flow_stays_whole() -> None:
    flow = np.zeros((2, 3, 2), np.float32)
    flow[0, :, 0] = 0.5, 1.5, 4.0
    kept = significant_flow(Motion(np.eye(3), flow), 1.0).flow
    assert kept is not None
    np.testing.assert_allclose(kept[0, :, 0], [0.0, 0.75, 4.0])
    assert significant_flow(Motion(np.eye(3), flow), 5.0).flow is None


def write_flo(path: Path, flow: FloatImage) -> None:
    header = np.array([202021.25], "<f4").tobytes()
    header += np.array(flow.shape[1::-1], "<i4").tobytes()
    path.write_bytes(header + flow.astype("<f4").tobytes())


def test_flow_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    flow = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    for number in (10, 2, 9):
        np.save(tmp_path / f"{number}.npy", flow)
    write_flo(tmp_path / "11.flo", flow + 1.0)
    files = flow_files(tmp_path)
    assert [file.name for file in files] == ["2.npy", "9.npy", "10.npy", "11.flo"]
    np.testing.assert_array_equal(read_flow(files[0], (3, 4)), flow)
    np.testing.assert_array_equal(read_flow(files[3], (3, 4)), flow + 1.0)


def test_what_is_not_finite_becomes_nan(tmp_path: Path) -> None:
    flow = np.zeros((3, 4, 2), np.float64)
    flow[0, 1, 0], flow[2, 2, 1] = np.nan, np.inf
    np.save(tmp_path / "1.npy", flow)
    read = read_flow(tmp_path / "1.npy", (3, 4))
    assert read.dtype == np.float32
    expected = np.zeros((3, 4), bool)
    expected[0, 1] = expected[2, 2] = True
    np.testing.assert_array_equal(np.isnan(read).all(axis=2), expected)
    np.testing.assert_array_equal(np.isnan(read).any(axis=2), expected)


def test_flow_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"flow_path .*nowhere is no folder"):
        flow_files(tmp_path / "nowhere")
    with pytest.raises(OptionError, match="holds no flow fields"):
        flow_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1.npy", np.zeros((4, 3, 2)), r"1.npy has shape \(4, 3, 2\); slices of 4x3 px need"),
        ("1.npy", np.zeros((3, 4)), r"1.npy has shape \(3, 4\)"),
        ("1.npy", np.zeros((3, 4, 2), int), "1.npy holds int64; save floats"),
        ("1.npy", np.full((3, 4, 2), np.nan), "1.npy holds no finite value"),
        ("1.npy", b"nonsense", "1.npy cannot be read as a NumPy array"),
        ("1.flo", b"PIEX", "1.flo does not begin like a .flo file"),
        ("1.flo", b"nonsense and more of it", "1.flo does not begin like a .flo file"),
    ],
)
def test_flow_files_that_cannot_be_used_are_named(
    tmp_path: Path, name: str, content: np.ndarray | bytes, message: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content)
    with pytest.raises(AlignmentError, match=message):
        read_flow(tmp_path / name, (3, 4))


def test_a_flo_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "1.flo"
    write_flo(path, np.zeros((3, 4, 2), np.float32))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AlignmentError, match="107 bytes long, a .flo file of 4x3 px 108"):
        read_flow(path, (3, 4))
    with pytest.raises(AlignmentError, match=r"2.flo cannot be read: No such file"):
        read_flow(tmp_path / "2.flo", (3, 4))
