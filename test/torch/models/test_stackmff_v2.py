"""StackMFF-V2: as it was published, and guided by the focus measure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_network import noise_sweep
from torch import Tensor

from focdepth_ros.errors import OptionError, SliceError, StackError, WeightsError
from focdepth_ros.models.banded_guide import rows_of_a_band
from focdepth_ros.models.checkpoint import load_weights, save_weights
from focdepth_ros.models.stackmff_v2 import model
from focdepth_ros.models.stackmff_v2.config import StackMffV2Config, preset
from focdepth_ros.models.stackmff_v2.model import StackMffV2, StackState
from focdepth_ros.models.stackmff_v2.published import fuse_stacks, load_published
from focdepth_ros.models.sweeps import Prediction

SHARED = Path(__file__).parents[4] / "shared" / "data" / "stackmff_v2"
CHECKPOINT = SHARED / "official_model.pth"
with_shared = pytest.mark.skipif(not CHECKPOINT.is_file(), reason="no shared data here")

SMALL = {"guide_channels": 8, "decoder_channels": 8}


def network_of(name: str, seed: int = 0, **changes: Any) -> StackMffV2:
    """Random weights, also where training begins with zeros."""
    torch.manual_seed(seed)
    sizes = SMALL if name == "guided" else {}
    network = StackMffV2(preset(name, **{**sizes, **changes}))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.eval()
    return network


def grey_stacks(batch: int, count: int, height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(batch, count, height, width, generator=torch.Generator().manual_seed(3))


def streamed(network: StackMffV2, images: Tensor, dioptres: Tensor) -> Prediction:
    state: StackState | None = None
    for number in range(images.shape[1]):
        features = network.encode(images[:, number], dioptres[:, number])
        state = network.step(state, features)
    assert state is not None
    return network.decode(state)


def assert_close(one: Prediction, other: Prediction, atol: float = 1e-4) -> None:
    torch.testing.assert_close(one.position, other.position, atol=atol, rtol=0.0)
    assert (one.confidence_logits is None) == (other.confidence_logits is None)
    if one.confidence_logits is not None:
        torch.testing.assert_close(
            one.confidence_logits, other.confidence_logits, atol=10.0 * atol, rtol=0.0
        )


def test_the_published_one_has_as_many_parameters_as_it_should() -> None:
    network = StackMffV2(StackMffV2Config())
    assert sum(parameter.numel() for parameter in network.parameters()) == 51524
    assert sum(parameter.numel() for parameter in network.features.parameters()) == 30692


@with_shared
def test_every_tensor_of_the_official_checkpoint_is_used() -> None:
    described = json.loads((SHARED / "state_dict_keys.json").read_text())
    network = load_published(CHECKPOINT)
    assert len(network.state_dict()) == len(described) == 125
    shapes = sorted(tuple(shape) for _, shape, _ in described)
    assert sorted(tuple(tensor.shape) for tensor in network.state_dict().values()) == shapes


@with_shared
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("parity_seed0_5x64x96.npz", "input"),
        ("parity_keyboard_crop_6x90x130.npz", "resized_input"),
    ],
)
def test_official_answers_are_those_of_the_authors_code(name: str, given: str) -> None:
    reference = np.load(SHARED / name)
    images = torch.from_numpy(reference[given])
    with torch.inference_mode():
        found = fuse_stacks(load_published(CHECKPOINT), images, official=True)
    depth = reference["depth"].reshape(found.depth.shape)
    np.testing.assert_allclose(found.depth.numpy(), depth, atol=1e-4)
    place = depth * (images.shape[1] - 1)
    at_an_edge = np.abs(place - np.floor(place) - 0.5) < 1e-3
    same = found.index.numpy() == reference["index"].reshape(found.index.shape)
    assert (same | at_an_edge).all()
    fused = reference["fused"].reshape(found.image.shape)
    np.testing.assert_array_equal(found.image.numpy()[same], fused[same])


@with_shared
def test_official_weights_run_slice_by_slice(tmp_path: Path) -> None:
    path = tmp_path / "official.safetensors"
    save_weights(path, load_published(CHECKPOINT), half=False)
    network = load_weights(path)
    assert isinstance(network, StackMffV2)
    reference = np.load(SHARED / "parity_seed0_5x64x96.npz")
    grey = torch.from_numpy(np.round(reference["input"] * 255.0).astype(np.uint8))
    images = grey[:, :, None].expand(-1, -1, 3, -1, -1)
    dioptres = torch.linspace(1.0, 0.0, 5)[None]
    with torch.inference_mode():
        position = streamed(network, images, dioptres).position
        whole = fuse_stacks(network, grey / 255.0)
    # The luma of equal channels is a rounding error away from them.
    torch.testing.assert_close(1.0 - position, whole.depth, atol=1e-3, rtol=0.0)


@torch.inference_mode()
def test_depth_is_the_place_in_the_stack_and_not_stretched() -> None:
    network = network_of("published")
    first, second = grey_stacks(2, 4).split(1)
    both = torch.cat([first, 0.1 * second])
    alone = fuse_stacks(network, first)
    together = fuse_stacks(network, both)
    torch.testing.assert_close(together.depth[:1], alone.depth, atol=1e-6, rtol=0.0)
    assert 0.0 < float(alone.depth.min()) < float(alone.depth.max()) < 1.0

    official = fuse_stacks(network, both, official=True)
    assert float(official.depth.min()) == 0.0
    assert float(official.depth.max()) == 1.0
    apart = [fuse_stacks(network, stack[None], official=True).depth for stack in both]
    assert (official.depth - torch.cat(apart)).abs().max() > 0.01


@torch.inference_mode()
@pytest.mark.parametrize("size", [(33, 47), (1, 1), (64, 96)])
def test_any_size_is_fused_without_being_stretched(size: tuple[int, int]) -> None:
    images = grey_stacks(1, 3, *size)
    found = fuse_stacks(network_of("published"), images)
    for values in (found.image, found.depth, found.index):
        assert values.shape == (1, *size)
    assert 0 <= int(found.index.min()) <= int(found.index.max()) <= 2
    sampled = images.gather(1, found.index[:, None])[:, 0]
    assert torch.equal(found.image, sampled)


def test_what_cannot_be_fused() -> None:
    network = network_of("published")
    with pytest.raises(StackError, match=r"47x33 px; .* multiples of 32"):
        fuse_stacks(network, grey_stacks(1, 3, 33, 47), official=True)
    with pytest.raises(StackError, match="at least 2 slices"):
        fuse_stacks(network, grey_stacks(1, 1))
    with pytest.raises(StackError, match=r"shape \(5, 64, 96\)"):
        fuse_stacks(network, torch.rand(5, 64, 96))
    with pytest.raises(WeightsError, match="answers by its focus guide"):
        fuse_stacks(network_of("guided"), grey_stacks(1, 3))


@torch.inference_mode()
@pytest.mark.parametrize("name", ["published", "guided"])
@pytest.mark.parametrize("count", [2, 5, 11])
def test_slice_by_slice_it_answers_as_at_once(name: str, count: int) -> None:
    network = network_of(name)
    images, dioptres = noise_sweep(count, 40, 52)
    found = network(images, dioptres)
    assert found.position.shape == (1, 40, 52)
    assert (found.confidence_logits is not None) == (name == "guided")
    assert_close(streamed(network, images, dioptres), found)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["published", "guided"])
def test_an_early_answer_is_that_of_the_slices_so_far(name: str) -> None:
    network = network_of(name)
    images, dioptres = noise_sweep(6)
    state: StackState | None = None
    for number in range(6):
        state = network.step(state, network.encode(images[:, number], dioptres[:, number]))
        if number == 3:
            early = network.decode(state)
    assert_close(early, network(images[:, :4], dioptres[:, :4]))
    assert state is not None
    assert_close(network.decode(state), network(images, dioptres))


@torch.inference_mode()
@pytest.mark.parametrize("name", ["published", "guided"])
def test_stacks_of_a_batch_do_not_touch_each_other(name: str) -> None:
    network = network_of(name)
    images, dioptres = noise_sweep(4, batch=2)
    found = network(images, dioptres)
    for number in range(2):
        alone = network(images[number : number + 1], dioptres[number : number + 1])
        torch.testing.assert_close(alone.position[0], found.position[number], atol=1e-4, rtol=0.0)


@torch.inference_mode()
def test_slices_count_where_they_show_the_scene() -> None:
    for name in ("published", "guided"):
        network = network_of(name)
        images, dioptres = noise_sweep(4, 64, 128)
        mask = torch.ones(1, 64, 128, dtype=torch.bool)
        mask[:, :, :24] = False
        found = []
        for hidden in (None, mask):
            state: StackState | None = None
            for number in range(4):
                masked = hidden if number == 1 else None
                encoded = network.encode(images[:, number], dioptres[:, number], masked)
                state = network.step(state, encoded)
            assert state is not None
            found.append(network.decode(state).position)
        assert (found[0] - found[1])[..., :20].abs().max() > 1e-3
        if name == "published":  # without a guide what is seen is not touched at all
            assert (found[0] - found[1])[..., 32:].abs().max() < 1e-6


@pytest.mark.parametrize("name", ["published", "guided"])
def test_both_directions_and_the_features_learn(name: str) -> None:
    network = network_of(name).train()
    images, dioptres = noise_sweep(4, batch=2)
    found = network(images, dioptres)
    (found.position.square().mean() + sum(p.mean() for p in found.coarse_positions)).backward()
    for part in (network.features, network.onward, network.backward):
        for label, parameter in part.named_parameters():
            assert parameter.grad is not None, label
            assert parameter.grad.abs().max() > 0.0, label
    assert len(found.coarse_positions) == (3 if name == "guided" else 0)


@torch.inference_mode()
@pytest.mark.parametrize("part", ["onward", "backward"])
def test_the_answer_needs_both_directions(part: str) -> None:
    network = network_of("guided")
    images, dioptres = noise_sweep(4)
    before = network(images, dioptres).position
    for parameter in getattr(network, part).parameters():
        parameter.zero_()
    assert (network(images, dioptres).position - before).abs().max() > 1e-4


@torch.inference_mode()
def test_folding_the_norms_changes_nothing() -> None:
    network = network_of("guided")
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 2.0)
    images, dioptres = noise_sweep(4)
    before = network(images, dioptres)
    network.fold()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
    assert_close(network(images, dioptres), before)


def test_what_is_no_sweep() -> None:
    network = network_of("guided")
    images, dioptres = noise_sweep(3)
    with pytest.raises(SliceError, match="give uint8 RGB"):
        network(images.float(), dioptres)
    with pytest.raises(StackError, match="two of a stack are equal"):
        network(images, torch.ones(1, 3))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": (8, 16, 24, 32, 48)}, "channels are .* give 6 multiples of 4"),
        ({"channels": (8, 16, 24, 32, 48, 65)}, "give 6 multiples of 4"),
        ({"norm": "layer"}, "norm 'layer' is not known; use group, batch"),
        ({"stride": 2}, "stride is 2; use 1 or 4"),
        ({"stride": 1, "focus_guide": True}, "needs stride 4"),
        ({"confidence": True}, "told by the focus_guide"),
        ({"hidden": 0}, "hidden is 0; it must be at least 1"),
    ],
)
def test_bad_configurations_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        replace(StackMffV2Config(), **changes)


def test_presets_by_name() -> None:
    assert preset("published") == StackMffV2Config()
    guided = preset("guided", hidden=8)
    assert StackMffV2Config.from_dict(guided.to_dict()) == guided
    with pytest.raises(OptionError, match="no preset 'small'; choose one of published, guided"):
        preset("small")
    with pytest.raises(OptionError, match="StackMFF-V2 has no option 'depth'"):
        preset("guided", depth=3)
    with pytest.raises(OptionError, match="'hidden' is '8'; it must be of type int"):
        preset("guided", hidden="8")


def test_weights_are_kept(tmp_path: Path) -> None:
    network = network_of("guided")
    path = tmp_path / "guided.safetensors"
    save_weights(path, network)
    loaded = load_weights(path)
    assert isinstance(loaded, StackMffV2)
    images, dioptres = noise_sweep(4)
    with torch.inference_mode():
        assert_close(loaded(images, dioptres), network(images, dioptres), atol=0.02)


def test_what_is_no_official_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with pytest.raises(WeightsError, match=r"model.pth cannot be read as a checkpoint"):
        load_published(path)
    path.write_bytes(b"PK no pickle")
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        load_published(path)
    torch.save([1.0], path)
    with pytest.raises(WeightsError, match="holds a list; expected tensors by name"):
        load_published(path)
    torch.save({"module.feature_extraction.final.weight": torch.zeros(8, 8, 1, 1)}, path)
    with pytest.raises(WeightsError, match=r"does not hold .*Missing key"):
        load_published(path)


@torch.inference_mode()
@pytest.mark.parametrize("rows", [64, 80, 130])
def test_bands_of_rows_answer_as_the_whole(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("guided")
    images, dioptres = noise_sweep(3, 411, 50)  # 208 rows of cells, padded ones among them
    mask = torch.ones(1, 411, 50, dtype=torch.bool)
    mask[:, 250:300] = False
    state: StackState | None = None
    for number in range(3):
        masked = mask if number == 1 else None
        encoded = network.encode(images[:, number], dioptres[:, number], masked)
        state = network.step(state, encoded)
    assert state is not None
    whole = network.decode(state)
    seen = []
    one_band = network.guide.looked_at
    monkeypatch.setattr(model, "rows_of_a_band", lambda *given: rows)
    monkeypatch.setattr(
        network.guide, "looked_at", lambda given: seen.append(given) or one_band(given)
    )
    banded = network.decode(state)
    assert len(seen) == {64: 3, 80: 2, 130: 2}[rows]
    assert max(given.energies.shape[3] for given in seen) < 208
    assert_close(banded, whole, atol=1e-5)


def test_only_large_pictures_are_taken_in_bands() -> None:
    assert rows_of_a_band((240, 320), 10 * 6) == 240
    assert rows_of_a_band((192, 320), 32 * 6) == 192
    rows = rows_of_a_band((1504, 2000), 10 * 6)
    assert rows % 2 == 0
    assert 64 <= rows < 1504
    assert rows_of_a_band((4000, 6000), 60 * 6) == 64


@torch.inference_mode()
@pytest.mark.parametrize("name", ["published", "guided"])
def test_the_first_state_is_that_after_zeros(name: str) -> None:
    cell = network_of(name).onward
    features = torch.rand(2, 8, 6, 10).to(memory_format=torch.channels_last)
    found = cell(features, None)
    torch.testing.assert_close(found, cell(features, torch.zeros(2, 16, 6, 10)))
    assert found.is_contiguous(memory_format=torch.channels_last)
