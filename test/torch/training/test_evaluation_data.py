"""Names of folders that nothing is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from focdepth_ros.errors import OptionError
from focdepth_ros.training.evaluation_data import refuse_evaluation_data


@pytest.mark.parametrize(
    "name",
    ["7scenes", "7-Scenes", "seven_scenes", "my 7 scenes", "Middlebury2014", "middle-bury",
     "Redwood", "icl_livingroom1", "ICL-NUIM"],
)  # fmt: skip
def test_sets_of_the_evaluation_are_refused_however_they_are_written(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(OptionError, match="kept for evaluation") as caught:
        refuse_evaluation_data(tmp_path / name / "rgb")
    assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize("name", ["bicycles", "vehicles", "scenes", "17 cities", "wood", "icloud"])
def test_other_names_pass(tmp_path: Path, name: str) -> None:
    refuse_evaluation_data(tmp_path / name)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "redwood").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "redwood")
    with pytest.raises(OptionError, match="kept for evaluation"):
        refuse_evaluation_data(tmp_path / "mine")
