"""Every message that the page explains is one that the code can say."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from documents import DOCS, ROOT

#: What stands for something else in a quoted message, and where two texts are put together.
BETWEEN = re.compile(r"…|\b(?:[A-Z][A-Z0-9_]{2,}|[NM])\b|'?\bLensPosition\b'?|\b\d+\b|[:;] ")


def quoted_messages() -> list[str]:
    """Those in the first column of the tables, but for what ROS 2 itself says."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    text = text.split("\n## depth_node:")[1].split("\n## Messages of ROS 2 itself")[0]
    cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


@cache
def said() -> list[str]:
    """All texts in the code; what is filled in stands as a NUL."""
    texts = []
    for folder in ("focdepth_ros", "launch", "scripts"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [getattr(part, "value", None) for part in node.values]
                    texts.append("".join(p if isinstance(p, str) else "\0" for p in parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    for name in ("env.sh", "Makefile"):
        texts += (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [" ".join(text.split()) for text in texts]


def parts(message: str) -> list[str]:
    """What is always the same in a message."""
    found = (part.strip(" ;,:'()") for part in BETWEEN.split(message))
    return [part for part in found if len(part) > 2]


def is_said(part: str) -> bool:
    return any(part in text for text in said())


def test_messages_are_found() -> None:
    assert len(quoted_messages()) > 100
    message = "no images on TOPIC; start the camera driver, or remap image_raw"
    assert parts(message) == ["no images on", "start the camera driver, or remap image_raw"]


@pytest.mark.parametrize("message", quoted_messages())
def test_a_quoted_message_is_one_of_the_code(message: str) -> None:
    assert parts(message), f"'{message}' has no words of its own"
    assert [part for part in parts(message) if not is_said(part)] == []


def test_what_nobody_says_is_found_out() -> None:
    found = parts("no images on TOPIC; switch the camera on and off")
    assert [is_said(part) for part in found] == [True, False]
