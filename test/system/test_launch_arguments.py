"""What launch files would start with which arguments; nothing is started."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("launch_ros", reason="launch_ros is not installed")

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext
from launch.actions import IncludeLaunchDescription
from launch.actions.execute_local import ExecuteLocal
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.substitutions import ExecutableInPackage

LAUNCH = Path(__file__).parents[2] / "launch"
PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"


class Planned:
    """A process that would be started."""

    def __init__(self, action: Any, context: LaunchContext) -> None:
        action.prepare(context)
        command = action.process_description.final_cmd
        self.name = Path(command[0]).name
        self.remapped = dict(
            text.split(":=", 1) for flag, text in pairwise(command) if flag == "-r"
        )
        self.has_profile = PROFILES in context.environment
        self.parameters: dict[str, Any] = {}
        for flag, path in pairwise(command):
            if flag == "--params-file" and "launch_params" in path:
                text = Path(path).read_text(encoding="utf-8").replace("!!python/tuple", "")
                for content in yaml.safe_load(text).values():
                    self.parameters |= content["ros__parameters"]


@pytest.fixture
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of others, of which nothing is started."""
    monkeypatch.delenv(PROFILES, raising=False)

    def prefix(name: str) -> str:
        try:
            return str(get_package_prefix(name))
        except PackageNotFoundError:
            return "/usr"

    for module in ("ament_index_python.packages", "focdepth_ros.ros.camera_launch"):
        monkeypatch.setattr(f"{module}.get_package_prefix", prefix)
    monkeypatch.setattr(
        ExecutableInPackage,
        "perform",
        lambda self, context: "".join(part.perform(context) for part in self.executable),
    )


def planned(
    monkeypatch: pytest.MonkeyPatch, file: str, *arguments: str, found: dict[str, list[Planned]]
) -> dict[str, list[Planned]]:
    """Processes by the names of their executables, in `found`."""

    def note(action: Any, context: LaunchContext) -> None:
        process = Planned(action, context)
        found.setdefault(process.name, []).append(process)

    def visit(entity: Any, context: LaunchContext) -> None:
        for further in entity.visit(context) or ():
            visit(further, context)

    monkeypatch.setattr(ExecuteLocal, "execute", note)
    given = [argument.split(":=", 1) for argument in arguments]
    source = PythonLaunchDescriptionSource(str(LAUNCH / file))
    visit(IncludeLaunchDescription(source, launch_arguments=given), LaunchContext(argv=[]))
    return found


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch, everything_is_installed: None) -> Any:
    def plan(
        file: str, *arguments: str, found: dict[str, list[Planned]] | None = None
    ) -> dict[str, list[Planned]]:
        return planned(monkeypatch, file, *arguments, found={} if found is None else found)

    return plan


def test_a_driver_is_on_the_topics_that_are_given(plan: Any) -> None:
    nodes = plan(
        "usb_cam.launch.py", "image_topic:=/my/image", "camera_info_topic:=/my/info",
        "sweep_timeout:=20", "far:=.inf",
    )  # fmt: skip
    (depth,), (sweep,) = nodes["depth_node"], nodes["sweep_node"]
    for node in (depth, sweep):
        assert node.remapped["image_raw"] == "/my/image"
        assert node.remapped["image_raw/compressed"] == "/my/image/compressed"
        assert node.remapped["camera_info"] == "/my/info"
    assert depth.parameters["sweep.timeout"] == 20.0
    assert sweep.parameters["far"] == float("inf")


@pytest.mark.parametrize(
    ("file", "image", "info"),
    [
        ("camera_ros.launch.py", "camera/image_raw", "camera/camera_info"),
        ("v4l2_camera.launch.py", "image_raw", "camera_info"),
    ],
)
def test_a_driver_is_where_it_publishes_by_default(
    plan: Any, file: str, image: str, info: str
) -> None:
    nodes = plan(file)
    for name in ("depth_node", "sweep_node"):
        (node,) = nodes[name]
        assert node.remapped["image_raw"] == image
        assert node.remapped["camera_info"] == info
    assert nodes["depth_node"][0].parameters["sweep.timeout"] == 5.0


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("depth.launch.py", ["params_file"]),
        ("simulate.launch.py", ["params_file", "camera_params_file"]),
        ("uvc_camera.launch.py", ["params_file", "camera_params_file"]),
        ("two_cameras.launch.py", ["params_file", "camera_params_file"]),
        ("replay.launch.py", ["params_file"]),
        ("usb_cam.launch.py", ["params_file", "camera_params_file", "sweep_params_file"]),
        ("navigation_example.launch.py", ["params_file", "costmap_params_file"]),
        ("navigation_example.launch.py", ["scan_params_file"]),
    ],
)
def test_nothing_is_started_with_a_file_that_is_not_there(
    plan: Any, file: str, arguments: list[str]
) -> None:
    started: dict[str, list[Planned]] = {}
    further = {
        "two_cameras.launch.py": ["simulate:=true"],
        "replay.launch.py": ["bag:=my_bag"],
        "navigation_example.launch.py": ["sensor:=scan"],
    }
    for argument in arguments:
        with pytest.raises(RuntimeError, match=f"{argument} is 'no.yaml', which is no file; corr"):
            plan(file, f"{argument}:=no.yaml", *further.get(file, []), found=started)
    assert not started


def test_the_focus_topic_counts_whatever_the_source(plan: Any) -> None:
    (node,) = plan("depth.launch.py", "focus_topic:=/cam/focus")["depth_node"]
    assert node.remapped["focus_state"] == node.remapped["lens_position"] == "/cam/focus"


def test_simulated_cameras_have_what_their_depth_nodes_have(plan: Any) -> None:
    nodes = plan(
        "two_cameras.launch.py", "simulate:=true", "image_topic:=img", "use_sim_time:=true"
    )
    for node, camera, side in zip(
        nodes["depth_node"], nodes["sim_camera_node"], ("left", "right"), strict=True
    ):
        assert node.has_profile
        assert camera.has_profile
        assert node.remapped["__ns"] == camera.remapped["__ns"] == f"/{side}"
        assert node.remapped["image_raw"] == camera.remapped["image_raw"] == "img"
        assert camera.parameters["use_sim_time"] is True
        assert camera.parameters["frame_id"] == f"{side}_optical_frame"
    with pytest.raises(RuntimeError, match=r"a page shows one camera; leave it out"):
        plan("two_cameras.launch.py", "view:=true")


@pytest.mark.parametrize("sensor", ["points", "scan"])
def test_time_and_namespace_reach_all_that_navigates(plan: Any, sensor: str) -> None:
    nodes = plan(
        "navigation_example.launch.py", "use_sim_time:=true", "namespace:=robot",
        f"sensor:={sensor}", "simulate:=true",
    )  # fmt: skip
    for name, several in nodes.items():
        for node in several:
            assert node.parameters["use_sim_time"] is True, name
    (costmap,) = nodes["nav2_costmap_2d"]
    assert costmap.parameters["voxel_layer.depth.topic"] == "/robot/points"
    assert costmap.parameters["obstacle_layer.scan.topic"] == "/robot/scan"
    if sensor == "scan":
        (scanner,) = nodes["depthimage_to_laserscan_node"]
        assert scanner.remapped["__ns"] == "/robot"
    else:
        (alone,) = plan("navigation_example.launch.py")["nav2_costmap_2d"]
        assert "voxel_layer.depth.topic" not in alone.parameters
