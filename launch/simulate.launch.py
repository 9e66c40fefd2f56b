"""Start the simulated auto-focus camera and the depth node on it: a robot's view without a robot.

``ros2 launch focdepth_ros simulate.launch.py rviz:=true seed:=7 pattern:=ping_pong``
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
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
            OpaqueFunction(function=_sim_camera_node),
        ]
    )


def _sim_camera_node(context: LaunchContext) -> list[Action]:
    # Only values that were given may override the file, hence not a plain list of parameters.
    kinds = {"use_sim_time": bool, "seed": int, "stack": str, "pattern": str}
    overrides = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in kinds.items()
        if LaunchConfiguration(name).perform(context)
    }
    return [
        Node(
            package="focdepth_ros",
            executable="sim_camera_node",
            namespace=LaunchConfiguration("namespace"),
            parameters=[LaunchConfiguration("camera_params_file"), overrides],
            remappings=[
                ("image_raw", LaunchConfiguration("image_topic")),
                ("camera_info", LaunchConfiguration("camera_info_topic")),
                ("focus_state", LaunchConfiguration("focus_topic")),
            ],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="screen",
        )
    ]
