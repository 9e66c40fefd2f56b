from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import focdepth_ros

PACKAGE = Path(focdepth_ros.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.parametrize("name", focdepth_ros.__all__)
def test_gives_what_it_promises(name: str) -> None:
    value = getattr(focdepth_ros, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)


def test_promises_what_the_documentation_says() -> None:
    (table,) = re.findall(r"\| name \| is \|\n(.*?)\n\n", PAGE.read_text("utf-8"), re.DOTALL)
    named = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines()]
    assert sorted(chain.from_iterable(named)) == sorted(focdepth_ros.__all__)


def test_says_what_it_has_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'load_stacks'"):
        _ = focdepth_ros.load_stacks  # type: ignore[attr-defined]


def test_alone_imports_nothing_heavy() -> None:
    code = "import sys, focdepth_ros; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_methods_without_docstring_override_one_that_has_it() -> None:
    """What ruff cannot see; of other public names it asks for a docstring itself."""
    bases: dict[str, set[str]] = {}
    described: set[tuple[str, str]] = set()
    bare: list[tuple[str, str]] = []
    for path in PACKAGE.rglob("*.py"):
        for kind in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(kind, ast.ClassDef):
                continue
            bases[kind.name] = {ast.unparse(base) for base in kind.bases}
            for item in kind.body:
                if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
                    place = (kind.name, item.name)
                    described.add(place) if ast.get_docstring(item) else bare.append(place)

    def is_described(kind: str, name: str) -> bool:
        above = bases.get(kind, set())
        return (kind, name) in described or any(is_described(base, name) for base in above)

    assert len(bare) > 20
    public = [place for place in bare if not place[0].startswith("_")]
    assert [place for place in public if not is_described(*place)] == []
