"""Play a bag through the depth node, measure its depth against that of the bag, write a report.

``ros2 launch focdepth_ros replay.launch.py bag:=my_bag backend:=graph_cut output:=report``
"""

import shutil
from pathlib import Path

import yaml
from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

from focdepth_ros.bags.message_types import COMPRESSED_IMAGE
from focdepth_ros.bags.reading import BagReader, Topics
from focdepth_ros.bags.topics import BagSettings, choose_topics
from focdepth_ros.libraries import BAG_LIBRARIES, missing_because
from focdepth_ros.ros.camera_launch import is_true, require_file
from focdepth_ros.sweep_parts.config import SweepConfig

SHARE = Path(get_package_share_directory("focdepth_ros"))
PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"
_PLAYED_IN_PART = 1  # exit code of bag_player_node
# bag_player_node waits for the nodes to start, ros2 bag does not.
_DELAY, _ROS2_BAG_DELAY = "2.0", "6.0"
_DELAYS = f"{_DELAY} for bag_player_node, {_ROS2_BAG_DELAY} for ros2 bag"
# Nothing is to be lost: messages that wait while depth_node is busy, and sweeps.
_QUEUED_MESSAGES, _WAITING_SWEEPS = 100, 20


def generate_launch_description() -> LaunchDescription:
    found = "empty: found in the bag by type."
    arguments = {
        "bag": (None, "Folder of the bag, or its .db3 or .mcap file."),
        "output": ("", "Folder of the results; empty: evaluation/BAG_live."),
        "namespace": ("", "Of depth_node and evaluator_node; topics keep the names of the bag."),
        "params_file": (str(SHARE / "config" / "depth_node.yaml"), "Parameters of depth_node."),
        "backend": ("", "Name of a backend; empty: the one in params_file."),
        "min_confidence": ("0.0", "Of depth_node; 0 measures all pixels, as `focdepth bag eval`."),
        "rate": ("1.0", "Speed at which the bag is played."),
        "loop": ("false", "Play the bag again and again; the report comes with Ctrl-C."),
        "clock": ("false", "Publish the time of the bag on /clock, and let the nodes use it."),
        "start_delay": ("", f"Time that the nodes have to find each other [s]; empty: {_DELAYS}."),
        "player": ("auto", "ros2_bag, bag_player_node, or auto: the first if it is installed."),
        "image_topic": ("", f"Images; {found}"),
        "camera_info_topic": ("", f"Calibration; {found}"),
        "focus_topic": ("", f"Focus states; {found}"),
        "depth_topic": ("", f"Ground truth; {found}"),
        "same_grid": (
            "false",
            "The ground truth is on the grid of the images, whatever its frame.",
        ),
        "log_level": ("info", "Of the nodes: debug, info, warn, error or fatal."),
    }
    choices = {"player": ["auto", "ros2_bag", "bag_player_node"]}
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    name, default_value=default, description=text, choices=choices.get(name)
                )
                for name, (default, text) in arguments.items()
            ),
            # Whole images pass through shared memory only with this profile; whoever has set
            # one keeps it.
            SetEnvironmentVariable(
                PROFILES,
                EnvironmentVariable(
                    PROFILES, default_value=str(SHARE / "config" / "fastdds_large_images.xml")
                ),
            ),
            OpaqueFunction(function=_replay),
        ]
    )


def _replay(context: LaunchContext) -> list[Action]:
    require_file(context, "params_file")
    topics, is_compressed = _topics(context)
    depth_node = _depth_node(context, topics, is_compressed)
    evaluator = _evaluator_node(context, topics)
    player = _player(context, topics)

    def on_player_exit(event: ProcessExited, _: LaunchContext) -> list[Action]:
        # Else evaluator_node waits for the last answers, then it ends, and all with it.
        is_played = event.returncode in (0, _PLAYED_IN_PART)
        return [] if is_played else [_shutdown("the bag could not be played")]

    return [
        depth_node,
        evaluator,
        player,
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=on_player_exit)),
        RegisterEventHandler(
            OnProcessExit(target_action=evaluator, on_exit=[_shutdown("the evaluation has ended")])
        ),
        RegisterEventHandler(
            OnProcessExit(target_action=depth_node, on_exit=[_shutdown("depth_node has ended")])
        ),
    ]


def _topics(context: LaunchContext) -> tuple[Topics, bool]:
    """The topics of the camera in the bag, and whether its images are compressed."""
    image, focus, info, depth = (
        _value(context, f"{name}_topic") for name in ("image", "focus", "camera_info", "depth")
    )
    if missing_because(BAG_LIBRARIES, "bags"):  # `ros2 bag` plays it, but here it is not read
        return Topics(image or "/image_raw", focus or "/focus_state", info, depth), False
    with BagReader(Path(_value(context, "bag"))) as reader:
        topics = choose_topics(reader, BagSettings(image, focus, info, depth))
        kinds = {topic.name: topic.kind for topic in reader.topics}
    return topics, kinds[topics.images] == COMPRESSED_IMAGE


def _depth_node(context: LaunchContext, topics: Topics, is_compressed: bool) -> Node:
    params_file, rate = _value(context, "params_file"), _number(context, "rate")
    overrides: dict[str, object] = {
        "use_sim_time": is_true(context, "clock"),
        "min_confidence": _number(context, "min_confidence"),
        "aif_only": False,  # it is depth that is measured
        "max_waiting_sweeps": _WAITING_SWEEPS,
        # The node waits in real time, the recording counts in its own.
        "sweep.timeout": min(max(_sweep_timeout(Path(params_file)) / rate, 0.01), 3600.0),
    }
    for topic in (topics.images, topics.focus):
        overrides[f"qos_overrides.{topic}.subscription.depth"] = _QUEUED_MESSAGES
    if is_compressed:
        overrides["compressed"] = True
    if _value(context, "backend"):
        overrides["backend"] = _value(context, "backend")
    return Node(
        package="focdepth_ros",
        executable="depth_node",
        namespace=_value(context, "namespace"),
        parameters=[params_file, overrides],
        remappings=[
            ("image_raw/compressed" if is_compressed else "image_raw", topics.images),
            ("camera_info", topics.camera_info or "/camera_info"),
            ("focus_state", topics.focus),
        ],
        ros_arguments=["--log-level", _value(context, "log_level")],
        output="screen",
    )


def _evaluator_node(context: LaunchContext, topics: Topics) -> Node:
    bag = _value(context, "bag")
    output = _value(context, "output") or str(
        Path("evaluation", f"{Path(bag).resolve().stem}_live")
    )
    return Node(
        package="focdepth_ros",
        executable="evaluator_node",
        namespace=_value(context, "namespace"),
        parameters=[
            {
                "use_sim_time": is_true(context, "clock"),
                "output": output,
                "title": bag,
                "backend": _value(context, "backend"),
                "same_grid": is_true(context, "same_grid"),
            }
        ],
        remappings=[
            ("ground_truth/depth", topics.depth or "/ground_truth/depth"),
            ("focus_state", topics.focus),
        ],
        ros_arguments=["--log-level", _value(context, "log_level")],
        output="screen",
        sigkill_timeout="30",  # to write the report after Ctrl-C
    )


def _player(context: LaunchContext, topics: Topics) -> ExecuteProcess:
    bag, rate, delay = (_value(context, name) for name in ("bag", "rate", "start_delay"))
    loop, clock = is_true(context, "loop"), is_true(context, "clock")
    player, has_ros2_bag = _value(context, "player"), _has_ros2_bag()
    if player == "ros2_bag" and not has_ros2_bag:
        raise ValueError("player is ros2_bag, which is not installed; use bag_player_node")
    if player == "ros2_bag" or (player == "auto" and has_ros2_bag):
        options = ["--rate", rate, "--delay", delay or _ROS2_BAG_DELAY]
        options += ["--disable-keyboard-controls"]
        options += ["--loop"] * loop + ["--clock", "40"] * clock
        return ExecuteProcess(cmd=["ros2", "bag", "play", bag, *options], output="screen")
    awaited = (topics.images, topics.focus, topics.depth)
    return Node(
        package="focdepth_ros",
        executable="bag_player_node",
        parameters=[
            {
                "bag": bag,
                "rate": _number(context, "rate"),
                "loop": loop,
                "clock": clock,
                "wait_for_subscribers": 1,
                "awaited": ",".join(name for name in awaited if name),
                "start_delay": float(delay or _DELAY),
            }
        ],
        ros_arguments=["--log-level", _value(context, "log_level")],
        output="screen",
    )


def _has_ros2_bag() -> bool:
    try:
        get_package_prefix("ros2bag")
    except PackageNotFoundError:
        return False
    return shutil.which("ros2") is not None


def _sweep_timeout(params_file: Path) -> float:
    """The parameter of depth_node, if the file sets it."""
    nodes = yaml.safe_load(params_file.read_text(encoding="utf-8")) or {}
    for node in nodes.values():
        parameters = node.get("ros__parameters", {})
        for found in (parameters.get("sweep.timeout"), parameters.get("sweep", {}).get("timeout")):
            if found is not None:
                return float(found)
    return SweepConfig().timeout


def _shutdown(reason: str) -> EmitEvent:
    return EmitEvent(event=Shutdown(reason=reason))


def _value(context: LaunchContext, name: str) -> str:
    return LaunchConfiguration(name).perform(context)


def _number(context: LaunchContext, name: str) -> float:
    text = _value(context, name)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if name == "rate" and not value > 0.0:
        raise ValueError(f"{name} is '{text}'; it must be a number above 0")
    return value
