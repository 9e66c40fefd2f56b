"""What the launch files of cameras have in common: values over a file, a camera node of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext
from launch.substitutions import LaunchConfiguration, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

_INFINITIES = (".inf", "-.inf")  # as YAML writes them; Python has no dot


def is_true(context: LaunchContext, name: str) -> bool:
    """Whether a launch argument is true, as the conditions of launch read it.

    Raises
    ------
    RuntimeError
        If it is neither true nor false.
    """
    text = LaunchConfiguration(name).perform(context)
    if text.lower() not in ("true", "false", "1", "0"):
        raise RuntimeError(f"{name} is '{text}'; it must be true or false")
    return text.lower() in ("true", "1")


def require_file(context: LaunchContext, name: str) -> None:
    """Make sure that the file is there which a launch argument names.

    A node that is given none takes its defaults, and hardly anybody sees that it does.

    Raises
    ------
    RuntimeError
        If it is not there.
    """
    path = LaunchConfiguration(name).perform(context)
    if not Path(path).is_file():
        raise RuntimeError(f"{name} is '{path}', which is no file; correct the path")


def values_given(context: LaunchContext, kinds: Mapping[str, type]) -> dict[str, object]:
    """Parameters from those launch arguments that are not empty.

    Only values that were given may override the file of parameters, hence not all of them.

    Parameters
    ----------
    context : LaunchContext
    kinds : mapping of str to type
        Of each argument, which is named like its parameter.
    """
    values: dict[str, object] = {}
    for name, kind in kinds.items():
        text = LaunchConfiguration(name).perform(context)
        if text in _INFINITIES:
            text = text.replace(".", "")
        if text:
            values[name] = ParameterValue(TextSubstitution(text=text), value_type=kind)
    return values


def camera_node(
    context: LaunchContext,
    executable: str,
    kinds: Mapping[str, type],
    further: Mapping[str, object] | None = None,
) -> Node:
    """A camera node of this package, on the topics that depth.launch.py names.

    Parameters
    ----------
    context : LaunchContext
        With the arguments of depth.launch.py and ``camera_params_file``.
    executable : str
    kinds : mapping of str to type
        Of the arguments that override the file, see `values_given`.
    further : mapping, optional
        Parameters that override both.
    """
    return Node(
        package="focdepth_ros",
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("camera_params_file"),
            {**values_given(context, {"use_sim_time": bool, **kinds}), **(further or {})},
        ],
        remappings=[
            ("image_raw", LaunchConfiguration("image_topic")),
            ("camera_info", LaunchConfiguration("camera_info_topic")),
            ("focus_state", LaunchConfiguration("focus_topic")),
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        output="screen",
    )


def require_package(package: str, otherwise: str) -> None:
    """Make sure that a package is installed.

    Raises
    ------
    RuntimeError
        If it is not; the message says how to install it, and `otherwise`.
    """
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        distribution = os.environ.get("ROS_DISTRO", "jazzy")
        debian = f"ros-{distribution}-{package.replace('_', '-')}"
        raise RuntimeError(
            f"package '{package}' is not installed; sudo apt install {debian}, {otherwise}"
        ) from None
