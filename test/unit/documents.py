"""The pages of the documentation and what stands in them, for the tests that try it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: All pages, those beside the code included.
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "focdepth_ros/**/*.md")
    for path in ROOT.glob(pattern)
    if "site" not in path.relative_to(ROOT).parts
)
README = ROOT / "README.md"

_BLOCK = re.compile(
    r"(?:^[ ]*<!--(?P<mark>[^\n]*)-->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)\n(?P<text>.*?)^[ ]*```$",
    re.MULTILINE | re.DOTALL,
)
_SHELL_WORDS = ("do", "then", "else")


@dataclass(frozen=True)
class Block:
    """A block of code in a page.

    `mark` is what a comment on the line before says of it: ``compiled only: REASON``, or
    ``needs: LIBRARY``.
    """

    page: Path
    line: int
    language: str
    text: str
    mark: str

    @property
    def where(self) -> str:
        """For messages: page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a language in a page, in its order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        if match["language"] == language:
            lines = [line.removeprefix(match["indent"]) for line in match["text"].splitlines()]
            line = text[: match.start()].count("\n") + 1
            mark = (match["mark"] or "").strip()
            found.append(Block(page, line, language, "\n".join(lines), mark))
    return found


def without_blocks(text: str) -> str:
    """A page without its blocks of code."""
    return _BLOCK.sub("", text)


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block of shell, each as its words; variables of a loop are numbers."""
    text = re.sub(r"\$(?:seed|node)\b", "7", block.text)
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.replace("$(", "$\\("), posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set(";&|"):
                words = [item for item in words if item not in _SHELL_WORDS]
                if words and words[0] not in ("for", "done"):
                    yield words
                words = []
            else:
                words.append(word)


def names_of_parameters(node: str) -> set[str]:
    """Parameters of a node, from the reference, which another test holds against the code."""
    text = (DOCS / "reference" / "parameters.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {node}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))
