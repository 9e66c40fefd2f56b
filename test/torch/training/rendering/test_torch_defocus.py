"""The renderer of training data shows what the reference renderer shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from focdepth_ros.errors import OptionError
from focdepth_ros.optics import circle_of_confusion
from focdepth_ros.simulation import Part, Scene
from focdepth_ros.simulation.defocus import DefocusRenderer, Psf
from focdepth_ros.simulation.layers import LayeredView
from focdepth_ros.simulation.primitives import Cylinder, Rectangle, rotation, rotation_onto
from focdepth_ros.simulation.textures import random_texture
from focdepth_ros.stack import CameraIntrinsics, Lens
from focdepth_ros.training.rendering.layered_tensors import (
    LayeredTensors,
    Reflection,
    layered_tensors,
)
from focdepth_ros.training.rendering.torch_defocus import TorchDefocusRenderer

LENS = Lens(focal_length=0.02, f_number=1.0, pixel_pitch=50e-6)
FOCUS = (0.5, 0.9, 3.0)
MARGIN = 16


@pytest.fixture(scope="module")
def view() -> LayeredView:
    """A slanted card and a rod before a slanted wall."""
    rng = np.random.default_rng(3)
    infinite = (np.inf, np.inf)
    parts = (
        Part(Rectangle((0.0, 0.0, 2.0), infinite, orientation=rotation(0.3)),
             random_texture(rng, 0.02)),
        Part(Rectangle((0.1, 0.0, 0.8), (0.3, 0.4), orientation=rotation(-0.5, 0.2)),
             random_texture(rng, 0.008)),
        Part(Cylinder((0.0, 0.0, 0.55), 0.012, 0.5, orientation=rotation_onto((1.0, 1.0, 0.2))),
             random_texture(rng, 0.004)),
    )  # fmt: skip
    camera = CameraIntrinsics(96, 80, 100.0, 100.0, 47.5, 39.5)
    return Scene(parts, camera).layered_view(MARGIN)


@pytest.mark.parametrize("psf", ["disc", "gaussian"])
def test_agrees_with_the_reference(view: LayeredView, psf: Psf, device: str) -> None:
    assert view.coverage.min() < 1.0
    reference = DefocusRenderer(view, LENS, FOCUS, psf=psf)
    renderer = TorchDefocusRenderer(layered_tensors(view, device), LENS, FOCUS, psf=psf)
    for distance in FOCUS:
        found = renderer.render(distance).permute(1, 2, 0).cpu().numpy()
        np.testing.assert_allclose(found, reference.render(distance), atol=2e-4)


def test_coarser_bins_and_kernels_differ_little(view: LayeredView) -> None:
    fine = TorchDefocusRenderer(layered_tensors(view), LENS, FOCUS)
    coarse = TorchDefocusRenderer(
        layered_tensors(view), LENS, FOCUS, bin_step=1.0, radius_step=0.125
    )
    for distance in FOCUS:
        error = (fine.render(distance) - coarse.render(distance)).abs()
        assert float(error.mean()) < 2e-3


def test_a_view_of_one_depth_in_focus_is_the_pinhole_image(device: str) -> None:
    picture = torch.rand((3, 40, 50), generator=torch.Generator().manual_seed(0)).to(device)
    renderer = TorchDefocusRenderer(_flat(picture, 0.5), LENS, (2.0,))
    torch.testing.assert_close(renderer.render(2.0), picture, atol=1e-5, rtol=0.0)


class TestReflection:
    def test_is_in_focus_at_the_distance_of_the_mirror_image(self) -> None:
        point = torch.zeros((3, 61, 61))
        point[:, 30, 30] = 1.0
        mirrored = Reflection(point, torch.full((2, 61, 61), 0.5), dioptre=0.5)
        view = _flat(torch.zeros((3, 61, 61)), 2.0, mirrored)
        renderer = TorchDefocusRenderer(view, LENS, (0.5, 2.0))
        assert float(renderer.render(2.0)[0, 30, 30]) == pytest.approx(0.5, abs=1e-5)
        image = renderer.render(0.5)[0].double()
        assert float(image.sum()) == pytest.approx(0.5, abs=1e-4)
        offsets = torch.arange(61, dtype=torch.float64) - 30.0
        variance = float(image.sum(dim=0) @ offsets**2) / float(image.sum())
        diameter = float(circle_of_confusion(LENS, 2.0, 0.5))
        assert 4.0 * variance**0.5 == pytest.approx(diameter, rel=0.02)

    def test_is_hidden_by_what_is_before_the_mirror(self) -> None:
        strength = torch.zeros((2, 40, 40))
        strength[:, :, 20:] = 1.0
        light = torch.ones((3, 40, 40))
        view = _flat(torch.zeros((3, 40, 40)), 1.0, Reflection(light, strength, 0.5))
        image = TorchDefocusRenderer(view, LENS, (1.0,)).render(1.0)
        assert float(image[:, :, :20].abs().max()) < 1e-5
        torch.testing.assert_close(image[:, 10:-10, 20:30], light[:, 10:-10, 20:30], atol=1e-4,
                                   rtol=0.0)  # fmt: skip


def test_options_out_of_range_are_refused(view: LayeredView) -> None:
    tensors = layered_tensors(view)
    with pytest.raises(OptionError, match="'square' is not known"):
        TorchDefocusRenderer(tensors, LENS, FOCUS, psf="square")
    with pytest.raises(OptionError, match="bin_step is 3.0"):
        TorchDefocusRenderer(tensors, LENS, FOCUS, bin_step=3.0)
    with pytest.raises(OptionError, match="beyond the 64 px"):
        TorchDefocusRenderer(tensors, Lens(0.05, 0.5, 5e-6), FOCUS)


def _flat(
    picture: torch.Tensor, dioptre: float, reflection: Reflection | None = None
) -> LayeredTensors:
    depth = torch.full(picture.shape[1:], dioptre, device=picture.device)
    whole = torch.ones_like(depth)
    return LayeredTensors(picture, picture, depth, depth, whole, reflection=reflection)
