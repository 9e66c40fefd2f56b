"""The tutorials run as they are, and are stored without what they print."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PNG = b"\x89PNG"


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_notebooks() -> None:
    assert "depth_from_defocus.ipynb" in {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    assert path.stat().st_size < 50_000
    for cell in code_cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_and_shows_a_picture_where_it_ends_with_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    names: dict[str, Any] = {"__name__": "__main__"}
    pictures = 0
    for number, cell in enumerate(code_cells(path), start=1):
        body = ast.parse("".join(cell["source"])).body
        where = f"{path.name}, code cell {number}"
        last = body[-1]
        if not isinstance(last, ast.Expr):
            exec(compile(ast.Module(body, []), where, "exec"), names)
        else:
            exec(compile(ast.Module(body[:-1], []), where, "exec"), names)
            shown = eval(compile(ast.Expression(last.value), where, "eval"), names)
            if hasattr(shown, "_repr_png_"):
                assert shown._repr_png_().startswith(PNG)
                pictures += 1
    assert pictures >= 3
    if path.stem == "depth_from_defocus":
        errors = {
            name: names["relative_error"](estimate.depth)
            for name, estimate in names["estimates"].items()
        }
        assert errors["defocus"] < errors["graph_cut"]
        assert names["steps"] == sorted(names["steps"], reverse=True)
