from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import rclpy
import yaml
from rcl_interfaces.msg import ParameterDescriptor, ParameterType
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from focdepth_ros.backends.registry import backend_config, backend_names
from focdepth_ros.errors import OptionError
from focdepth_ros.options import option
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.ros.parameters.bag_player import BagPlayerParameters
from focdepth_ros.ros.parameters.depth import ALIGNMENT_PREFIX, DepthNodeParameters
from focdepth_ros.ros.parameters.evaluator import EvaluatorParameters
from focdepth_ros.ros.parameters.focus import FOCUS_PREFIX, FocusParameters
from focdepth_ros.ros.parameters.sim_camera import SimCameraParameters
from focdepth_ros.ros.parameters.sweep import SweepNodeParameters
from focdepth_ros.ros.parameters.uvc_camera import UvcCameraParameters
from focdepth_ros.ros.parameters.view import ViewParameters
from focdepth_ros.ros.params import (
    changed_parameters,
    declare_parameters,
    parameter,
    parameter_infos,
)
from focdepth_ros.sweep_parts.config import SweepConfig

CONFIG = Path(__file__).parents[2] / "config"


@dataclass(frozen=True)
class Table:
    gain: float = parameter(1.5, "A gain.", minimum=0.0, maximum=10.0, live=True)
    count: int = parameter(3, "A count.", minimum=1, maximum=5)
    flag: bool = parameter(False, "A flag.")
    mode_name: str = parameter("a", "A mode.", name="mode.name", choices=("a", "b"))

    def __post_init__(self) -> None:
        if self.flag and self.mode_name == "b":
            raise OptionError("flag does not go with mode.name b")


@dataclass(frozen=True)
class Settings:
    sigma: float = option(1.0, "A width.", minimum=0.0, maximum=5.0)


NodeMaker = Callable[[dict[str, object]], Node]


@pytest.fixture
def node_with(domain: int) -> Iterator[NodeMaker]:
    """Makes nodes whose user has set some parameters."""
    context = Context()
    rclpy.init(context=context)
    nodes: list[Node] = []

    def make(values: dict[str, object]) -> Node:
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        nodes.append(Node("params", context=context, parameter_overrides=overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def test_defaults(node_with: NodeMaker) -> None:
    assert declare_parameters(node_with({}), Table) == Table()


def test_values_of_the_user(node_with: NodeMaker) -> None:
    values = {"gain": 2.5, "count": 5, "flag": True, "mode.name": "a"}
    assert declare_parameters(node_with(values), Table) == Table(2.5, 5, True, "a")


def test_whole_number_for_a_double(node_with: NodeMaker) -> None:
    node = node_with({"gain": 2})
    table = declare_parameters(node, Table)
    assert table.gain == 2.0
    assert isinstance(table.gain, float)
    assert node.set_parameters([Parameter("gain", value=3)])[0].successful


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gain", 10.5, r"parameter 'gain' is 10.5; it must be in [0, 10]"),
        ("gain", float("nan"), "parameter 'gain' is nan; it must be in [0, 10]"),
        ("gain", 11, "parameter 'gain' is 11.0; it must be in [0, 10]"),
        ("gain", "x", "parameter 'gain' is 'x'; it must be a number"),
        ("gain", True, "parameter 'gain' is True; it must be a number"),
        ("count", 0, "parameter 'count' is 0; it must be in [1, 5]"),
        ("count", 2.0, "parameter 'count' is 2.0; it must be a whole number"),
        ("flag", 1, "parameter 'flag' is 1; it must be true or false"),
        ("mode.name", "c", "parameter 'mode.name' is 'c'; it must be one of a, b"),
        ("mode.name", 1, "parameter 'mode.name' is 1; it must be a text"),
    ],
)
def test_wrong_values_are_named(
    node_with: NodeMaker, name: str, value: object, message: str
) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        declare_parameters(node_with({name: value}), Table)
    with pytest.raises(OptionError, match=re.escape(message)):
        changed_parameters(Table(), {name: value})


def test_values_that_do_not_go_together(node_with: NodeMaker) -> None:
    with pytest.raises(OptionError, match="flag does not go with"):
        declare_parameters(node_with({"flag": True, "mode.name": "b"}), Table)


def test_a_group_of_settings(node_with: NodeMaker) -> None:
    node = node_with({"group.sigma": 2})
    assert declare_parameters(node, Settings, "group.") == Settings(sigma=2.0)
    described = node.describe_parameter("group.sigma")
    assert (described.description, described.read_only) == ("A width.", True)
    with pytest.raises(
        OptionError, match=r"parameter 'group.sigma' is 9.0; it must be in \[0, 5\]"
    ):
        declare_parameters(node_with({"group.sigma": 9.0}), Settings, "group.")


def test_descriptors(node_with: NodeMaker) -> None:
    node = node_with({})
    declare_parameters(node, Table)
    gain, count, mode = (node.describe_parameter(name) for name in ("gain", "count", "mode.name"))
    assert (gain.type, gain.description) == (ParameterType.PARAMETER_DOUBLE, "A gain.")
    assert (gain.floating_point_range[0].from_value, gain.read_only) == (0.0, False)
    assert (count.type, count.integer_range[0].to_value) == (ParameterType.PARAMETER_INTEGER, 5)
    assert count.read_only
    assert mode.additional_constraints == "one of a, b"


def test_only_live_parameters_can_be_set(node_with: NodeMaker) -> None:
    node = node_with({})
    declare_parameters(node, Table)
    assert node.set_parameters([Parameter("gain", value=0.5)])[0].successful
    assert not node.set_parameters([Parameter("gain", value=10.5)])[0].successful
    refused = node.set_parameters([Parameter("count", value=4)])[0]
    assert not refused.successful
    assert "read-only" in refused.reason


def test_changes_leave_the_rest_alone() -> None:
    changed = changed_parameters(Table(count=2), {"mode.name": "b", "use_sim_time": True})
    assert changed == Table(count=2, mode_name="b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_range": 1.0, "min_range": 2.0}, "min_range must be smaller"),
        ({"lens.f_number": 1.4}, "set all three of them, or none"),
        ({"sweep.min_slices": 8, "sweep.max_slices": 4}, "sweep.max_slices is 4"),
        ({"sweep.split": "count", "sweep.count": 2}, "sweep.count is 2"),
    ],
)
def test_depth_node_values_that_do_not_go_together(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        changed_parameters(DepthNodeParameters(), changes)


def test_what_must_be_given() -> None:
    with pytest.raises(OptionError, match="parameter 'bag' is empty; give the folder of a bag"):
        BagPlayerParameters()
    assert BagPlayerParameters(bag="b", topics=" /a, /b ,").topic_names == ("/a", "/b")
    with pytest.raises(OptionError, match="parameter 'output' is empty; give a folder"):
        EvaluatorParameters(output="")
    with pytest.raises(OptionError, match="parameter 'depth_node' is empty"):
        EvaluatorParameters(depth_node="")
    assert [EvaluatorParameters(backend=b).asked_backend for b in ("auto", "argmax")] == [
        "",
        "argmax",
    ]


def test_depth_node_sweeps_as_the_assembler_by_default() -> None:
    assert DepthNodeParameters().sweep == SweepConfig()


def documented(text: str) -> dict[str, str]:
    """The comment above each parameter of a YAML file, by the parameter's full name."""
    comments: dict[str, str] = {}
    lines: list[str] = []
    group = ""
    for line in text.split("ros__parameters:")[1].splitlines():
        comment = re.fullmatch(r" +# (.*)", line)
        entry = re.fullmatch(r"( +)(\w+):(.*)", line)
        if comment:
            lines.append(comment[1])
        elif entry and not entry[3]:
            group = f"{entry[2]}."
        elif entry:
            name = entry[2] if len(entry[1]) == 4 else group + entry[2]
            comments[name] = " ".join(lines)
            lines = []
    return comments


def flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            values.update(flat(value, f"{prefix}{name}."))
        else:
            values[prefix + name] = value
    return values


DEPTH_NODE_TABLES = {
    "": DepthNodeParameters,
    FOCUS_PREFIX: FocusParameters,
    ALIGNMENT_PREFIX: AlignmentConfig,
    **{f"{name}.": backend_config(name) for name in backend_names()},
}


FILES = [
    ("depth_node.yaml", DEPTH_NODE_TABLES),
    ("sim_camera_node.yaml", {"": SimCameraParameters}),
    ("sweep_node.yaml", {"": SweepNodeParameters}),
    ("uvc_camera_node.yaml", {"": UvcCameraParameters}),
    ("bag_player_node.yaml", {"": BagPlayerParameters}),
    ("evaluator_node.yaml", {"": EvaluatorParameters}),
    ("view_node.yaml", {"": ViewParameters}),
]


@pytest.mark.parametrize(("file", "tables"), FILES)
def test_configuration_file_says_what_the_code_says(file: str, tables: dict[str, type]) -> None:
    text = (CONFIG / file).read_text(encoding="utf-8")
    infos = [info for prefix in tables for info in parameter_infos(tables[prefix], prefix)]
    values = flat(yaml.safe_load(text)["/**"]["ros__parameters"])
    assert list(values.items()) == [(info.name, info.option.default) for info in infos]
    assert [type(value) for value in values.values()] == [
        type(info.option.default) for info in infos
    ]
    expected = {}
    for info in infos:
        choices = f" One of {', '.join(info.option.choices)}." if info.option.choices else ""
        live = " (live)" if info.live else ""
        expected[info.name] = f"{info.option.description}{choices}{live}"
    assert documented(text) == expected


@pytest.mark.parametrize(("file", "tables"), FILES)
def test_configuration_file_is_read_by_ros_as_it_is_meant(
    file: str, tables: dict[str, type]
) -> None:
    """Its reader is not that of Python: a text that looks like a number has to be quoted there."""
    context = Context()
    rclpy.init(context=context)
    try:
        arguments = ["--ros-args", "--params-file", str(CONFIG / file)]
        node = Node("params", context=context, cli_args=arguments)
        for info in (info for at in tables for info in parameter_infos(tables[at], at)):
            anything = ParameterDescriptor(dynamic_typing=True)
            read = node.declare_parameter(info.name, descriptor=anything)
            assert info.checked(read.value) == info.option.default
        node.destroy_node()
    finally:
        context.try_shutdown()
