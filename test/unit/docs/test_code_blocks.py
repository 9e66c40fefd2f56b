"""Code in the documentation: Python runs, YAML is accepted by what reads it.

A comment on the line before a block says of it ``compiled only: REASON``, where it needs what no
test has (data, a GPU), or ``needs: LIBRARY``, without which it is compiled only.
"""

from __future__ import annotations

import ast
import importlib
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from cli_runs import run
from documents import PAGES, ROOT, Block, blocks, names_of_parameters

from focdepth_ros.defocus.settings import load_settings
from focdepth_ros.lens.driver_table import read_driver_table
from focdepth_ros.lens.lens_map import read_lens_map
from focdepth_ros.stack_folder.reading import StackFolder
from focdepth_ros.training.config import load_training_config

PAGES_WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
YAML_BLOCKS = [block for page in PAGES for block in blocks(page, "yaml")]


@pytest.fixture
def workplace(stack_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples find what they speak of: a stack, and photographs with depth."""
    stack_dir.rename(tmp_path / "my_stack")
    rng = np.random.default_rng(3)
    for name in ("rgb", "depth"):
        (tmp_path / "garden" / name).mkdir(parents=True)
    photo = cv2.GaussianBlur(rng.integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 0.7)
    depth = np.repeat(np.linspace(800, 2500, 48).astype(np.uint16)[:, None], 64, axis=1)
    cv2.imwrite(str(tmp_path / "garden/rgb/roses.png"), photo)
    cv2.imwrite(str(tmp_path / "garden/depth/roses.png"), depth)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_compiled_only(block: Block) -> bool:
    kind, _, what = block.mark.partition(":")
    assert kind in ("", "compiled only", "needs"), f"{block.where}: unknown mark '{block.mark}'"
    assert not kind or what.strip(), f"{block.where}: say why, or what it needs"
    return kind == "compiled only" or (kind == "needs" and find_spec(what.strip()) is None)


@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=lambda page: page.stem)
def test_python_runs(page: Path, workplace: Path) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    for block in blocks(page, "python"):
        code = compile(block.text, block.where, "exec", dont_inherit=True)
        if not is_compiled_only(block):
            exec(code, names)
            continue
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("focdepth_ros"):
                if block.mark.startswith("needs"):
                    continue
                module = importlib.import_module(str(node.module))
                assert [item.name for item in node.names if not hasattr(module, item.name)] == []


def test_few_examples_are_compiled_only() -> None:
    found = [block for page in PAGES for block in blocks(page, "python")]
    assert len(found) >= 8
    assert sum(block.mark.startswith("compiled only") for block in found) <= 2


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=lambda block: block.where)
def test_yaml_is_accepted(block: Block, tmp_path: Path) -> None:
    content = yaml.safe_load(block.text)
    path = tmp_path / "file.yaml"
    path.write_text(block.text, encoding="utf-8")
    if "/**" in content:
        given = set(flat(content["/**"]["ros__parameters"]))
        assert given <= names_of_parameters("depth_node")
    elif "focus_distances" in content:
        folder = stack_folder(tmp_path / "stack", block.text, content)
        assert len(folder.load()) == len(content["focus_distances"])
    elif "positions" in content:
        assert read_lens_map(path).positions == tuple(content["positions"])
    elif "focus" in content:
        assert read_driver_table(str(path), ROOT / "config/drivers").node == content["node"]
    elif "options" in content:
        assert load_settings(str(path)).lens is not None
    else:
        load_training_config(path)  # an unknown key is an error


def stack_folder(folder: Path, text: str, content: dict[str, Any]) -> StackFolder:
    """The folder that a stack.yaml speaks of."""
    folder.mkdir()
    (folder / "stack.yaml").write_text(text, encoding="utf-8")
    camera = content.get("intrinsics", {"width": 64, "height": 48})
    shape = (camera["height"], camera["width"], 3)
    count = len(content["focus_distances"])
    for name in content.get("images", [f"{number}.png" for number in range(count)]):
        cv2.imwrite(str(folder / name), np.zeros(shape, np.uint8))
    if "all_in_focus" in content:
        shutil.copy(folder / content["images"][0], folder / content["all_in_focus"])
    if "depth" in content:
        np.save(folder / content["depth"], np.ones(shape[:2], np.float32))
    return StackFolder.open(folder)


def flat(values: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name, value in values.items():
        names += flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return names


def test_a_documented_backend_is_had_by_name(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What docs/extending.md promises of a file and a line in the registry."""
    first = blocks(ROOT / "docs" / "extending.md", "python")[0]
    (line,) = blocks(ROOT / "docs" / "extending.md", "text")
    ((name, place),) = ast.literal_eval("{" + line.text + "}").items()
    (workplace / "contrast_example.py").write_text(first.text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(workplace))
    registered = place.replace("focdepth_ros.backends.contrast", "contrast_example")
    monkeypatch.setitem(importlib.import_module("focdepth_ros.backends.registry")._BACKENDS, name,
                        registered)  # fmt: skip
    command = ["estimate", "my_stack", "--output", "out", "--backend", name, "--option"]
    assert run(*command, "window=9", "--min-confidence", "0") == 0
    depth = np.load("out/depth.npy")
    assert np.isfinite(depth).all()
    truth = np.load("my_stack/depth.npy")
    assert np.corrcoef(1 / depth.ravel(), 1 / truth.ravel())[0, 1] > 0.5
    assert run(*command, "window=1") == 2
    assert "contrast option 'window' is 1; it must be in [3, 99]" in capsys.readouterr().err
