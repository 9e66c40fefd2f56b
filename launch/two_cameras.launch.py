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

from focdepth_ros.ros.camera_launch import camera_node, is_true, require_file

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
    simulate = is_true(context, "simulate")
    if simulate:
        require_file(context, "camera_params_file")
    if "view" in context.launch_configurations and is_true(context, "view"):
        raise RuntimeError(
            "view is 'true', but a page shows one camera; leave it out, and start one for each: "
            f"ros2 run focdepth_ros view_node --ros-args -r __ns:=/{names[0]} -p port:=9091"
        )
    actions: list[Action] = []
    for number, name in enumerate(names):
        actions_of_one = [_depth_node(name)]
        if simulate:  # after it: it sets the profile for large images
            own = {"seed": 1000 + number, "frame_id": f"{name}_optical_frame"}
            actions_of_one.append(OpaqueFunction(function=_sim_camera, args=[own]))
        # A scope of its own, or the arguments of one would be those of the next.
        actions.append(GroupAction(actions_of_one, scoped=True))
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


def _sim_camera(context: LaunchContext, own: dict[str, object]) -> list[Action]:
    return [camera_node(context, "sim_camera_node", {}, own)]
