"""Every dataset of the registry: its facts, and what it says where nothing of it is there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.datasets import registry
from focdepth_ros.datasets.base import Dataset
from focdepth_ros.datasets.registry import dataset_class, dataset_names, open_dataset
from focdepth_ros.errors import DatasetError
from focdepth_ros.files.image_io import write_image

NAMES = dataset_names()
PAGE = Path(__file__).parents[3] / "docs/datasets.md"
FACTS = ("name", "title", "homepage", "licence", "layout", "measured")


def test_there_are_seventeen() -> None:
    assert len(set(NAMES)) == len(NAMES) == 17


@pytest.mark.parametrize("name", NAMES)
class TestEveryDataset:
    def test_has_its_facts(self, name: str) -> None:
        found = dataset_class(name)
        assert issubclass(found, Dataset)
        assert not getattr(found, "__abstractmethods__", None)
        assert found.name == name
        for fact in FACTS:
            text = getattr(found, fact)
            assert text.strip(), fact
            assert "\n" not in text or fact == "layout"
        assert all(line.strip() for line in found.layout.split("\n"))
        assert found.homepage.startswith("http") or name in ("stack_folders", "bag")
        assert found.splits
        assert len(set(found.splits)) == len(found.splits)
        assert found.__doc__

    def test_says_where_to_get_it_if_its_folder_is_missing(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(DatasetError) as caught:
            open_dataset(name, tmp_path / "absent")
        message = str(caught.value)
        assert f"{tmp_path}/absent: no such file or folder" in message
        assert dataset_class(name).homepage in message

    def test_says_what_it_looked_for_in_a_folder_of_other_things(
        self, name: str, tmp_path: Path
    ) -> None:
        (tmp_path / "inner").mkdir()
        (tmp_path / "notes.txt").write_text("nothing of a dataset")
        for split in dataset_class(name).splits:
            with pytest.raises(DatasetError) as caught:
                open_dataset(name, tmp_path, split)
            message = str(caught.value)
            assert str(tmp_path) in message
            reasons = ("looked for", "no such file", "not installed")
            assert any(reason in message for reason in reasons)

    def test_names_its_splits_where_one_is_wrong(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=f"'{name}' has no split 'nightly'; choose one of"):
            open_dataset(name, tmp_path, "nightly")


def test_the_page_on_datasets_tells_the_facts() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    for name in NAMES:
        found = dataset_class(name)
        (row,) = (row for row in rows if f"`{name}`" in row.split("|")[1])
        link = found.homepage.split()[0]
        assert not link.startswith("http") or f"({link})" in row
        in_order = " ".join(f"`{split}`" for split in found.splits)
        assert in_order in row


def test_opens_a_dataset_by_its_name(tmp_path: Path) -> None:
    for number in range(2):
        write_image(tmp_path / f"{number}.png", np.full((3, 4), number, np.uint8))
    (sample,) = open_dataset("stack_folders", tmp_path)
    assert len(sample.stack) == 2


def test_names_those_there_are(tmp_path: Path) -> None:
    words = "there is no dataset 'nyu'; choose one of ddff12, fod500"
    with pytest.raises(DatasetError, match=words):
        open_dataset("nyu", tmp_path)


def test_what_an_extra_brings_is_imported_only_to_read_with_it() -> None:
    files = sorted(Path(registry.__file__).parent.glob("*.py"))
    assert len(files) > len(NAMES)
    for path in files:
        early = re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.MULTILINE)
        assert not {"h5py", "scipy"} & set(early), path


def test_the_registry_imports_no_dataset() -> None:
    text = Path(registry.__file__).read_text()
    assert re.findall(r"from focdepth_ros\.datasets\.(\w+)", text) == ["base"]
