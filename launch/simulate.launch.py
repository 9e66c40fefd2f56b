"""Start the simulated auto-focus camera and the depth node on it: a robot's view without a robot.

``ros2 launch focdepth_ros simulate.launch.py rviz:=true seed:=7 pattern:=ping_pong``
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource

from focdepth_ros.ros.camera_launch import camera_node, require_file

SHARE = Path(get_package_share_directory("focdepth_ros"))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "camera_params_file",
                default_value=str(SHARE / "config" / "sim_camera_node.yaml"),
                description="Parameters of sim_camera_node.",
            ),
            DeclareLaunchArgument(
                "seed", default_value="", description="Of the scene; empty: the one in the file."
            ),
            DeclareLaunchArgument(
                "stack",
                default_value="",
                description="Focal stack folder to play instead of a simulated scene.",
            ),
            DeclareLaunchArgument(
                "pattern",
                default_value="",
                description="Of the sweep: near_to_far, far_to_near or ping_pong; "
                "empty: the one in the file.",
            ),
            # Before anything is started that an error would leave behind.
            OpaqueFunction(function=require_file, args=["camera_params_file"]),
            # All other arguments are those of depth.launch.py, which also sets the profile for
            # large images and so comes before the camera.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "depth.launch.py"))
            ),
            OpaqueFunction(function=_sim_camera_node),
        ]
    )


def _sim_camera_node(context: LaunchContext) -> list[Action]:
    return [camera_node(context, "sim_camera_node", {"seed": int, "stack": str, "pattern": str})]
