"""Writes the pages of docs/reference/ from the code: `python3 docs/make_reference.py`.

They are stored, so that they can be read without building anything; a test makes them anew and
compares. Parameters of nodes and messages need the ROS 2 environment of ``make setup``.
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import command_options  # noqa: E402
import launch_arguments  # noqa: E402

from focdepth_ros.backends.registry import _backend_class, backend_names  # noqa: E402
from focdepth_ros.cli import _app  # noqa: E402
from focdepth_ros.options import OptionInfo, option_infos  # noqa: E402
from focdepth_ros.registration.config import AlignmentConfig  # noqa: E402

_KINDS = {bool: "bool", int: "int", float: "double", str: "string"}
_MADE = "<!-- Made from the code by docs/make_reference.py; do not edit. -->"


def main() -> int:
    """Write all pages, and say which have changed."""
    for name, text in pages().items():
        path = REFERENCE / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return 0


def pages() -> dict[str, str]:
    """All pages by the names of their files."""
    return {
        "command_line.md": command_line(),
        "parameters.md": parameters(),
        "launch_files.md": launch_files(),
        "messages.md": messages(),
        "backends.md": backends(),
        "training.md": training(),
    }


def command_line() -> str:
    """Every subcommand with its arguments and options."""
    parts = [
        "All commands print `--help`. The exit status is 0; 1 where something was left out or "
        "found wrong, which is then named; 2 where nothing could be done, after one line that says "
        "why; 130 after Ctrl-C."
    ]
    for command in command_options.commands(_app):
        parts += [f"## focdepth {command.name}", _prose(command.help)]
        parts.append(f"```text\n{command.usage}\n```")
        parts.append(_table(("option", "default", ""), map(_option_row, command.options)))
    return _page("Command line", parts)


def parameters() -> str:
    """The parameters of every node."""
    from focdepth_ros.backends.registry import backend_config
    from focdepth_ros.ros.parameters.bag_player import BagPlayerParameters
    from focdepth_ros.ros.parameters.depth import ALIGNMENT_PREFIX, DepthNodeParameters
    from focdepth_ros.ros.parameters.evaluator import EvaluatorParameters
    from focdepth_ros.ros.parameters.focus import FOCUS_PREFIX, FocusParameters
    from focdepth_ros.ros.parameters.sim_camera import SimCameraParameters
    from focdepth_ros.ros.parameters.sweep import SweepNodeParameters
    from focdepth_ros.ros.parameters.uvc_camera import UvcCameraParameters
    from focdepth_ros.ros.params import parameter_infos
    from focdepth_ros.ros.target_recorder import TargetRecorderParameters

    focus = (FocusParameters, FOCUS_PREFIX)
    nodes: dict[str, Sequence[tuple[type, str]]] = {
        "depth_node": (
            (DepthNodeParameters, ""),
            focus,
            (AlignmentConfig, ALIGNMENT_PREFIX),
            *((backend_config(name), f"{name}.") for name in backend_names()),
        ),
        "sweep_node": ((SweepNodeParameters, ""),),
        "uvc_camera_node": ((UvcCameraParameters, ""),),
        "sim_camera_node": ((SimCameraParameters, ""),),
        "bag_player_node": ((BagPlayerParameters, ""),),
        "evaluator_node": ((EvaluatorParameters, ""),),
        "target_recorder": ((TargetRecorderParameters, ""), focus),
    }
    parts = [
        "In the parameter file of a node, or `--ros-args -p NAME:=VALUE`. Those marked *live* may "
        "be changed while the node runs, by `ros2 param set`; all others are read at the start, "
        "and setting them is refused. What each node does: [Nodes](../nodes.md)."
    ]
    for node, tables in nodes.items():
        parts.append(f"## {node}")
        for table, prefix in tables:
            if prefix:
                parts.append(f"### {node}: {prefix}\\*")
            infos = parameter_infos(table, prefix)
            rows = (_setting_row(info.option, info.name, live=info.live) for info in infos)
            parts.append(_table(("parameter", "type", "default", "allowed", ""), rows))
    return _page("Parameters of the nodes", parts)


def launch_files() -> str:
    """The launch files and their arguments."""
    parts = ["`ros2 launch focdepth_ros FILE NAME:=VALUE …`; `--show-args` lists them, too."]
    for path in sorted(launch_arguments.LAUNCH.glob("*.launch.py")):
        parts += [f"## {path.name}", launch_arguments.summary(path.name)]
        others = launch_arguments.included(path.name)
        if others:
            links = " and ".join(f"[{name}](#{name.replace('.', '')})" for name in others)
            parts.append(f"Takes the arguments of {links}, too.")
        rows = (
            (_code(item.name), "*needed*" if item.default is None else _code(item.default),
             _prose(item.description))
            for item in launch_arguments.arguments(path.name)
        )  # fmt: skip
        parts.append(_table(("argument", "default", ""), rows))
    return _page("Launch files", parts)


def messages() -> str:
    """The messages of this package, as they are defined."""
    parts = ["Which node publishes and subscribes to what: [Nodes](../nodes.md)."]
    for path in sorted((ROOT / "msg").glob("*.msg")):
        parts += [
            f"## focdepth_ros/{path.stem}",
            f"```text\n{path.read_text(encoding='utf-8').strip()}\n```",
        ]
    return _page("Messages", parts)


def backends() -> str:
    """What every backend can be told."""
    parts = [
        "`focdepth estimate --backend NAME --option KEY=VALUE`; `create_backend(NAME, KEY=VALUE)` "
        "in Python; the parameters `NAME.KEY` of depth_node. `focdepth backends NAME` prints them. "
        "Alignment comes before any backend: `--align METHOD`, `--align-option KEY=VALUE`, "
        "`AlignmentConfig(KEY=VALUE)`, `alignment.KEY`."
    ]
    configs = [(name, _backend_class(name).summary, _backend_class(name).config_class)
               for name in backend_names()]  # fmt: skip
    for name, text, config in [*configs, ("alignment", "the slices on one grid", AlignmentConfig)]:
        rows = (_setting_row(info, info.name) for info in option_infos(config))
        parts += [f"## {name}", f"{text[0].upper()}{text[1:]}."]
        parts.append(_table(("setting", "type", "default", "allowed", ""), rows))
    return _page("Settings of the backends", parts)


def training() -> str:
    """The sections of a training file."""
    from focdepth_ros.training.config import TrainingConfig

    kinds = ROOT / "focdepth_ros" / "training" / "sources" / "kinds.py"  # which loads torch
    told = ast.get_docstring(ast.parse(kinds.read_text(encoding="utf-8"))) or ""

    parts = [
        "The files of [`focdepth train`](../training.md): one mapping per section, what is left "
        "out has its default; `--set SECTION.KEY=VALUE` changes one.",
        "`data.sources` and `validation.sources` are lists of `kind`, `weight` and `options`:",
        next(part for part in told.split("\n\n") if part.startswith("|")),
    ]
    for section in fields(TrainingConfig):
        kind = type(section.default)
        parts += [f"## {section.name}", _first_sentence(kind.__doc__)]
        rows = (_setting_row(info, info.name) for info in option_infos(kind))
        parts.append(_table(("key", "type", "default", "allowed", ""), rows))
    return _page("Training files", parts)


def _option_row(item: command_options.CommandOption) -> Sequence[str]:
    names = ", ".join(map(_code, item.names)) + (f" {_code(item.metavar)}" if item.metavar else "")
    text = _prose(item.help)
    if item.repeated and "repeated" not in text:
        text += " May be repeated."
    return names, "*needed*" if item.default is None else item.default, text


def _setting_row(info: OptionInfo, name: str, *, live: bool = False) -> Sequence[str]:
    default = _code(_value(info.default)) if info.default != "" else ""
    text = _prose(info.description) + (" *live*" if live else "")
    return _code(name), _KINDS[type(info.default)], default, _allowed(info), text


def _allowed(info: OptionInfo) -> str:
    if info.choices:
        return ", ".join(map(_code, info.choices))
    low, high = math.isfinite(info.minimum), math.isfinite(info.maximum)
    if low and high:
        return f"{info.minimum:g} to {info.maximum:g}"
    return f"≥ {info.minimum:g}" if low else f"≤ {info.maximum:g}" if high else ""


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ".inf" if value == math.inf else str(value)


def _code(text: object) -> str:
    return f"`{text}`" if text != "" else ""


def _prose(text: str) -> str:
    """Help texts have ends of lines and, between paragraphs, empty ones."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(part.split()) for part in paragraphs)


def _first_sentence(docstring: str | None) -> str:
    return _prose((docstring or "").split("\n\n")[0])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(row) for row in rows]
    if not lines:
        return ""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*head], ["---"] * len(head), *cells))


def _page(title: str, parts: Sequence[str]) -> str:
    return "\n\n".join([_MADE, f"# {title}", *(part for part in parts if part)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
