"""Random scenes: in their range, layered in the right order, of everything that was promised."""

from __future__ import annotations

import pytest
import torch
from pattern_photographs import patterns

from focdepth_ros.errors import OptionError
from focdepth_ros.training.rendering.layered_tensors import LayeredScene
from focdepth_ros.training.rendering.random_layers import LayerConfig, SurfaceClass, random_layers
from focdepth_ros.training.rendering.random_shapes import random_solid, random_thin

SIZE, MARGIN, DIOPTRES = (60, 80), 10, (0.4, 2.5)


def scene(seed: int, device: str = "cpu", config: LayerConfig | None = None) -> LayeredScene:
    return random_layers(
        torch.Generator().manual_seed(seed),
        patterns(device),
        SIZE,
        dioptres=DIOPTRES,
        margin=MARGIN,
        config=config,
    )


@pytest.fixture(scope="module")
def scenes() -> list[LayeredScene]:
    return [scene(seed) for seed in range(25)]


def test_shapes_and_ranges(scenes: list[LayeredScene]) -> None:
    for item in scenes:
        view = item.view
        canvas = (SIZE[0] + 2 * MARGIN, SIZE[1] + 2 * MARGIN)
        assert view.front.shape == view.back.shape == (3, *canvas)
        assert item.inverse_depth.shape == item.labels.shape == SIZE
        for light in (view.front, view.back):
            assert 0.0 <= float(light.min()) <= float(light.max()) <= 1.0
        for depth in (view.front_dioptre, view.back_dioptre):
            assert DIOPTRES[0] <= float(depth.min()) <= float(depth.max()) <= DIOPTRES[1] + 1e-6
        assert 0.0 < float(view.coverage.min()) <= float(view.coverage.max()) == 1.0


def test_the_back_lies_behind_the_front(scenes: list[LayeredScene]) -> None:
    for item in scenes:
        assert bool((item.view.back_dioptre <= item.view.front_dioptre + 1e-6).all())


def test_scenes_reach_through_their_range(scenes: list[LayeredScene]) -> None:
    spans = [float(item.inverse_depth.max() - item.inverse_depth.min()) for item in scenes]
    assert sum(span > 0.5 * (DIOPTRES[1] - DIOPTRES[0]) for span in spans) > 18


def test_labels_are_known_and_all_occur(scenes: list[LayeredScene]) -> None:
    found = set(torch.cat([item.labels.unique() for item in scenes]).tolist())
    assert found == {int(label) for label in SurfaceClass}
    nothing = scene(1, config=LayerConfig(solids=(0, 0), thin=(0, 0), reflective=0.0))
    assert set(nothing.labels.unique().tolist()) <= {SurfaceClass.BACKDROP, SurfaceClass.PLANE}


def test_reflecting_surfaces_are_those_that_are_labelled_so(scenes: list[LayeredScene]) -> None:
    with_mirror = [item for item in scenes if item.view.reflection is not None]
    assert 0 < len(with_mirror) < len(scenes)
    for item in with_mirror:
        reflection = item.view.reflection
        assert reflection is not None
        inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        whole = item.view.coverage[inner] == 1.0
        reflecting = reflection.strength[0][inner] > 0.0
        assert torch.equal(reflecting[whole], (item.labels == SurfaceClass.REFLECTIVE)[whole])
        assert DIOPTRES[0] <= reflection.dioptre <= DIOPTRES[1]


def test_surfaces_without_texture_are_plain() -> None:
    plain = scene(3, config=LayerConfig(solids=(0, 0), thin=(0, 0), textureless=1.0))
    textured = scene(3, config=LayerConfig(solids=(0, 0), thin=(0, 0), textureless=0.0, faint=0.0))

    def detail(item: LayeredScene) -> float:
        return float(item.view.front.diff(dim=-1).abs().median())

    assert detail(plain) < 0.01 < detail(textured)


def test_the_same_generator_gives_the_same_scene(device: str) -> None:
    one, same, other = (scene(seed, device) for seed in (4, 4, 5))
    assert torch.equal(one.view.front, same.view.front)
    assert torch.equal(one.inverse_depth, same.inverse_depth)
    assert not torch.equal(one.inverse_depth, other.inverse_depth)


def test_a_range_that_does_not_rise_is_refused() -> None:
    with pytest.raises(OptionError, match="scene from 2.0 to 1.0 dioptres"):
        random_layers(torch.Generator(), patterns(), SIZE, dioptres=(2.0, 1.0))
    with pytest.raises(OptionError, match="'textureless' is 2"):
        LayerConfig(textureless=2)


class TestShapes:
    CANVAS = (90, 120)

    def test_solid_ones_have_soft_edges_a_pixel_wide(self) -> None:
        generator = torch.Generator().manual_seed(0)
        for _ in range(40):
            outline = random_solid(generator, self.CANVAS, "cpu")
            coverage = outline.coverage
            assert 0.0 <= float(coverage.min()) <= float(coverage.max()) <= 1.0
            partly = int(((coverage > 0.0) & (coverage < 1.0)).sum())
            assert partly < 8 * sum(self.CANVAS)
            image = torch.zeros(self.CANVAS)
            assert outline.cut(image).shape == coverage.shape

    def test_thin_ones_are_a_few_pixels_wide(self) -> None:
        generator = torch.Generator().manual_seed(0)
        for _ in range(30):
            coverage = random_thin(generator, self.CANVAS, "cpu").coverage
            # Nothing is left of them 4 px inside.
            inside = -torch.nn.functional.max_pool2d(-coverage[None], 9, stride=1)
            assert float(inside.max()) < 0.5


def plain_share(printed: float) -> float:
    """Pixels that are exactly as their neighbours to the right and below."""
    config = LayerConfig(
        solids=(0, 0), thin=(0, 0), textureless=0.0, faint=0.0, reflective=0.0, printed=printed
    )
    shares = []
    for seed in range(6):
        light = scene(seed, config=config).view.front
        here = light[:, :-1, :-1]
        plain = (here == light[:, :-1, 1:]) & (here == light[:, 1:, :-1])
        shares.append(float(plain.all(dim=0).float().mean()))
    return sum(shares) / len(shares)


def test_plain_fields_are_printed_on_surfaces() -> None:
    assert plain_share(1.0) > plain_share(0.0) + 0.1
