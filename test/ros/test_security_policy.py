"""The SROS2 policy allows each node what it does, and nothing more."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from camera_calibration import CALIBRATION
from ros_harness import PATIENCE, Peer
from sensor_msgs.msg import Image
from small_sweep import small_sweep

from focdepth_ros.lens.lens_map import LensMap, write_lens_map
from focdepth_ros.libraries import BAG_LIBRARIES, missing_because
from focdepth_ros.ros.node_process import NodeProcess, ParameterValue

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "config" / "security" / "policy.xml"
# How the graph calls what the policy calls otherwise.
KINDS = {
    ("topics", "publish"): "publisher",
    ("topics", "subscribe"): "subscriber",
    ("services", "reply"): "service",
    ("services", "request"): "client",
}
SMALL: dict[str, ParameterValue] = {"width": 64, "height": 48, "slices": 3}
# All of a node is in its graph only with one or another of its parameters.
SIM_TIME: dict[str, ParameterValue] = {"use_sim_time": True}
VARIANTS: dict[str, list[dict[str, ParameterValue]]] = {
    "depth_node": [
        {},
        {"compressed": True, "focus.source": "diagnostics", **SIM_TIME},
        {
            "focus.source": "lens_position",
            "focus.position_type": "std_msgs/msg/Float32",
            "aif_only": True,
        },
    ],
    "sweep_node": [
        {"driver": "camera_ros", **SIM_TIME},
        *(
            {"driver": driver, "frames": frames, "lens_map": "lens.yaml"}
            for driver, frames in (
                ("v4l2_camera", "camera_info"),
                ("usb_cam", "image"),
                ("depthai", "compressed"),
            )
        ),
    ],
    "uvc_camera_node": [{"device": "/dev/video97", "camera_info_file": "camera.yaml", **SIM_TIME}],
    "sim_camera_node": [{**SMALL, **SIM_TIME}],
    "bag_player_node": [
        {"bag": "raw", "clock": True, "exit_at_end": False},
        {"bag": "jpeg", "exit_at_end": False, **SIM_TIME},
    ],
    "evaluator_node": [{"output": "out", **SIM_TIME}],
    "view_node": [{"save": "seen.rrd", **SIM_TIME}],
    "target_recorder": [
        {"output": "targets", **SIM_TIME},
        {"output": "targets", "compressed": True, "focus.source": "diagnostics"},
        {
            "output": "targets",
            "focus.source": "lens_position",
            "focus.position_type": "std_msgs/msg/Float32",
        },
    ],
}
# Those that would end at once as a test starts them.
MODULES = {"target_recorder": "waiting_recorder"}


@dataclass(frozen=True)
class Profile:
    """What a node may do: full names by the words of the graph."""

    node: str
    enclave: str
    allowed: Mapping[str, frozenset[str]]


def profiles() -> dict[str, Profile]:
    root = ElementTree.parse(POLICY).getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    found = {}
    for enclave in root.findall("enclaves/enclave"):
        for profile in enclave.findall("profiles/profile"):
            node, namespace = profile.attrib["node"], profile.attrib["ns"]
            allowed: dict[str, set[str]] = {kind: set() for kind in KINDS.values()}
            for rules in profile:
                for way, qualifier in rules.attrib.items():
                    assert qualifier == "ALLOW"  # all else is denied anyway
                    names = {full_name(rule.text, namespace, node) for rule in rules}
                    allowed[KINDS[rules.tag, way]] |= names
            frozen = {kind: frozenset(names) for kind, names in allowed.items()}
            found[node] = Profile(node, enclave.attrib["path"], frozen)
    return found


def full_name(name: str | None, namespace: str, node: str) -> str:
    assert name
    assert "*" not in name
    if name.startswith("~/"):
        return f"{namespace.rstrip('/')}/{node}/{name[2:]}"
    return name if name.startswith("/") else f"{namespace.rstrip('/')}/{name}"


def graph_of(peer: Peer, node: str, namespace: str) -> dict[str, set[str]]:
    """What a node that runs publishes, subscribes to, serves and calls, as without namespace."""
    return {
        kind: {
            f"/{name.removeprefix(f'{namespace}/').removeprefix('/')}"
            for name, _ in getattr(peer.node, f"get_{kind}_names_and_types_by_node")(
                node, namespace
            )
        }
        for kind in KINDS.values()
    }


def test_every_node_has_a_profile_in_an_enclave_of_its_own() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    nodes = set(re.findall(r'"(\w+)=focdepth_ros\.ros\.', text))
    assert profiles().keys() == nodes
    assert {item.enclave for item in profiles().values()} == {f"/focdepth_ros/{n}" for n in nodes}


@pytest.mark.parametrize("node", profiles())
def test_what_a_node_does_is_allowed_and_nothing_more(
    domain: int, peer: Peer, tmp_path: Path, node: str
) -> None:
    if node == "evaluator_node":
        pytest.importorskip("jinja2")
    if node == "view_node":
        pytest.importorskip("rerun")
    if node == "bag_player_node" and missing_because(BAG_LIBRARIES, "bags"):
        pytest.skip("no bags can be read here")
    allowed = {kind: set(names) for kind, names in profiles()[node].allowed.items()}
    if os.environ.get("ROS_DISTRO") == "humble":  # which has no such service
        allowed["service"].discard(f"/{node}/get_type_description")
    seen: dict[str, set[str]] = {kind: set() for kind in allowed}
    with ExitStack() as stack:
        # All variants at a time, each in a namespace of its own.
        variants = {f"/variant_{i}": items for i, items in enumerate(VARIANTS[node])}
        processes = [
            stack.enter_context(started(node, namespace, parameters, tmp_path / namespace[1:]))
            for namespace, parameters in variants.items()
        ]
        # The evaluator subscribes to the truth once there is one.
        for namespace in variants:
            peer.node.create_publisher(Image, f"{namespace}/ground_truth/depth", 1)
        nodes = {(node, namespace) for namespace in variants}
        peer.wait_for(lambda: nodes <= set(peer.node.get_node_names_and_namespaces()), node)

        def look() -> None:
            for namespace in variants:
                for kind, names in graph_of(peer, node, namespace).items():
                    seen[kind] |= names

        end = time.monotonic() + PATIENCE
        while seen != allowed and time.monotonic() < end:
            peer.spin(0.1)
            look()
        peer.spin(1.0)  # in which more would show
        look()
        for process in processes:
            assert process.exit_code is None, process.last_words()
    assert seen == allowed


def started(
    node: str, namespace: str, parameters: Mapping[str, ParameterValue], folder: Path
) -> NodeProcess:
    """A node with its parameters and the files that they name."""
    folder.mkdir()
    named = dict(parameters)
    for name in ("bag", "output", "save", "lens_map", "camera_info_file"):
        if name in named and not Path(str(named[name])).is_absolute():
            named[name] = str(folder / str(named[name]))
    if "bag" in named:
        record(Path(str(named["bag"])))
    if "lens_map" in named:
        write_lens_map(str(named["lens_map"]), LensMap((0.0, 255.0), (0.0, 5.0)))
    if "camera_info_file" in named:
        Path(str(named["camera_info_file"])).write_text(CALIBRATION, encoding="utf-8")
    remappings = {"__ns": namespace}
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return NodeProcess(
        MODULES.get(node, f"focdepth_ros.ros.{node}"),
        named,
        folder / "log",
        {**os.environ, "PYTHONPATH": path},
        remappings,
    )


def record(bag: Path) -> None:
    """A bag of a camera with ground truth; its name says what its images are."""
    from focdepth_ros.bags.writing import record_camera
    from focdepth_ros.simulation import SimulatedCamera

    simulated = small_sweep()
    camera = SimulatedCamera(simulated.stack, frame_rate=100.0)
    record_camera(bag, camera, sweeps=1, depth=simulated.depth, images=bag.name)
