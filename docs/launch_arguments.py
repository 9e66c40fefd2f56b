"""The arguments of a launch file, read from its source: there may be no launch system here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ROOT / "launch"
# What the launch files of the drivers have in common is in the package.
_SHARED = {"driver_launch_description": ROOT / "focdepth_ros" / "ros" / "driver_launch.py"}
# `use_sim_time` and others of an included file are passed on.
_INCLUDED = re.compile(r'"(\w+\.launch\.py)"')


@dataclass(frozen=True)
class LaunchArgument:
    """One argument: `default` as it is shown, None where it must be given."""

    name: str
    default: str | None
    description: str


def summary(file: str) -> str:
    """First sentence of the description of a launch file."""
    text = ast.get_docstring(ast.parse((LAUNCH / file).read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def included(file: str) -> list[str]:
    """Launch files that this one starts, whose arguments it takes, too."""
    return sorted({name for _, tree in _trees(file) for name in _files_named(tree)} - {file})


def arguments(file: str) -> list[LaunchArgument]:
    """The arguments that a launch file declares itself, in its order."""
    return [argument for path, tree in _trees(file) for argument in _declared(path, tree)]


def all_names(file: str) -> set[str]:
    """Names of all arguments that a launch file takes, with those of what it includes."""
    names = {argument.name for argument in arguments(file)}
    return names.union(*(all_names(other) for other in included(file)))


def _trees(file: str) -> list[tuple[Path, ast.Module]]:
    path = LAUNCH / file
    trees = [(path, ast.parse(path.read_text(encoding="utf-8")))]
    called = {node.func.id for node in ast.walk(trees[0][1])
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
    shared = [place for name, place in _SHARED.items() if name in called]
    return trees + [(place, ast.parse(place.read_text(encoding="utf-8"))) for place in shared]


def _files_named(tree: ast.Module) -> list[str]:
    docstring = ast.get_docstring(tree, clean=False)
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value != docstring
        and _INCLUDED.fullmatch(f'"{node.value}"')
    ]


def _declared(path: Path, tree: ast.Module) -> list[LaunchArgument]:
    """The calls of `DeclareLaunchArgument`, also those in a loop over a mapping."""
    values = dict(_assignments(tree))
    mappings = {name: value for name, value in values.items() if isinstance(value, ast.Dict)}
    texts = {name: value for name, value in values.items() if not isinstance(value, ast.Dict)}
    loops = {
        id(node.elt): node.generators[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.GeneratorExp | ast.ListComp)
    }
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and _name(node.func) == "DeclareLaunchArgument"):
            continue
        given = {item.arg: item.value for item in node.keywords}
        first = node.args[0]
        if isinstance(first, ast.Constant):
            default, description = given.get("default_value"), given["description"]
            found.append((node.lineno, first.value, default, description))
            continue
        loop = loops.get(id(node))
        table = mappings.get(_name(getattr(getattr(loop, "iter", None), "func", None)) or "")
        if table is None:
            raise ValueError(f"{path}:{node.lineno}: the name of this argument cannot be read")
        for key, value in zip(table.keys, table.values, strict=True):
            default, description = (
                value.elts if isinstance(value, ast.Tuple) else (value, given["description"])
            )
            found.append((node.lineno, _text(key, texts), default, description))
    found.sort(key=lambda item: item[0])
    return [
        LaunchArgument(name, _shown(default, texts), _text(description, texts))
        for _, name, default, description in found
    ]


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                names = [_name(item) or "" for item in target.elts]
                yield from zip(names, node.value.elts, strict=True)


def _name(node: ast.AST | None) -> str | None:
    """``a`` of the expressions ``a`` and ``a.items``."""
    if isinstance(node, ast.Attribute):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else None


def _text(node: ast.AST | None, texts: dict[str, ast.expr]) -> str:
    """A text of constants, with f-strings over other texts filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, texts) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, texts)
    if isinstance(node, ast.Name) and node.id in texts:
        return _text(texts[node.id], texts)
    if isinstance(node, ast.Attribute):  # of a driver: it differs from file to file
        return f"the driver's {node.attr}" if node.attr != "package" else "the driver"
    if node is None:
        return ""
    raise ValueError(f"no text: {ast.unparse(node)}")


def _shown(node: ast.AST | None, texts: dict[str, ast.expr]) -> str | None:
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return None
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.Name | ast.Attribute):
        return _text(node, texts)
    name = next(  # the path of a file of ours
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and str(item.value).endswith(".yaml")
    )
    return next(ROOT.glob(f"config/**/{name}")).relative_to(ROOT).as_posix()
