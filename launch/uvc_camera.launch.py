"""Start a USB camera or webcam whose focus sweeps, and the depth node on it.

``ros2 launch focdepth_ros uvc_camera.launch.py device:=/dev/video0 lens_map:=my_lens.yaml``
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
                default_value=str(SHARE / "config" / "uvc_camera_node.yaml"),
                description="Parameters of uvc_camera_node.",
            ),
            DeclareLaunchArgument(
                "device",
                default_value="",
                description="Path or number of the camera; empty: the one in the file.",
            ),
            DeclareLaunchArgument(
                "lens_map",
                default_value="",
                description="File of `focdepth calibrate lens`; empty: the one in the file.",
            ),
            DeclareLaunchArgument(
                "camera_info_file",
                default_value="",
                description="Calibration of camera_calibration; empty: the one in the file.",
            ),
            DeclareLaunchArgument(
                "mode",
                default_value="",
                description="ping_pong, saw_tooth or paused; empty: the one in the file.",
            ),
            # Before anything is started that an error would leave behind.
            OpaqueFunction(function=require_file, args=["camera_params_file"]),
            # All other arguments are those of depth.launch.py, which also sets the profile for
            # large images and so comes before the camera.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "depth.launch.py"))
            ),
            OpaqueFunction(function=_uvc_camera_node),
        ]
    )


def _uvc_camera_node(context: LaunchContext) -> list[Action]:
    texts = ("device", "lens_map", "camera_info_file", "mode")
    return [camera_node(context, "uvc_camera_node", dict.fromkeys(texts, str))]
