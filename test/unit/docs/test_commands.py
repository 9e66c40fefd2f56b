"""Commands in the documentation: each is one that there is, with options that it has."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import DOCS, PAGES, ROOT, Block, blocks, commands, names_of_parameters

from focdepth_ros.cli import _app

sys.path.insert(0, str(DOCS))
import launch_arguments

BLOCKS = [block for page in PAGES for block in blocks(page, "bash")]
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
EXECUTABLES = set(re.findall(r'^  "(\w+)=focdepth_ros', CMAKE, re.MULTILINE))
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
EXTRAS = set(re.findall(r"^(\w+) = \{ file = ", PYPROJECT, re.MULTILINE))
#: Programs of others, whose options are their own affair.
FOREIGN = {"cd", "colcon", "dask", "export", "rosdep", "source", "tensorboard", "v4l2-ctl"}
FOREIGN_VERBS = {"run", "bag", "topic", "pkg", "service", "security"}  # of ros2


def disarmed(command: Any) -> Any:
    """A command whose subcommands read their arguments and do nothing."""
    command.callback = lambda **_: None
    for inner in getattr(command, "commands", {}).values():
        disarmed(inner)
    return command


FOCDEPTH = disarmed(typer.main.get_command(_app))


def parse(words: list[str]) -> None:
    FOCDEPTH.main(words, "focdepth", standalone_mode=False)


def check_make(words: list[str]) -> None:
    target, *variables = words
    assert target in MAKE_TARGETS
    assert [item for item in variables if not re.match(r"(ARGS|PYTHON)=", item)] == []


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    for file in re.findall(r"-r (\S+)", " ".join(words)):
        assert (ROOT / file).is_file(), file
    for extras in re.findall(r"(?:focdepth_ros|\.)\[([^\]]*)\]", " ".join(words)):
        assert set(extras.split(",")) <= EXTRAS


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert find_spec(words[1]) is not None, words[1]
        check_ros_arguments(words[1].rpartition(".")[2], words[2:])
        return
    assert (ROOT / words[0]).is_file(), words[0]
    text = (ROOT / words[0]).read_text(encoding="utf-8")
    given = [word.partition("=")[0] for word in words[1:] if word.startswith("--")]
    assert [option for option in given if option.removeprefix("--").replace("-", "_")
            not in text.replace("-", "_")] == []  # fmt: skip


def check_ros2(words: list[str]) -> None:
    verb = words[0]
    if verb == "launch":
        package, file, *given = words[1:]
        assert package == "focdepth_ros"
        assert (ROOT / "launch" / file).is_file(), file
        names = {item.partition(":=")[0] for item in given}
        assert names <= launch_arguments.all_names(file)
    elif verb == "run" and words[1] == "focdepth_ros":
        assert words[2] in EXECUTABLES
        check_ros_arguments(words[2], words[3:])
    elif verb == "param":
        assert words[3] in names_of_parameters(words[2].strip("/"))
    else:
        assert verb in FOREIGN_VERBS


def check_ros_arguments(node: str, words: list[str]) -> None:
    given = [words[i + 1].partition(":=")[0] for i, word in enumerate(words) if word == "-p"]
    if given:
        assert set(given) <= names_of_parameters(node)
    files = [words[i + 1] for i, word in enumerate(words) if word == "--params-file"]
    assert [file for file in files if not (ROOT / file).is_file()] == []


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "focdepth": parse,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    "ros2": check_ros2,
}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_commands_are_such_as_there_are(block: Block) -> None:
    found = list(commands(block))
    assert found
    for words in found:
        program, *rest = words
        if program in FOREIGN:
            continue
        assert program in CHECKS, f"{block.where}: '{' '.join(words)}' is checked by nothing"
        try:
            CHECKS[program](rest)
        except Exception as error:
            raise AssertionError(f"{block.where}: '{' '.join(words)}': {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_in_the_text_exists(page: Path) -> None:
    quoted = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    known = set(FOCDEPTH.commands)
    for text in quoted:
        words = [*text.split(), ""]
        if words[0] == "focdepth" and words[1].isidentifier():
            assert words[1] in known, text
        if words[0] == "make" and len(words) == 3:
            assert words[1] in MAKE_TARGETS or words[1].isupper(), text
        for file in re.findall(r"\b\w+\.launch\.py\b", text):
            assert (ROOT / "launch" / file).is_file(), text


@pytest.mark.parametrize(
    "line",
    [
        "focdepth estimate my_stack --no-such-option",
        "focdepth no_such_command",
        "make no-such-target",
        "pip install 'focdepth_ros[no_such_extra]'",
        "ros2 launch focdepth_ros depth.launch.py no_such_argument:=1",
        "ros2 run focdepth_ros depth_node --ros-args -p no_such_parameter:=1",
        "python benchmarks/no_such_file.py",
    ],
)
def test_what_does_not_exist_is_found_out(line: str) -> None:
    ((program, *rest),) = commands(Block(ROOT / "x.md", 1, "bash", line, ""))
    with pytest.raises(Exception, match=r"."):
        CHECKS[program](rest)
