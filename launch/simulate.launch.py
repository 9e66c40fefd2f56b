"""Start the simulated auto-focus camera and the depth node on it: a robot's view without a robot.

``ros2 launch focdepth_ros simulate.launch.py rviz:=true seed:=7 pattern:=ping_pong``
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("focdepth_ros"))


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            # All other arguments are those of depth.launch.py, which also sets the profile for
            # large images and so comes first.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "depth.launch.py"))
            ),
            DeclareLaunchArgument(
                "camera_params_file",
                default_value=str(SHARE / "config" / "sim_camera_node.yaml"),
                description="Parameters of sim_camera_node.",
            ),
            DeclareLaunchArgument("seed", default_value="1000", description="Of the scene."),
            DeclareLaunchArgument(
                "stack",
                default_value="",
                description="Focal stack folder to play instead of a simulated scene.",
            ),
            DeclareLaunchArgument(
                "pattern",
                default_value="near_to_far",
                description="Of the sweep: near_to_far, far_to_near or ping_pong.",
            ),
            Node(
                package="focdepth_ros",
                executable="sim_camera_node",
                namespace=LaunchConfiguration("namespace"),
                parameters=[
                    LaunchConfiguration("camera_params_file"),
                    {
                        "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                        "stack": ParameterValue(LaunchConfiguration("stack"), value_type=str),
                        "pattern": ParameterValue(LaunchConfiguration("pattern"), value_type=str),
                        "frame_id": ParameterValue(
                            LaunchConfiguration("fixed_frame"), value_type=str
                        ),
                    },
                ],
                remappings=[
                    ("image_raw", LaunchConfiguration("image_topic")),
                    ("camera_info", LaunchConfiguration("camera_info_topic")),
                    ("focus_state", LaunchConfiguration("focus_topic")),
                ],
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                output="screen",
            ),
        ]
    )
