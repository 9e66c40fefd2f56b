"""FocDepthFormer: what it answers must not hang on sizes, numbers and the way slices come."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from small_network import noise_sweep, small_config, small_network
from torch import Tensor, nn

from focdepth_ros.errors import OptionError, SliceError, StackError
from focdepth_ros.models.focdepthformer.config import FocDepthFormerConfig, preset
from focdepth_ros.models.focdepthformer.model import FocDepthFormer, SweepState
from focdepth_ros.models.focus_guide import (
    Curves,
    FocusEnergies,
    focus_statistics,
    known_energies,
    sampled_curves,
)
from focdepth_ros.models.residual_units import ResidualUnit
from focdepth_ros.models.sweeps import Prediction, check_stacks

PAPER: dict[str, Any] = {
    "output": "metres",
    "dioptre_encoding": False,
    "refinement": False,
    "confidence": False,
}


def answer(network: FocDepthFormer, images: Tensor, dioptres: Tensor) -> Prediction:
    with torch.inference_mode():
        return network(images, dioptres)


def stream(network: FocDepthFormer, images: Tensor, dioptres: Tensor) -> Prediction:
    state: SweepState | None = None
    with torch.inference_mode():
        for image, dioptre in zip(images[0], dioptres[0], strict=True):
            state = network.step(state, network.encode(image[None], dioptre[None]))
        assert state is not None
        return network.decode(state)


def with_a_loud_lstm(network: FocDepthFormer) -> FocDepthFormer:
    """Random weights as they are leave it next to no say."""
    with torch.no_grad():
        for parameter in network.lstm.parameters():
            parameter.mul_(10.0)
    return network


@pytest.fixture(scope="module")
def network() -> FocDepthFormer:
    return small_network()


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (70, 1), (1, 1)])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_size_and_any_number_of_slices(
    network: FocDepthFormer, size: tuple[int, int], count: int
) -> None:
    found = answer(network, *noise_sweep(count, *size, batch=2))
    assert found.confidence_logits is not None
    for values in (found.position, found.confidence_logits):
        assert values.shape == (2, *size)
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("parts", [PAPER, {**PAPER, "confidence": True}, {"lstm_layers": 0}])
def test_every_set_of_parts_answers(parts: dict[str, Any]) -> None:
    found = answer(small_network(**parts), *noise_sweep(3, 40, 70))
    assert found.position.shape == (1, 40, 70)
    assert torch.isfinite(found.position).all()
    confident = parts.get("confidence", True)
    assert (found.confidence_logits is not None) == confident


@pytest.mark.parametrize("refinement", [True, False])
def test_labels(refinement: bool) -> None:
    network = small_network(segmentation_classes=5, refinement=refinement)
    labels = answer(network, *noise_sweep(2, 40, 70)).labels
    assert labels is not None
    assert labels.shape == (1, 5, 40, 70)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_slices_one_by_one_are_answered_like_all_at_once(
    network: FocDepthFormer, count: int
) -> None:
    sweep = noise_sweep(count, 50, 70)
    at_once, streamed = answer(network, *sweep), stream(network, *sweep)
    torch.testing.assert_close(streamed.position, at_once.position, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(
        streamed.confidence_logits, at_once.confidence_logits, atol=1e-4, rtol=0.0
    )


def test_sweeps_of_a_batch_do_not_know_of_each_other(network: FocDepthFormer) -> None:
    images, dioptres = noise_sweep(3, batch=3)
    order = [2, 0, 1]
    mixed = answer(network, images[order], dioptres[order]).position
    expected = answer(network, images, dioptres).position[order]
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=0.0)


def test_the_order_of_exposure_counts_only_for_the_lstm() -> None:
    images, dioptres = noise_sweep(4)
    order = [2, 0, 3, 1]
    for layers, same in ((0, True), (2, False)):
        network = with_a_loud_lstm(small_network(lstm_layers=layers))
        one = answer(network, images, dioptres).position
        other = answer(network, images[:, order], dioptres[:, order]).position
        assert torch.allclose(one, other, atol=2e-5) == same


def test_the_lstm_learns_and_matters() -> None:
    sweep = noise_sweep(3)
    network = with_a_loud_lstm(small_network())
    network(*sweep).position.square().mean().backward()
    for name, parameter in network.lstm.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0.0, name
    before = answer(network, *sweep).position
    with torch.no_grad():
        for cell in network.lstm.cells:
            for parameter in cell.parameters():
                parameter.zero_()
    assert not torch.allclose(answer(network, *sweep).position, before, atol=1e-4)


def test_every_weight_learns() -> None:
    network = small_network()
    found = network(*noise_sweep(3))
    assert found.confidence_logits is not None
    coarse = sum(values.square().mean() for values in found.coarse_positions)
    (found.position.square().mean() + found.confidence_logits.mean() + coarse).backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == []


def test_the_focus_distance_is_told_to_the_tokens() -> None:
    images, dioptres = noise_sweep(3)
    for told in (True, False):
        network = small_network(dioptre_encoding=told)
        near = answer(network, images, dioptres + 2.0).position
        assert torch.allclose(near, answer(network, images, dioptres).position, atol=1e-5) != told


def test_a_slice_that_is_not_activated_leaves_the_memory_alone() -> None:
    network = small_network(activation_threshold=1e9)
    images, dioptres = noise_sweep(3)
    order = [1, 2, 0]
    one = answer(network, images, dioptres).position
    other = answer(network, images[:, order], dioptres[:, order]).position
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0.0)


def test_the_finest_energy_is_that_of_a_laplacian_of_gaussian() -> None:
    images = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 255.0
    found = FocusEnergies()(images)[0, 0].exp() - 1.0
    grey = np.tensordot([0.299, 0.587, 0.114], images[0].numpy(), 1)
    x = np.arange(-4.0, 5.0)
    square = x[:, None] ** 2 + x**2
    kernel = (square - 2.0) * np.exp(-0.5 * square)
    kernel -= kernel.mean()
    kernel /= np.linalg.norm(kernel)
    energy = ndimage.correlate(grey, kernel, mode="nearest") ** 2
    cells = energy.reshape(16, 2, 24, 2).mean(axis=(1, 3))
    window = np.exp(-0.5 * (np.arange(-3.0, 4.0) / 0.75) ** 2)
    window /= window.sum()
    for axis in (0, 1):
        cells = ndimage.correlate1d(cells, window, axis, mode="nearest")
    np.testing.assert_allclose(found.numpy(), cells, rtol=1e-4)


def test_folded_normalisations_change_nothing() -> None:
    network = small_network()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    images, dioptres = noise_sweep(3)
    with torch.inference_mode():
        expected = network(images, dioptres).position
        for part in network.modules():
            if isinstance(part, ResidualUnit):
                part.fold()
        assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
        torch.testing.assert_close(network(images, dioptres).position, expected)


def test_what_a_slice_does_not_show_is_not_its_sharpest(network: FocDepthFormer) -> None:
    images, dioptres = noise_sweep(3)
    mask = torch.ones(1, 64, 96, dtype=torch.bool)
    mask[:, :, :40] = False
    state: SweepState | None = None
    with torch.inference_mode():
        for number in range(3):
            features = network.encode(
                images[:, number], dioptres[:, number], mask if number == 1 else None
            )
            state = network.step(state, features)
        assert state is not None
        assert torch.isfinite(network.decode(state).position).all()
    known = state.slices[1].known
    assert known is not None
    assert known.shape == (1, 1, 32, 48)
    assert not known[..., :20].any()
    assert known[..., 24:].all()
    energies = torch.stack([item.energies for item in state.slices if item.energies is not None], 1)
    everywhere = torch.ones_like(known)
    masked = known_energies(energies, torch.stack([everywhere, known, everywhere], 1))
    positions = torch.linspace(1.0, 0.0, 3)[None]
    sharpest = focus_statistics(masked, positions)[2]
    assert not (sharpest[..., :20] == 1).any()
    assert (sharpest[..., 24:] == 1).any()


@pytest.mark.parametrize(("name", "millions"), [("tiny", 2.0), ("small", 26.0), ("base", 100.0)])
def test_presets(name: str, millions: float) -> None:
    network = FocDepthFormer(preset(name))
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert 0.7 * millions < count < 1.4 * millions
    backbone = sum(parameter.numel() for parameter in network.backbone_parameters()) / 1e6
    assert 0.3 * count < backbone < count


def test_configurations_survive_being_written_down() -> None:
    config = small_config(segmentation_classes=3)
    assert FocDepthFormerConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hooks": (0, 1, 2)}, "hooks is (0, 1, 2); give 4 whole numbers"),
        ({"hooks": (0, 2, 1, 3)}, "hooks are (0, 2, 1, 3); give numbers of blocks, rising"),
        ({"hooks": (0, 1, 2, 4)}, "but there are 4 blocks; the last is 3"),
        ({"output": "inches"}, "output 'inches' is not known"),
        ({"early_stride": 4}, "early_stride is 4; use 1 or 2"),
        ({"output": "metres"}, "it needs the output normalised_dioptres"),
        ({"lstm_hidden": 0}, "lstm_hidden is 0; it must be at least 1"),
        ({"activation_threshold": float("nan")}, "activation_threshold is nan; it must be at"),
        (
            {"reassemble_channels": (8, 0, 8, 8)},
            "reassemble_channels are (8, 0, 8, 8); each must be at least 1",
        ),
        ({"lstm_hidden": "wide"}, "'lstm_hidden' is 'wide'; it must be of type int"),
        ({"lstm_width": 3}, "has no option 'lstm_width'; it has backbone"),
    ],
)
def test_configurations_of_no_use(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as raised:
        small_config(**changes)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "vit_of_no_kind"}, "timm cannot make the backbone 'vit_of_no_kind'"),
        ({"backbone": "resnet18", "embed_dim": 0, "depth": 0, "heads": 0}, "resnet18"),
        ({"embed_dim": 33, "heads": 2}, "timm cannot make the backbone"),
        ({"backbone": ""}, "timm cannot make the backbone ''"),
        ({"backbone": "vit_tiny_patch16_384", "depth": 3, "hooks": (0, 1, 2, 3)}, "3 blocks"),
    ],
)
def test_backbones_of_no_use(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        FocDepthFormer(small_config(**changes))


@pytest.mark.parametrize(
    ("images", "dioptres", "error", "words"),
    [
        (
            torch.zeros(1, 2, 4, 8, 8, dtype=torch.uint8),
            [[2.0, 1.0]],
            SliceError,
            "(1, 2, 4, 8, 8)",
        ),
        (torch.zeros(1, 2, 3, 8, 8), [[2.0, 1.0]], SliceError, "float32"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [[2.0, 1.0]], SliceError, "(2, 3, 8, 8)"),
        (None, [[2.0, 1.0, 0.5]], StackError, "(1, 3)"),
        (None, [[2.0, 2.0]], StackError, "two of a stack are equal"),
        (None, [[0.0, 0.0]], StackError, "two of a stack are equal"),  # all at infinity
        (None, [[2.0, float("nan")]], StackError, "finite"),
        (None, [[2.0, -1.0]], StackError, "0 or more"),
    ],
)
def test_stacks_of_no_use(
    network: FocDepthFormer,
    images: Tensor | None,
    dioptres: list[list[float]],
    error: type[Exception],
    words: str,
) -> None:
    if images is None:
        images = torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(error, match=re.escape(words)):
        network(images, torch.tensor(dioptres))


def test_values_are_not_looked_at_while_a_graph_is_recorded(
    network: FocDepthFormer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnGpu(Tensor):
        is_cuda = True  # type: ignore[assignment]

    images = torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8).as_subclass(OnGpu)
    equal = torch.tensor([[2.0, 2.0]])
    for recording in (False, True):
        monkeypatch.setattr(
            torch.cuda, "is_current_stream_capturing", lambda recording=recording: recording
        )
        with nullcontext() if recording else pytest.raises(StackError, match="are equal"):
            check_stacks(images, equal)
    with pytest.raises(StackError, match="one inverse focus distance per slice"):
        check_stacks(images, equal[:, :1])


def test_a_coordinate_that_is_no_number_gives_nan_and_no_index_out_of_range() -> None:
    coordinate = torch.tensor([[[torch.nan, 0.5]]])
    values = torch.rand(1, 3, 2, 1, 2)
    curves = Curves(values, values.amax(dim=1))
    sampled = sampled_curves((curves,), coordinate, (-1.0, 0.0, 1.0))
    assert torch.isnan(sampled[..., 0]).all()
    assert torch.isfinite(sampled[..., 1]).all()


def test_a_preset_that_does_not_exist_is_named() -> None:
    with pytest.raises(OptionError, match="no preset 'huge'; choose one of tiny, small, base"):
        preset("huge")


def test_it_is_a_module_with_names_of_weights_that_checkpoints_rely_on(
    network: FocDepthFormer,
) -> None:
    assert isinstance(network, nn.Module)
    parts = {name.partition(".")[0] for name in network.state_dict()}
    assert parts == {"encoder", "lstm", "decoder", "guide", "refine"}
