"""What is said where a library of an extra is missing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from focdepth_ros import libraries
from focdepth_ros.libraries import how_to_install, missing_because

SOURCES = Path(libraries.__file__).resolve().parents[1]


def extras_in_the_code() -> set[str]:
    """Those that the code tells users to install."""
    calls = (
        node
        for path in SOURCES.glob("focdepth_ros/**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    named = {"missing_because", "how_to_install"}
    last = [call.args[-1] for call in calls if call.func.id in named and call.args]  # type: ignore[attr-defined]
    return {argument.value for argument in last if isinstance(argument, ast.Constant)}


def test_what_is_missing_is_named() -> None:
    assert missing_because(("re", "numpy"), "torch") is None
    assert str(missing_because(("re", "no_such"), "torch")).startswith("no_such is not installed; ")
    both = str(missing_because(("no_such", "nor_this"), "torch"))
    assert both.startswith("no_such, nor_this are not installed; pip install ")


@pytest.mark.skipif(not (SOURCES / "requirements").is_dir(), reason="installed without sources")
def test_in_a_checkout_the_command_names_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = extras_in_the_code()
    assert extras >= {"torch", "training", "web", "view", "bags"}
    for extra in extras:
        monkeypatch.chdir(SOURCES)
        assert how_to_install(extra) == f"pip install -r requirements/{extra}.txt"
        monkeypatch.chdir(tmp_path)
        assert how_to_install(extra) == f"pip install -r {SOURCES}/requirements/{extra}.txt"


def test_without_sources_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "__file__", "/site-packages/focdepth_ros/libraries.py")
    assert how_to_install("web") == "pip install 'focdepth_ros[web]'"
