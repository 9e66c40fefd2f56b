"""The reference says what the code says."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest
import yaml
from documents import DOCS, ROOT, names_of_parameters

NODES_WITH_FILES = [
    "bag_player_node", "depth_node", "evaluator_node", "sim_camera_node", "sweep_node",
    "uvc_camera_node",
]  # fmt: skip


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    sys.path.insert(0, str(DOCS))
    import make_reference

    return make_reference


@pytest.mark.parametrize(
    "name", ["command_line", "launch_files", "messages", "backends", "training"]
)
def test_pages_are_those_of_the_code(maker: ModuleType, name: str) -> None:
    stored = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert stored == getattr(maker, name)(), "run python3 docs/make_reference.py"


def test_choices_and_defaults_are_shown_as_they_are_typed(maker: ModuleType) -> None:
    shown = maker.command_line()
    assert "| `--psf` `disc\\|gaussian` | `disc` |" in shown
    assert "| `--breathing` `FLOAT` | `0.0` |" in shown
    assert re.findall(r"`[A-Z]\w*\.[A-Z]\w*`", shown) == []  # as Python shows a choice


def test_parameters_are_those_of_the_nodes(maker: ModuleType) -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    stored = (DOCS / "reference" / "parameters.md").read_text(encoding="utf-8")
    assert stored == maker.parameters(), "run python3 docs/make_reference.py"


@pytest.mark.parametrize("node", NODES_WITH_FILES)
def test_parameters_are_those_in_the_files(node: str) -> None:
    """The files are held against the nodes by the tests of their parameters."""
    content = yaml.safe_load((ROOT / "config" / f"{node}.yaml").read_text(encoding="utf-8"))
    (section,) = content.values()
    assert set(flat(section["ros__parameters"])) == names_of_parameters(node)


def flat(values: dict[str, object], prefix: str = "") -> list[str]:
    names = []
    for name, value in values.items():
        if isinstance(value, dict):
            names += flat(value, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def test_launch_arguments_are_those_that_the_launch_system_finds() -> None:
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    sys.path.insert(0, str(DOCS))
    import launch_arguments

    for path in launch_arguments.LAUNCH.glob("*.launch.py"):
        description = get_launch_description_from_python_launch_file(str(path))
        found = {argument.name for argument in description.get_launch_arguments()}
        assert found <= launch_arguments.all_names(path.name), path.name
