from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.bags.rigid_transform import RigidTransform, read_transform
from focdepth_ros.errors import CalibrationError

QUARTER = RigidTransform((1.0, 2.0, 3.0), (0.0, 0.0, 0.5**0.5, 0.5**0.5))  # about z


def test_a_quarter_turn_by_hand() -> None:
    np.testing.assert_allclose(QUARTER.matrix @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-12)


def test_the_rotation_is_that_of_scipy() -> None:
    rotations = pytest.importorskip("scipy.spatial.transform")
    for quaternion in np.random.default_rng(0).normal(size=(5, 4)):
        quaternion /= np.linalg.norm(quaternion)
        expected = rotations.Rotation.from_quat(quaternion).as_matrix()
        found = RigidTransform(rotation=tuple(quaternion)).matrix
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_chain_is_the_product_and_its_inverse_undoes_it() -> None:
    other = read_transform("0.1,-0.2,0.3,0.5,0.5,-0.5,0.5")
    point = np.array([0.3, -0.7, 2.0])
    chain = QUARTER @ other
    inner = other.matrix @ point + other.translation
    expected = QUARTER.matrix @ inner + QUARTER.translation
    np.testing.assert_allclose(chain.matrix @ point + chain.translation, expected, atol=1e-12)
    nothing = chain.inverse() @ chain
    np.testing.assert_allclose(nothing.matrix, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(nothing.translation, 0.0, atol=1e-12)


def test_a_rounded_quaternion_is_made_whole() -> None:
    matrix = read_transform("0,0,0,0,0,0.707,0.707").matrix
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "translation: [0.1, 0, -0.3]\nrotation: [0, 0, 0.6, 0.8]",
        "translation: {x: 0.1, y: 0, z: -0.3}\nrotation: {x: 0, y: 0, z: 0.6, w: 0.8}",
    ],
)
def test_files_are_read_as_people_and_as_ros_write_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "extrinsic.yaml"
    path.write_text(text)
    expected = RigidTransform((0.1, 0.0, -0.3), (0.0, 0.0, 0.6, 0.8))
    assert read_transform(str(path)) == expected
    assert read_transform("0.1,0,-0.3,0,0,0.6,0.8") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", "extrinsic '1,2,3' has 3 numbers; write seven"),
        ("0,0,0,0,0,0,0", r"rotation \(0, 0, 0, 0\) has the norm 0; give a unit quaternion"),
        ("0,0,0,0,0,1,1", "has the norm 1.414"),
        ("nan,0,0,0,0,0,1", r"translation is \(nan, 0, 0\); it must be 3 finite numbers, metres"),
        ("0,0,0,inf,0,0,1", "rotation is"),
        (
            "nowhere.yaml",
            "extrinsic 'nowhere.yaml' cannot be read: No such .*; write seven",
        ),
    ],
)
def test_what_is_no_transform(text: str, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        read_transform(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "holds no keys translation and rotation"),
        ("{", "extrinsic .* is no valid YAML"),
        ("translation: 2020-13-45", "extrinsic .* is no valid YAML .*month must be in"),
        ("rotation: [0, 0, 0, 1]", "translation is None; it must be the 3 numbers x, y, z"),
        ("translation: [0, 0, 0]\nrotation: [0, 0, 1]", "rotation is .*; it must be the 4 numbers"),
        ("translation: [0, 0, far]\nrotation: [0, 0, 0, 1]", r"translation is \[0, 0, 'far'\]"),
        ("translation: 4\nrotation: [0, 0, 0, 1]", "translation is 4"),
        ("translation: [0, 0, 0]\nrotation: [0, 0, 2, 1]", "extrinsic.yaml: rotation .* norm 2.2"),
    ],
)
def test_what_is_no_file_of_a_transform(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "extrinsic.yaml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=message):
        read_transform(str(path))
