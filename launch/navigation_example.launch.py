"""From a focus sweep to a costmap: depth node, frames of the camera, and Nav2's obstacle layers.

``ros2 launch focdepth_ros navigation_example.launch.py simulate:=true fixed_robot:=true``: needs
nothing but Nav2. On a robot: ``image_topic:=/camera/image_raw ... x:=0.2 z:=0.3 pitch:=0.1``.
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from focdepth_ros.ros.camera_launch import is_true, require_file, require_package

SHARE = Path(get_package_share_directory("focdepth_ros"))
CONFIG = SHARE / "config" / "navigation"

# Of an optical frame (x right, y down, z forward) in one with x forward and z up: REP 103.
OPTICAL_ROTATION = {"roll": -1.5707963267948966, "pitch": 0.0, "yaw": -1.5707963267948966}

# Position and direction of the camera on the robot.
POSE = {"x": "0.1", "y": "0.0", "z": "0.3", "roll": "0.0", "pitch": "0.0", "yaw": "0.0"}

PLUGINS = {
    "points": ["voxel_layer", "inflation_layer"],
    "scan": ["obstacle_layer", "inflation_layer"],
}


def generate_launch_description() -> LaunchDescription:
    pose = [
        DeclareLaunchArgument(
            name, default_value=value, description="Of the camera in base_frame [m, rad]."
        )
        for name, value in POSE.items()
    ]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "simulate", default_value="false", description="Start a simulated camera, too."
            ),
            DeclareLaunchArgument(
                "sensor",
                default_value="points",
                description="What the costmap takes: points (voxel layer), or scan (obstacle "
                "layer, through depthimage_to_laserscan).",
            ),
            DeclareLaunchArgument(
                "costmap", default_value="true", description="Start a costmap of Nav2."
            ),
            DeclareLaunchArgument(
                "costmap_params_file",
                default_value=str(CONFIG / "nav2_costmap.yaml"),
                description="Parameters of the costmap.",
            ),
            DeclareLaunchArgument(
                "scan_params_file",
                default_value=str(CONFIG / "depthimage_to_laserscan.yaml"),
                description="Parameters of depthimage_to_laserscan.",
            ),
            DeclareLaunchArgument("base_frame", default_value="base_link", description="Robot."),
            DeclareLaunchArgument(
                "camera_frame", default_value="camera_link", description="Camera, x forward."
            ),
            DeclareLaunchArgument(
                "optical_frame",
                default_value="camera_optical_frame",
                description="frame_id of the images.",
            ),
            DeclareLaunchArgument(
                "fixed_robot",
                default_value="false",
                description="Publish odom to base_frame, for a camera on a desk.",
            ),
            *pose,
            # Before anything is started that an error would leave behind.
            OpaqueFunction(function=_check),
            OpaqueFunction(function=_depth),
            OpaqueFunction(function=_frames),
            OpaqueFunction(function=_obstacles),
        ]
    )


def _check(context: LaunchContext) -> None:
    sensor = LaunchConfiguration("sensor").perform(context)
    if sensor not in PLUGINS:
        raise RuntimeError(f"sensor is '{sensor}'; it must be one of {', '.join(PLUGINS)}")
    for name in ("simulate", "fixed_robot"):
        is_true(context, name)
    require_package("tf2_ros", "which every robot has")
    if sensor == "scan":
        require_package("depthimage_to_laserscan", "or choose sensor:=points")
        require_file(context, "scan_params_file")
    if is_true(context, "costmap"):
        for package in ("nav2_costmap_2d", "nav2_lifecycle_manager"):
            require_package(package, "or leave it out by costmap:=false")
        require_file(context, "costmap_params_file")


def _depth(context: LaunchContext) -> list[Action]:
    file = "simulate.launch.py" if is_true(context, "simulate") else "depth.launch.py"
    return [IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SHARE / "launch" / file)))]


def _frames(context: LaunchContext) -> list[Action]:
    base, camera, optical = (
        LaunchConfiguration(name).perform(context)
        for name in ("base_frame", "camera_frame", "optical_frame")
    )
    pose = {name: LaunchConfiguration(name).perform(context) for name in POSE}
    rotation = {name: str(angle) for name, angle in OPTICAL_ROTATION.items()}
    links = [(base, camera, pose), (camera, optical, rotation)]
    if is_true(context, "fixed_robot"):
        links.append(("odom", base, {}))
    return [_static_transform(*link) for link in links]


def _static_transform(parent: str, child: str, pose: dict[str, str]) -> Node:
    numbers = [text for name, value in pose.items() for text in (f"--{name}", value)]
    return Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        name=f"{child}_in_{parent}".replace("/", "_"),
        parameters=[_time()],
        arguments=[*numbers, "--frame-id", parent, "--child-frame-id", child],
    )


def _obstacles(context: LaunchContext) -> list[Action]:
    sensor = LaunchConfiguration("sensor").perform(context)
    actions: list[Action] = []
    if sensor == "scan":
        actions.append(
            Node(
                package="depthimage_to_laserscan",
                executable="depthimage_to_laserscan_node",
                namespace=LaunchConfiguration("namespace"),
                parameters=[
                    LaunchConfiguration("scan_params_file"),
                    {"output_frame": LaunchConfiguration("camera_frame"), **_time()},
                ],
                remappings=[("depth", "depth/image"), ("depth_camera_info", "depth/camera_info")],
            )
        )
    if is_true(context, "costmap"):
        # In Humble the node has a namespace of its own name.
        is_humble = os.environ.get("ROS_DISTRO") == "humble"
        name = "costmap/costmap" if is_humble else "costmap"
        actions += [
            Node(
                package="nav2_costmap_2d",
                executable="nav2_costmap_2d",
                parameters=[
                    LaunchConfiguration("costmap_params_file"),
                    {
                        "plugins": PLUGINS[sensor],
                        "robot_base_frame": LaunchConfiguration("base_frame"),
                        **_time(),
                    },
                    *_sources_in(LaunchConfiguration("namespace").perform(context)),
                ],
                output="screen",
            ),
            Node(
                package="nav2_lifecycle_manager",
                executable="lifecycle_manager",
                name="lifecycle_manager_costmap",
                # A costmap alone has no bond to be watched by.
                parameters=[
                    {"autostart": True, "node_names": [name], "bond_timeout": 0.0, **_time()}
                ],
            ),
        ]
    return actions


def _time() -> dict[str, ParameterValue]:
    return {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}


def _sources_in(namespace: str) -> list[dict[str, str]]:
    """What the costmap listens to, where that is in a namespace; itself it is in none."""
    space = namespace.strip("/")
    if not space:
        return []
    return [
        {
            "voxel_layer.depth.topic": f"/{space}/points",
            "obstacle_layer.scan.topic": f"/{space}/scan",
        }
    ]
