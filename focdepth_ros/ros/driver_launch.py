"""What the launch files of the camera drivers have in common: driver, sweep_node and depth_node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from focdepth_ros.ros.camera_launch import require_file, require_package, values_given
from focdepth_ros.ros.shared_files import config_folder

_SWEEP_TIMEOUT = "5.0"  # seconds; the end of a sweep is known by its steps


@dataclass(frozen=True)
class CameraDriver:
    """A driver and where it publishes.

    Parameters
    ----------
    table : str
        Name of its file in ``config/drivers``.
    package, executable : str
    node : str
        Name that the table gives it.
    image_topic : str
        Relative to the namespace of the nodes; ``camera_info`` is beside it.
    parameters : mapping
        Of the driver, where its defaults do not fit.
    """

    table: str
    package: str
    executable: str
    node: str
    image_topic: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def info_topic(self) -> str:
        """Topic of its calibration."""
        return self.image_topic.removesuffix("image_raw") + "camera_info"


def driver_launch_description(driver: CameraDriver) -> LaunchDescription:
    """Driver, sweep_node and depth_node, with arguments for what is usually set."""
    empty = "empty: the one in sweep_params_file."
    arguments = {
        "image_topic": (driver.image_topic, "Images of the driver."),
        "camera_info_topic": (driver.info_topic, "Their calibration."),
        "sweep_timeout": (
            _SWEEP_TIMEOUT,
            "Parameter sweep.timeout of depth_node [s]; empty: the one in params_file.",
        ),
        "camera_params_file": ("", f"Parameters of {driver.package}; empty: its defaults."),
        "sweep_params_file": (
            str(config_folder() / "sweep_node.yaml"),
            "Parameters of sweep_node.",
        ),
        "lens_map": ("", f"Lens map of the camera; {empty}"),
        "mode": ("", f"ping_pong, saw_tooth, on_demand or paused; {empty}"),
        "near": ("", f"Nearest focus distance [m]; {empty}"),
        "far": ("", f"Farthest focus distance [m]; {empty}"),
        "steps": ("", f"Focus distances per sweep; {empty}"),
    }
    depth_launch = config_folder().parent / "launch" / "depth.launch.py"
    return LaunchDescription(
        [
            # Before depth.launch.py, so that these defaults go before its own.
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, (default, text) in arguments.items()
            ),
            # Before anything is started that an error would leave behind.
            OpaqueFunction(function=_check, args=[driver]),
            # All other arguments are those of depth.launch.py, which also sets the profile for
            # large images and so comes before the nodes.
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(depth_launch))),
            OpaqueFunction(function=_nodes, args=[driver]),
        ]
    )


def _check(context: LaunchContext, driver: CameraDriver) -> None:
    require_package(driver.package, "which drives the camera")
    require_file(context, "sweep_params_file")
    if LaunchConfiguration("camera_params_file").perform(context):
        require_file(context, "camera_params_file")


def _nodes(context: LaunchContext, driver: CameraDriver) -> list[Action]:
    camera_file = Path(LaunchConfiguration("camera_params_file").perform(context))
    kinds = {"lens_map": str, "mode": str, "near": float, "far": float, "steps": int}
    overrides = values_given(context, kinds)
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    common = {
        "namespace": LaunchConfiguration("namespace"),
        "ros_arguments": ["--log-level", LaunchConfiguration("log_level")],
        "output": "screen",
    }
    image_topic = LaunchConfiguration("image_topic")
    return [
        Node(
            package=driver.package,
            executable=driver.executable,
            name=driver.node,
            parameters=[
                {"use_sim_time": use_sim_time, **driver.parameters},
                *([str(camera_file)] if camera_file.name else []),
            ],
            **common,
        ),
        Node(
            package="focdepth_ros",
            executable="sweep_node",
            name="sweep_node",
            parameters=[
                LaunchConfiguration("sweep_params_file"),
                {
                    "driver": driver.table,
                    "use_sim_time": use_sim_time,
                    **overrides,
                },
            ],
            remappings=[
                ("image_raw", image_topic),
                ("image_raw/compressed", [image_topic, "/compressed"]),
                ("camera_info", LaunchConfiguration("camera_info_topic")),
                ("focus_state", LaunchConfiguration("focus_topic")),
            ],
            **common,
        ),
    ]
