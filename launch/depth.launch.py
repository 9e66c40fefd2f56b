"""Start the depth node, and RViz or a page in a browser beside it if asked for.

``ros2 launch focdepth_ros depth.launch.py image_topic:=/camera/image_raw
camera_info_topic:=/camera/camera_info focus_topic:=/camera/focus_state``
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from focdepth_ros.ros.camera_launch import is_true, require_file, require_package

SHARE = Path(get_package_share_directory("focdepth_ros"))
PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("namespace", default_value="", description="Of all nodes."),
            DeclareLaunchArgument(
                "params_file",
                default_value=str(SHARE / "config" / "depth_node.yaml"),
                description="Parameters of depth_node.",
            ),
            DeclareLaunchArgument(
                "backend",
                default_value="",
                description="Name of a backend (`focdepth backends` lists them); "
                "empty: the one in params_file.",
            ),
            DeclareLaunchArgument(
                "aif_only",
                default_value="",
                description="true: the all-in-focus image alone, which needs no focus distances; "
                "empty: as in params_file.",
            ),
            DeclareLaunchArgument(
                "image_topic", default_value="image_raw", description="Images of the sweep."
            ),
            DeclareLaunchArgument(
                "camera_info_topic", default_value="camera_info", description="Its calibration."
            ),
            DeclareLaunchArgument(
                "focus_topic",
                default_value="focus_state",
                description="focdepth_ros/FocusState, stamped like the images; or the topic of "
                "lens positions, by focus_source.",
            ),
            DeclareLaunchArgument(
                "focus_source",
                default_value="",
                description="focus_state, diagnostics or lens_position; empty: as in params_file.",
            ),
            DeclareLaunchArgument(
                "lens_map",
                default_value="",
                description="File that says what lens positions mean; empty: as in params_file.",
            ),
            DeclareLaunchArgument(
                "sweep_timeout",
                default_value="",
                description="Parameter sweep.timeout [s], for a lens that takes its time; "
                "empty: the one in params_file.",
            ),
            DeclareLaunchArgument(
                "use_sim_time", default_value="false", description="Take the time from /clock."
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                description="Of the nodes: debug, info, warn, error or fatal.",
            ),
            DeclareLaunchArgument(
                "rviz", default_value="false", description="Show depth and points in RViz."
            ),
            DeclareLaunchArgument(
                "fixed_frame",
                default_value="camera_optical_frame",
                description="Fixed frame of RViz: the frame_id of the images.",
            ),
            DeclareLaunchArgument(
                "view", default_value="false", description="Show the results in a browser."
            ),
            # Before anything is started that an error would leave behind.
            OpaqueFunction(function=_check),
            # Whole images pass through shared memory only with this profile; whoever has set
            # one keeps it.
            SetEnvironmentVariable(
                PROFILES,
                EnvironmentVariable(
                    PROFILES, default_value=str(SHARE / "config" / "fastdds_large_images.xml")
                ),
            ),
            OpaqueFunction(function=_depth_node),
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=LaunchConfiguration("namespace"),
                arguments=[
                    "--display-config",
                    str(SHARE / "config" / "depth.rviz"),
                    "--fixed-frame",
                    LaunchConfiguration("fixed_frame"),
                ],
                parameters=[{"use_sim_time": _use_sim_time()}],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
            Node(
                package="focdepth_ros",
                executable="view_node",
                namespace=LaunchConfiguration("namespace"),
                parameters=[{"use_sim_time": _use_sim_time()}],
                condition=IfCondition(LaunchConfiguration("view")),
                output="screen",
            ),
        ]
    )


def _check(context: LaunchContext) -> None:
    for name in ("view", "use_sim_time"):
        is_true(context, name)
    require_file(context, "params_file")
    if is_true(context, "rviz"):
        require_package("rviz2", "or leave out rviz:=true")


def _use_sim_time() -> ParameterValue:
    return ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)


def _depth_node(context: LaunchContext) -> list[Action]:
    # Only values that were given may override the file, hence not a plain list of parameters.
    overrides: dict[str, object] = {"use_sim_time": _use_sim_time()}
    backend = LaunchConfiguration("backend").perform(context)
    if backend:
        overrides["backend"] = backend
    for argument in ("focus_source", "lens_map"):
        value = LaunchConfiguration(argument).perform(context)
        if value:
            overrides[f"focus.{argument.removeprefix('focus_')}"] = value
    if LaunchConfiguration("aif_only").perform(context):
        overrides["aif_only"] = ParameterValue(LaunchConfiguration("aif_only"), value_type=bool)
    if LaunchConfiguration("sweep_timeout").perform(context):
        timeout = ParameterValue(LaunchConfiguration("sweep_timeout"), value_type=float)
        overrides["sweep.timeout"] = timeout
    image_topic = LaunchConfiguration("image_topic")
    return [
        Node(
            package="focdepth_ros",
            executable="depth_node",
            namespace=LaunchConfiguration("namespace"),
            parameters=[LaunchConfiguration("params_file"), overrides],
            remappings=[
                ("image_raw", image_topic),
                ("image_raw/compressed", [image_topic, "/compressed"]),
                ("camera_info", LaunchConfiguration("camera_info_topic")),
                *_focus_remapping(context),
            ],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="screen",
        )
    ]


def _focus_remapping(context: LaunchContext) -> list[tuple[str, str]]:
    topic = LaunchConfiguration("focus_topic").perform(context)
    if topic == "focus_state":
        return []
    # Which of the two the node listens to, params_file may say; the other one is nobody's.
    return [("focus_state", topic), ("lens_position", topic)]
