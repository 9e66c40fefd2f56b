"""Several cameras on one robot: each has a namespace, and a depth node of its own in it.

``ros2 launch focdepth_ros two_cameras.launch.py cameras:=front,rear``: images are taken from
/front/image_raw and /rear/image_raw, and so on. With ``simulate:=true`` they are simulated.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("focdepth_ros"))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "cameras", default_value="left,right", description="Names, separated by commas."
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=str(SHARE / "config" / "depth_node.yaml"),
                description="Parameters of all depth nodes.",
            ),
            DeclareLaunchArgument(
                "backend", default_value="", description="Empty: the one in params_file."
            ),
            DeclareLaunchArgument(
                "simulate",
                default_value="false",
                description="Start a simulated camera for each, with frame_id NAME_optical_frame.",
            ),
            DeclareLaunchArgument(
                "camera_params_file",
                default_value=str(SHARE / "config" / "sim_camera_node.yaml"),
                description="Parameters of the simulated cameras.",
            ),
            OpaqueFunction(function=_cameras),
        ]
    )


def _cameras(context: LaunchContext) -> list[Action]:
    text = LaunchConfiguration("cameras").perform(context)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise RuntimeError(f"cameras is '{text}'; give different names, separated by commas")
    simulate = LaunchConfiguration("simulate").perform(context)
    if simulate not in ("true", "false"):
        raise RuntimeError(f"simulate is '{simulate}'; it must be true or false")
    actions: list[Action] = []
    for number, name in enumerate(names):
        # A scope of its own, or the arguments of one would be those of the next.
        actions.append(GroupAction([_depth_node(name)], scoped=True))
        if simulate == "true":
            actions.append(_sim_camera(name, seed=1000 + number))
    return actions


def _depth_node(name: str) -> Action:
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "depth.launch.py")),
        launch_arguments={
            "namespace": name,
            "params_file": LaunchConfiguration("params_file"),
            "backend": LaunchConfiguration("backend"),
        }.items(),
    )


def _sim_camera(name: str, *, seed: int) -> Node:
    return Node(
        package="focdepth_ros",
        executable="sim_camera_node",
        namespace=name,
        parameters=[
            LaunchConfiguration("camera_params_file"),
            {"seed": seed, "frame_id": f"{name}_optical_frame"},
        ],
        output="screen",
    )
