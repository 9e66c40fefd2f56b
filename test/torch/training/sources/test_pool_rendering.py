"""A pool that is rendered is a pool that can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from focdepth_ros.errors import BackendUnavailableError, OptionError
from focdepth_ros.training.rendering.focus_sweeps import SweepConfig
from focdepth_ros.training.sources.pool import RenderedPoolSource
from focdepth_ros.training.sources.pool_files import find_pool
from focdepth_ros.training.sources.pool_rendering import (
    PoolRendering,
    PoolScenes,
    render_one,
    render_pool,
)

SWEEP = SweepConfig(blur=(4.0, 8.0))


def rendering(scenes: PoolScenes = "layers") -> PoolRendering:
    return PoolRendering(scenes=scenes, size=(40, 48), slices=(3, 4), sweep=SWEEP, seed=2)


@pytest.mark.parametrize("scenes", ["rooms", "layers"])
def test_a_stack_is_read_as_it_was_rendered(tmp_path: Path, scenes: PoolScenes) -> None:
    path = render_one(tmp_path, 7, rendering(scenes))
    (stack,) = find_pool(tmp_path)
    assert (stack.path, stack.size, stack.has_labels) == (path, (40, 48), True)
    assert stack.mapped("images").shape == (len(stack.focus), 40, 48, 3)
    stored = np.load(path)
    for name in ("images", "dioptre", "labels"):
        np.testing.assert_array_equal(stack.mapped(name), stored[name])
    assert 0.0 <= stored["dioptre"].min() < stored["dioptre"].max()
    batch = RenderedPoolSource(tmp_path, (32, 32), 2).batch(torch.Generator(), 3)
    assert batch.images.shape == (2, 3, 3, 32, 32)
    assert batch.labels is not None


def test_what_is_there_is_kept_and_what_is_missing_rendered(tmp_path: Path) -> None:
    first = render_one(tmp_path, 0, rendering()).read_bytes()
    steps = []

    class Bar:
        def __init__(self, label: str, length: int) -> None:
            steps.append(length)

        def __enter__(self):
            return lambda: steps.append(1)

        def __exit__(self, *_: object) -> None:
            pass

    assert render_pool(tmp_path, 2, rendering(), processes=1, progress=Bar) == 1
    assert steps == [1, 1]
    assert [path.name for path in sorted(tmp_path.glob("*.npz"))] == ["00000.npz", "00001.npz"]
    assert (tmp_path / "00000.npz").read_bytes() == first
    assert render_pool(tmp_path, 2, rendering()) == 0
    again = render_one(tmp_path / "..", 1, rendering())
    np.testing.assert_array_equal(
        np.load(again)["images"], np.load(tmp_path / "00001.npz")["images"]
    )


@pytest.mark.parametrize("scenes", ["rooms", "layers"])
def test_without_folders_surfaces_have_patterns_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenes: PoolScenes
) -> None:
    def asked() -> None:
        raise AssertionError("the photographs of the evaluation's scenes were asked for")

    monkeypatch.setattr("focdepth_ros.simulation.textures._bundled_photographs", asked)
    render_one(tmp_path, 0, replace(rendering(scenes), seed=3))


def test_folders_of_textures_must_not_be_those_of_the_evaluation(tmp_path: Path) -> None:
    (tmp_path / "redwood").mkdir()
    textured = replace(rendering(), textures=(str(tmp_path / "redwood"),))
    with pytest.raises(OptionError, match="kept for evaluation"):
        render_pool(tmp_path / "pool", 1, textured)
    assert not (tmp_path / "pool").exists()


class TestSettingsOfAPool:
    def test_must_stay_as_they_are(self, tmp_path: Path) -> None:
        render_pool(tmp_path, 1, rendering(), processes=1)
        refused: dict[str, dict[str, Any]] = {
            "seed 2, not 5": {"seed": 5},
            "slices [3, 4], not [3, 5]": {"slices": (3, 5)},
            "scenes layers, not rooms": {"scenes": "rooms"},
        }
        for message, changes in refused.items():
            with pytest.raises(OptionError) as caught:
                render_pool(tmp_path, 2, replace(rendering(), **changes), processes=1)
            assert message in str(caught.value)
            assert "choose another folder" in str(caught.value)
        assert render_pool(tmp_path, 2, rendering(), processes=1) == 1
        assert len(find_pool(tmp_path)) == 2

    def test_are_not_known_of_pools_of_earlier_versions(self, tmp_path: Path) -> None:
        render_one(tmp_path, 0, rendering())
        assert render_pool(tmp_path, 2, replace(rendering(), seed=9), processes=1) == 1
        assert not (tmp_path / "pool.yaml").exists()

    def test_must_be_readable(self, tmp_path: Path) -> None:
        (tmp_path / "pool.yaml").write_text("nothing")
        with pytest.raises(OptionError, match="does not tell"):
            render_pool(tmp_path, 1, rendering(), processes=1)


def test_reliefs_have_no_labels(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    cv2.imwrite(str(photographs / "noise.png"), noise)
    folder = tmp_path / "pool"
    textured = replace(rendering("reliefs"), textures=(str(photographs),))
    assert render_pool(folder, 1, textured, processes=1) == 1
    (stack,) = find_pool(folder)
    assert not stack.has_labels
    with pytest.raises(OptionError, match="reliefs need photographs"):
        render_pool(tmp_path / "none", 1, rendering("reliefs"), processes=1)


@pytest.mark.parametrize("scenes", ["rooms", "layers"])
def test_a_stack_rendered_elsewhere_is_the_same(
    tmp_path: Path, scenes: PoolScenes, device: str
) -> None:
    here = np.load(render_one(tmp_path, 0, rendering(scenes)))
    (tmp_path / "there").mkdir()
    there = np.load(render_one(tmp_path / "there", 0, rendering(scenes), device))
    # A pixel at an edge may fall to the other side.
    assert np.mean(np.abs(here["dioptre"] - there["dioptre"]) > 1e-4) < 1e-2
    assert np.mean(np.abs(here["images"].astype(int) - there["images"]) > 2) < 1e-2


@pytest.mark.slow
def test_several_processes_render_what_one_does(tmp_path: Path) -> None:
    assert render_pool(tmp_path / "two", 3, rendering(), processes=2) == 3
    assert render_pool(tmp_path / "one", 3, rendering(), processes=1) == 3
    for path in (tmp_path / "one").glob("*.npz"):
        one, two = np.load(path), np.load(tmp_path / "two" / path.name)
        np.testing.assert_array_equal(one["images"], two["images"])


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="pool of 0 stacks"):
        render_pool(tmp_path, 0)
    with pytest.raises(OptionError, match="does not exist"):
        render_pool(tmp_path, 1, PoolRendering(textures=(str(tmp_path / "none"),)))
    with pytest.raises(OptionError, match="'houses' are not known"):
        PoolRendering(scenes="houses")
    with pytest.raises(OptionError, match="there is no device 'abacus'"):
        render_pool(tmp_path / "pool", 1, rendering(), device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(BackendUnavailableError, match="cuda"):
            render_pool(tmp_path / "pool", 1, rendering(), device="cuda")
    assert not (tmp_path / "pool").exists()
    with pytest.raises(OptionError, match="at least 16"):
        PoolRendering(size=(4, 4))
