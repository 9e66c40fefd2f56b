"""What depth_node publishes, as Nav2 and depthimage_to_laserscan read it."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from depth_results import DepthResults
from laserscan_of_depth import laserscan
from ros_harness import CameraDriver, Diagnostics, Peer, pixels
from sensor_msgs.msg import PointField
from std_msgs.msg import Header

from focdepth_ros.ros.conversions import camera_info_message, float_image_message
from focdepth_ros.ros.node_process import NodeProcess
from focdepth_ros.simulation import SimulatedStack, render_random_sweep
from focdepth_ros.stack import CameraIntrinsics

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "navigation"
TOPICS = ("depth/image", "depth/camera_info", "points")
PARAMETERS = {"backend": "graph_cut", "diagnostics_period": 0.1}
RANGE_MAX = 3.0


@dataclass
class Room:
    """A simulated room, and what depth_node says of it."""

    simulated: SimulatedStack
    messages: dict[str, Any]
    limited: dict[str, Any]  # with min_range and max_range


@pytest.fixture(scope="module")
def room(domain: int, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    simulated = render_random_sweep(1003, slices=8, width=320, height=240)
    log = tmp_path_factory.mktemp("navigation") / "log"
    with NodeProcess("focdepth_ros.ros.depth_node", PARAMETERS, log):
        diagnostics, driver = Diagnostics(peer), CameraDriver(peer)
        results = DepthResults(peer, TOPICS)
        results.wait_until_served(diagnostics, driver)
        driver.send_sweep(simulated.stack)
        messages = results.wait_for_one()
        results.clear()
        set_range(peer, 0.8, RANGE_MAX)
        driver.send_sweep(simulated.stack)
        yield Room(simulated, messages, results.wait_for_one())


def set_range(peer: Peer, near: float, far: float) -> None:
    results = peer.set_parameters("depth_node", {"min_range": near, "max_range": far})
    assert all(result.successful for result in results)


def points_of(cloud: Any) -> np.ndarray:
    """(N, 3) points as ``PointCloud2ConstIterator<float>`` of x, y and z steps through them."""
    fields = {field.name: field for field in cloud.fields}
    for name in "xyz":
        assert (fields[name].datatype, fields[name].count) == (PointField.FLOAT32, 1)
    # The iterators add point_step up to the end of the data: rows must not be padded.
    assert cloud.row_step == cloud.width * cloud.point_step
    assert len(cloud.data) == cloud.height * cloud.row_step
    assert not cloud.is_bigendian
    raw = np.frombuffer(cloud.data, np.uint8).reshape(-1, cloud.point_step)
    columns = [
        np.ascontiguousarray(raw[:, f.offset : f.offset + 4]) for f in map(fields.get, "xyz")
    ]
    return np.hstack([column.view(np.float32) for column in columns])


def optical_rotation() -> np.ndarray:
    """That of the optical frame in the camera's, as the launch file publishes it."""
    tree = ast.parse((ROOT / "launch" / "navigation_example.launch.py").read_text("utf-8"))
    assigned = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    angles = ast.literal_eval(assigned["OPTICAL_ROTATION"])
    (cr, sr), (cp, sp), (cy, sy) = (
        (math.cos(angles[name]), math.sin(angles[name])) for name in ("roll", "pitch", "yaw")
    )
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def test_static_transform_is_that_of_an_optical_frame() -> None:
    right, down, forward = optical_rotation().T
    np.testing.assert_allclose(right, [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(down, [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(forward, [1, 0, 0], atol=1e-12)


class TestScan:
    def test_ranges_are_those_of_the_room(self, room: Room) -> None:
        camera = room.simulated.stack.intrinsics
        assert camera is not None
        scan = laserscan(
            room.messages["depth/image"], room.messages["depth/camera_info"], range_min=0.1
        )
        # Independent of the scan: the rays of the row that it takes, to the left positive.
        row = int(camera.cy - 0.5)
        across = (np.arange(camera.width) - camera.cx) / camera.fx
        true_ranges = room.simulated.depth[row] * np.hypot(across, 1.0)
        nearest = [int(np.argmin(np.abs(-np.arctan(across) - angle))) for angle in scan.angles()]
        truth = true_ranges[nearest]
        known = np.isfinite(scan.ranges)
        assert known.mean() > 0.2  # of a single row, which crosses plain walls
        errors = np.abs(scan.ranges[known] - truth[known]) / truth[known]
        assert np.median(errors) < 0.05
        assert np.mean(errors < 0.15) > 0.85

    def test_a_band_of_rows_gives_the_nearest_of_each_column(self, room: Room) -> None:
        camera, height = room.simulated.stack.intrinsics, 40
        assert camera is not None
        scan = laserscan(
            room.messages["depth/image"],
            room.messages["depth/camera_info"],
            scan_height=height,
            range_min=0.1,
        )
        first = int(camera.cy - height / 2)
        across = (np.arange(camera.width) - camera.cx) / camera.fx
        band = room.simulated.depth[first : first + height] * np.hypot(across, 1.0)
        nearest = [int(np.argmin(np.abs(-np.arctan(across) - angle))) for angle in scan.angles()]
        known = np.isfinite(scan.ranges)
        assert known.mean() > 0.5
        # Nothing is nearer than what is there.
        assert np.mean((scan.ranges >= 0.85 * band.min(axis=0)[nearest])[known]) > 0.9

    def test_unknown_stays_unknown(self, room: Room) -> None:
        depth = room.messages["depth/image"]
        unknown = np.isnan(pixels(depth))
        assert unknown.any()
        scan = laserscan(depth, room.messages["depth/camera_info"], range_min=0.1)
        rows = unknown[int(room.messages["depth/camera_info"].p[6] - 0.5)]
        # Each column falls into the bin of its angle, from right to left.
        assert np.isnan(scan.ranges).sum() >= rows.sum() - 2

    def test_infinity_is_kept_and_yields_to_what_is_there(self) -> None:
        depth = np.full((6, 9), np.inf, np.float32)
        depth[:, 2] = np.nan
        depth[2, 4], depth[3, 4] = 2.0, np.inf
        camera = CameraIntrinsics(9, 6, 8.0, 8.0, 4.0, 3.0)
        scan = laserscan(
            float_image_message(depth, Header()),
            camera_info_message(camera, Header()),
            scan_height=2,
        )
        assert np.nanmin(scan.ranges) == 2.0
        assert np.isinf(scan.ranges).sum() >= 5
        assert np.isnan(scan.ranges).sum() >= 1

    def test_range_limits_of_the_node(self, room: Room) -> None:
        scan = laserscan(
            room.limited["depth/image"], room.limited["depth/camera_info"], range_min=0.1
        )
        camera = room.simulated.stack.intrinsics
        assert camera is not None
        known = scan.ranges[np.isfinite(scan.ranges)]
        widest = np.hypot(camera.cx / camera.fx, 1.0)
        assert known.min() >= 0.8
        assert known.max() <= RANGE_MAX * widest
        assert not np.isinf(scan.ranges).any()


class TestPoints:
    def test_range_limits_of_the_node(self, room: Room) -> None:
        every, limited = (points_of(m["points"])[:, 2] for m in (room.messages, room.limited))
        assert (every[np.isfinite(every)] > RANGE_MAX).any()
        known = np.isfinite(limited)
        inside = (every >= 0.8) & (every <= RANGE_MAX)
        np.testing.assert_array_equal(known, inside)
        np.testing.assert_array_equal(limited[known], every[inside])

    def test_unknown_points_are_nan_in_all_coordinates(self, room: Room) -> None:
        cloud = room.messages["points"]
        points = points_of(cloud)
        unknown = ~np.isfinite(pixels(room.messages["depth/image"])).ravel()
        assert unknown.any()
        assert np.isnan(points[unknown]).all()
        assert np.isfinite(points[~unknown]).all()
        assert not cloud.is_dense  # there are NaN

    def test_voxel_layer_marks_what_is_in_the_room(self, room: Room) -> None:
        """`ObservationBuffer::bufferCloud` and `VoxelLayer::updateBounds`, in short."""
        settings = parameters("nav2_costmap.yaml")
        layer, resolution = settings["voxel_layer"], settings["resolution"]
        source = layer["depth"]

        def cells(points: np.ndarray) -> set[tuple[int, int]]:
            origin = np.array([0.0, 0.0, 0.5])  # of the camera in the robot's frame
            robot = points @ optical_rotation().T + origin
            height = robot[:, 2]
            # Comparisons with NaN are false, there as here.
            kept = (height <= source["max_obstacle_height"]) & (
                height >= source["min_obstacle_height"]
            )
            distance = np.linalg.norm(robot - origin, axis=1)
            kept &= (distance < source["obstacle_max_range"]) & (
                distance >= source["obstacle_min_range"]
            )
            assert np.isfinite(robot[kept]).all()
            return {(int(x), int(y)) for x, y in np.floor(robot[kept, :2] / resolution)}

        camera = room.simulated.stack.intrinsics
        assert camera is not None
        depth = room.simulated.depth
        across = (np.arange(camera.width) - camera.cx) / camera.fx
        down = (np.arange(camera.height) - camera.cy) / camera.fy
        rays = np.stack(np.broadcast_arrays(across, down[:, None], 1.0), axis=-1)
        true_cells = cells((rays * depth[..., None]).reshape(-1, 3))
        marked = cells(points_of(room.messages["points"]))
        assert len(true_cells) > 30

        def is_near(cell: tuple[int, int], others: set[tuple[int, int]], reach: int) -> bool:
            steps = range(-reach, reach + 1)
            return any((cell[0] + i, cell[1] + j) in others for i in steps for j in steps)

        # Within 15 cm: phantoms would stop the robot, and what is missing would be hit.
        phantoms = [cell for cell in marked if not is_near(cell, true_cells, 3)]
        missing = [cell for cell in true_cells if not is_near(cell, marked, 3)]
        assert len(phantoms) < 0.1 * len(marked)
        assert len(missing) < 0.2 * len(true_cells)


def parameters(file: str) -> dict[str, Any]:
    content = yaml.safe_load((CONFIG / file).read_text(encoding="utf-8"))
    return dict(content["/**"]["ros__parameters"])


# As declared in nav2_costmap_2d of Humble and Jazzy: obstacle_layer.cpp, voxel_layer.cpp.
SOURCE = {
    "topic", "sensor_frame", "observation_persistence", "expected_update_rate", "data_type",
    "min_obstacle_height", "max_obstacle_height", "inf_is_valid", "marking", "clearing",
    "obstacle_max_range", "obstacle_min_range", "raytrace_max_range", "raytrace_min_range",
}  # fmt: skip
OBSTACLE_LAYER = {
    "plugin", "enabled", "footprint_clearing_enabled", "min_obstacle_height",
    "max_obstacle_height", "combination_method", "observation_sources",
}  # fmt: skip
VOXEL_LAYER = OBSTACLE_LAYER | {
    "z_voxels", "origin_z", "z_resolution", "unknown_threshold", "mark_threshold",
    "publish_voxel_map",
}  # fmt: skip
# DepthImageToLaserScanROS.cpp: name and kind.
SCANNER = {
    "scan_time": float, "range_min": float, "range_max": float, "scan_height": int,
    "output_frame": str,
}  # fmt: skip


class TestConfiguration:
    @pytest.mark.parametrize(
        ("name", "known", "data_type"),
        [
            ("voxel_layer", VOXEL_LAYER, "PointCloud2"),
            ("obstacle_layer", OBSTACLE_LAYER, "LaserScan"),
        ],
    )
    def test_layers_have_parameters_that_exist(
        self, name: str, known: set[str], data_type: str
    ) -> None:
        layer = parameters("nav2_costmap.yaml")[name]
        sources = layer["observation_sources"].split()
        assert set(layer) <= known | set(sources)
        for source in sources:
            assert set(layer[source]) <= SOURCE
            assert layer[source]["data_type"] == data_type
            assert layer[source]["max_obstacle_height"] > layer[source].get(
                "min_obstacle_height", 0
            )
            assert layer[source]["raytrace_max_range"] > layer[source]["obstacle_max_range"]

    def test_a_voxel_column_has_at_most_sixteen(self) -> None:
        layer = parameters("nav2_costmap.yaml")["voxel_layer"]
        assert layer["z_voxels"] <= 16
        assert layer["z_voxels"] * layer["z_resolution"] >= layer["max_obstacle_height"]

    def test_scanner_has_parameters_that_exist(self) -> None:
        kinds = {
            name: type(value) for name, value in parameters("depthimage_to_laserscan.yaml").items()
        }
        assert kinds == SCANNER
