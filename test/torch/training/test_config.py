"""Reading training configurations, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from focdepth_ros.errors import FocdepthError, TrainingConfigError
from focdepth_ros.training.config import TrainingConfig, load_training_config

SHIPPED = sorted((Path(__file__).parents[3] / "config" / "train").glob("*.yaml"))
POOL = {"kind": "pool", "options": {"folders": "pool"}}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_some_are_shipped() -> None:
    names = {path.stem for path in SHIPPED}
    assert names == {"tiny", "small", "base", "pretrain_monocular", "debug", "stackmff_v2"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_can_be_read(path: Path) -> None:
    config = load_training_config(path)
    assert TrainingConfig.from_dict(config.to_dict()) == config
    assert TrainingConfig.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


def test_base_is_the_recipe_of_the_paper() -> None:
    config = load_training_config(next(path for path in SHIPPED if path.stem == "base"))
    assert (config.loss.kind, config.loss.gradient) == ("mse", 0.5)
    assert (config.optimiser.kind, config.optimiser.momentum) == ("sgd", 0.9)
    assert (config.optimiser.lr, config.optimiser.backbone_lr) == (1e-4, 1e-6)
    assert (config.augmentation.flip, config.augmentation.crop) == (0.5, 0.3)
    assert (config.augmentation.rotation, config.augmentation.degrees) == (0.2, 10.0)
    assert (config.data.batch, config.data.height, config.data.width) == (4, 384, 384)


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = written(tmp_path, {"data": {"sources": [POOL]}, "run": {"seed": 7}})
    config = load_training_config(path)
    assert (config.run.seed, config.run.accumulate, config.model.preset) == (7, 1, "tiny")
    assert config.data.sources[0].options == {"folders": "pool"}


def test_changes_from_the_command_line(tmp_path: Path) -> None:
    path = written(tmp_path, {"data": {"sources": [POOL]}})
    config = load_training_config(
        path,
        ["schedule.steps=5", "model.options.decoder_channels=24", "optimiser.lr=1e-4",
         "run.output='a=b'", "data.sources=[{kind: pool, weight: 2}]"],
    )  # fmt: skip
    assert config.schedule.steps == 5
    assert config.model.network().decoder_channels == 24
    assert config.optimiser.lr == 1e-4
    assert config.run.output == "a=b"
    assert config.data.sources[0].weight == 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modle": {}}, "there is no modle (given as {}); known in the configuration are: model"),
        ({"run": {"sede": 3}}, "there is no run.sede (given as 3); known in run are: output, seed"),
        ({"run": {"seed": "three"}}, "run.seed is 'three'; it must be a whole number"),
        ({"run": {"seed": -1}}, "run.seed is -1; it must be in [0, inf]"),
        ({"run": 3}, "run is 3; it must be a mapping of: output"),
        ({"run": {"precision": "fp8"}}, "run.precision is 'fp8'; it must be one of fp32"),
        ({"run": {"debug_batch_shape": [1, 2]}}, "run.debug_batch_shape is [1, 2]; give stacks"),
        ({"run": {"debug_batch_shape": [1, 2, 3, 4.5]}}, "must be a list of whole numbers"),
        ({"run": {"debug_batch_shape": 3}}, "run.debug_batch_shape is 3; it must be a list"),
        ({"optimiser": {"lr": "fast"}}, "optimiser.lr is 'fast'; it must be a number"),
        ({"data": {"sources": [{"knd": "pool"}]}}, "there is no data.sources[0].knd"),
        ({"data": {"sources": [{"options": [1]}]}}, "data.sources[0].options is [1]; it must be"),
        ({"data": {"sources": []}}, "data.sources has no source with a weight"),
        ({"data": {"sources": [POOL], "min_slices": 9, "max_slices": 4}}, "data.min_slices is 9"),
        ({"data": {"sources": [POOL], "min_slices": 1}},
         "data.min_slices is 1, but the stacks of the source 'pool' have at least 2 slices"),
        ({"validation": {"sources": [POOL], "slices": 1}}, "validation.slices is 1, but"),
        ({"data": {"sources": [POOL], "batch": 1, "height": 32, "width": 32}},
         "data.batch, data.height and data.width are 1, 32 and 32: of the coarsest features"),
        ({"run": {"debug_batch_shape": [1, 4, 32, 16]}}, "debug_batch_shape are 1, 32 and 16: of"),
        ({"model": {"options": {"colour": 1}}}, "model: FocDepthFormer has no option"),
        ({"model": {"options": {"hooks": [1]}}}, "model: hooks"),
    ],
)  # fmt: skip
def test_bad_values_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = written(tmp_path, {"data": {"sources": [POOL]}, **changes})
    with pytest.raises(TrainingConfigError) as caught:
        load_training_config(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        {"sources": [{"kind": "monocular"}], "min_slices": 1, "max_slices": 1},
        {"sources": [{"kind": "monocular"}, {**POOL, "weight": 0}], "min_slices": 1},
        {"sources": [POOL], "batch": 2, "height": 32, "width": 32},
        {"sources": [POOL], "batch": 1, "height": 32, "width": 40},
    ],
)
def test_what_just_about_works_is_taken(tmp_path: Path, data: dict[str, Any]) -> None:
    load_training_config(written(tmp_path, {"data": data}))


@pytest.mark.parametrize("name", ["tiny", "small", "base"])
def test_sweeps_have_2_to_20_slices(name: str) -> None:
    config = load_training_config(next(path for path in SHIPPED if path.stem == name))
    assert (config.data.min_slices, config.data.max_slices) == (2, 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("schedule.steps", "'schedule.steps' is no change; write it like schedule.steps=200"),
        ("schedule.steps=", "'schedule.steps=' is no change"),
        ("data.sources.kind=pool", "like data.sources=[{kind: pool, options: {folders: pool}}]"),
        ("schedule.steps=[", "the value in 'schedule.steps=[' is no YAML"),
        ("schedule.steps=2020-13-45", "is no YAML: month must be in"),
        ("schedule.stops=3", "there is no schedule.stops"),
    ],
)
def test_bad_changes_are_named(tmp_path: Path, change: str, message: str) -> None:
    path = written(tmp_path, {"data": {"sources": [POOL]}})
    with pytest.raises(TrainingConfigError) as caught:
        load_training_config(path, [change])
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "just text", "\x00"])
def test_files_that_are_no_mapping_are_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TrainingConfigError, match="run.yaml"):
        load_training_config(path)


def test_the_errors_are_of_the_package() -> None:
    assert issubclass(TrainingConfigError, FocdepthError)
    assert issubclass(TrainingConfigError, ValueError)
