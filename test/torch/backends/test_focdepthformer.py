"""What the backend `focdepthformer` promises, with a small network of random weights."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from streamed import SPEC, stream
from synthetic_sweeps import (
    DIOPTRES,
    SIZE,
    as_colour,
    as_read_only_views,
    same_image,
    texture,
    two_surfaces,
)

from focdepth_ros.backends.base import Backend, SweepSpec
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.errors import (
    OptionError,
    SliceError,
    StackError,
)
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.models import inference, precision
from focdepth_ros.models.cuda_graphs import CapturedFunction
from focdepth_ros.models.depth_confidence import logit_of_depth
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.stack import FocalStack, ImageArray, Slice


def assert_close(one: DepthEstimate, other: DepthEstimate) -> None:
    np.testing.assert_allclose(one.slice_index, other.slice_index, atol=1e-4)
    np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-4)
    np.testing.assert_allclose(one.depth, other.depth, rtol=1e-3)


def count_encodings(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seen: list[float] = []
    encode = inference.SweepRunner.encode

    def counted(self: Any, item: Slice, dioptre: float, **how: bool) -> Any:
        seen.append(dioptre)
        return encode(self, item, dioptre, **how)

    monkeypatch.setattr(inference.SweepRunner, "encode", counted)
    return seen


@pytest.mark.parametrize("size", [(48, 64), (33, 47), (1, 1)])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_every_pixel_is_answered_in_range(
    backend: Backend, size: tuple[int, int], count: int
) -> None:
    slices = two_surfaces(DIOPTRES[:count], size=size)
    estimate = stream(backend, slices, SweepSpec(height=size[0], width=size[1]))
    assert estimate.backend == "focdepthformer"
    assert estimate.metric
    assert estimate.warnings == ()
    for image in (estimate.depth, estimate.confidence, estimate.slice_index):
        assert image.shape == size
        assert image.dtype == np.float32
    assert estimate.slice_index.min() >= 0.0
    assert estimate.slice_index.max() <= count - 1
    # Nothing beyond the sweep is made up.
    assert estimate.depth.min() >= 1.0 / DIOPTRES[0] - 1e-4
    assert estimate.depth.max() <= 1.0 / DIOPTRES[count - 1] + 1e-4
    assert 0.0 <= estimate.confidence.min() <= estimate.confidence.max() <= 1.0
    assert estimate.all_in_focus is not None
    assert estimate.all_in_focus.shape == (*size, 3)
    assert set(estimate.timings) == {"positions", "all_in_focus"}


def test_depth_is_that_of_the_position_between_the_slices(backend: Backend) -> None:
    dioptres = (2.9, 2.3, 2.15, 1.7, 1.05, 0.95, 0.2)
    estimate = stream(backend, two_surfaces(dioptres))
    expected = np.interp(estimate.slice_index, np.arange(7), dioptres)
    np.testing.assert_allclose(estimate.depth, 1.0 / expected, rtol=1e-5)


def test_positions_are_those_of_the_network(backend: Backend, weights: str) -> None:
    slices = two_surfaces()
    network = inference.read_weights(weights).network_as(FocDepthFormer)
    images = np.stack([item.image for item in slices]).transpose(0, 3, 1, 2)[None]
    dioptres = torch.tensor([DIOPTRES], dtype=torch.float32)
    with torch.inference_mode():
        found = network(torch.from_numpy(images.copy()), dioptres)
    position = found.position[0].clamp(0.0, 1.0).numpy()
    inverse = DIOPTRES[-1] + position * (DIOPTRES[0] - DIOPTRES[-1])
    estimate = stream(backend, slices)
    np.testing.assert_allclose(1.0 / estimate.depth, inverse, atol=2e-3)
    falling, near = torch.tensor(DIOPTRES), torch.from_numpy(inverse)
    logit = logit_of_depth(found.confidence_logits[0], near, falling)
    np.testing.assert_allclose(estimate.confidence, torch.sigmoid(logit).numpy(), atol=2e-3)


def test_can_be_asked_for_an_answer_early_and_again(backend: Backend) -> None:
    slices = two_surfaces()
    accumulator = backend.start(SPEC)
    for item in slices[:4]:
        accumulator.add(item)
    assert_close(accumulator.finish(), backend.estimate(FocalStack(slices[:4])))
    for item in slices[4:]:
        accumulator.add(item)
    assert_close(accumulator.finish(), backend.estimate(FocalStack(slices)))


@pytest.mark.parametrize("count", [0, 1])
def test_needs_two_slices(backend: Backend, count: int) -> None:
    with pytest.raises(StackError, match=f"at least 2 slices, this one has {count}"):
        stream(backend, two_surfaces()[:count])


def test_a_repeated_distance_replaces_the_last_slice(backend: Backend) -> None:
    slices = two_surfaces()
    spoilt = Slice(np.zeros_like(slices[3].image), slices[3].focus_distance)
    twice = [*slices[:3], spoilt, spoilt, *slices[3:]]
    assert_close(stream(backend, twice), stream(backend, slices))
    first = Slice(np.zeros_like(slices[0].image), slices[0].focus_distance)
    assert_close(stream(backend, [first, *slices]), stream(backend, slices))


def test_a_slice_that_does_not_belong_is_refused_and_the_sweep_goes_on(backend: Backend) -> None:
    slices = two_surfaces()
    accumulator = backend.start(SPEC)
    for item in slices[:3]:
        accumulator.add(item)
    with pytest.raises(SliceError, match="already has a slice"):
        accumulator.add(Slice(slices[0].image, slices[0].focus_distance))
    for item in slices[3:]:
        accumulator.add(item)
    assert_close(accumulator.finish(), stream(backend, slices))


def test_mono_images_are_like_grey_ones(backend: Backend) -> None:
    mono = two_surfaces(mono=True)
    assert_close(stream(backend, mono), stream(backend, as_colour(mono)))


def test_images_that_are_views_or_cannot_be_written(backend: Backend) -> None:
    slices = two_surfaces()
    assert_close(stream(backend, as_read_only_views(slices)), stream(backend, slices))


def test_a_relative_stack_gives_positions(backend: Backend) -> None:
    relative = FocalStack([Slice(item.image, None) for item in two_surfaces()])
    estimate = backend.estimate(relative)
    assert not estimate.metric
    np.testing.assert_array_equal(estimate.depth, estimate.slice_index)
    # It is shown as a sweep like this one.
    metric = FocalStack(
        [
            Slice(item.image, 1.0 / (3.0 - 0.25 * number))
            for number, item in enumerate(relative.slices)
        ]
    )
    np.testing.assert_allclose(
        estimate.slice_index, backend.estimate(metric).slice_index, atol=1e-4
    )


def test_a_long_relative_stack(backend: Backend) -> None:
    images = [texture(seed=number) for number in range(20)]
    estimate = backend.estimate(FocalStack([Slice(image, None) for image in images]))
    assert np.isfinite(estimate.depth).all()
    assert estimate.slice_index.max() <= 19.0


def test_more_slices_than_fit_a_byte(backend: Backend) -> None:
    images = np.random.default_rng(0).integers(0, 256, (257, 8, 8, 3), np.uint8)
    slices = [Slice(image, 1.0 / (3.0 - 0.01 * number)) for number, image in enumerate(images)]
    estimate = stream(backend, slices, SweepSpec(height=8, width=8))
    assert np.isfinite(estimate.depth).all()


def test_a_sweep_to_infinity(backend: Backend) -> None:
    estimate = stream(backend, two_surfaces((2.2, 1.6, 1.0, 0.5, 0.0)))
    at_infinity = estimate.slice_index == 4.0
    np.testing.assert_array_equal(np.isinf(estimate.depth), at_infinity)
    assert np.all(estimate.depth > 0.0)


def test_masks_of_what_was_out_of_view(backend: Backend) -> None:
    slices = two_surfaces()
    mask = np.ones(SIZE, np.bool_)
    mask[:, :20] = False
    black = np.where(mask[..., np.newaxis], slices[1].image, np.uint8(0))
    hidden = [slices[0], Slice(black, slices[1].focus_distance, valid_mask=mask), *slices[2:]]
    estimate = stream(backend, hidden)
    assert np.isfinite(estimate.depth).all()
    assert estimate.all_in_focus is not None
    assert estimate.all_in_focus[:, :20].min() > 0  # never from where it shows nothing
    assert not np.array_equal(estimate.slice_index, stream(backend, slices).slice_index)


@pytest.mark.parametrize("all_in_focus", ["sharpness", "depth"])
@pytest.mark.parametrize("aif_blend", [True, False])
def test_the_all_in_focus_image(
    create: Callable[..., Backend], all_in_focus: str, aif_blend: bool
) -> None:
    backend = create(all_in_focus=all_in_focus, aif_blend=aif_blend)
    slices = two_surfaces(noise=0.0)
    picture = backend.estimate(FocalStack(slices)).all_in_focus
    assert picture is not None
    without = backend.estimate(FocalStack(slices), all_in_focus=False)
    assert without.all_in_focus is None
    if all_in_focus == "sharpness":  # needs no training
        inside = np.s_[:, np.r_[0:22, 42 : SIZE[1]]]
        sharp = texture()[inside].astype(float)

        def error(image: ImageArray) -> float:
            return float(np.abs(image[inside] - sharp).mean())

        assert error(picture) < 0.4 * min(error(item.image) for item in slices)


@pytest.mark.parametrize("level", [0, 255])
def test_sweeps_without_anything_in_them(backend: Backend, level: int) -> None:
    estimate = backend.estimate(same_image(np.full((*SIZE, 3), level, np.uint8), 3))
    assert np.isfinite(estimate.depth).all()


def test_slices_of_overlapping_sweeps_are_looked_at_once(
    backend: Backend, create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.start(SPEC)  # a GPU is warmed up by it
    seen = count_encodings(monkeypatch)
    slices = two_surfaces()
    for first in range(3):
        stream(backend, slices[first : first + 5])
    assert seen == pytest.approx(DIOPTRES)
    found = stream(backend, slices[::-1])
    assert len(seen) == len(DIOPTRES)
    assert_close(found, stream(create(precision="fp32"), slices[::-1]))


def test_slices_are_let_go_after_the_sweep(backend: Backend) -> None:
    slices = two_surfaces()
    images = [weakref.ref(item) for item in slices]
    stream(backend, slices)
    del slices
    gc.collect()
    assert [ref() for ref in images] == [None] * len(images)


def test_large_slices_are_not_held_twice(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    backend.start(SPEC)
    slices = two_surfaces()
    runner: inference.SweepRunner = backend._runner  # type: ignore[attr-defined]
    features = runner.encode(slices[0], 1.0)
    assert features.energies is not None
    assert features.picture is not None
    held = (*features.tokens, features.energies, features.picture, features.dioptre)
    size = sum(tensor.nbytes for tensor in held)
    monkeypatch.setattr("focdepth_ros.models.feature_cache._MAX_BYTES", 3 * size)
    seen = count_encodings(monkeypatch)
    for _ in range(2):
        stream(backend, slices)
    assert len(seen) == 2 * len(slices) - 3


def test_two_sweeps_at_a_time_do_not_mix(backend: Backend) -> None:
    one, other = two_surfaces(), two_surfaces(seed=5)
    first, second = backend.start(SPEC), backend.start(SPEC)
    for left, right in zip(one, other, strict=True):
        first.add(left)
        second.add(right)
    assert_close(first.finish(), stream(backend, one))
    assert_close(second.finish(), stream(backend, other))


def test_weights_that_are_cast_once_answer_the_same(
    create: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = two_surfaces()
    backend = create(precision="bf16")
    network = backend._runner.network  # type: ignore[attr-defined]
    kinds = {name: tensor.dtype for name, tensor in network.named_parameters()}
    assert kinds["lstm.cells.0.weight_ih"] == kinds["refine.mix.bias"] == torch.bfloat16
    assert kinds["encoder.vit.pos_embed"] == network.energies.operator.dtype == torch.float32
    found = stream(backend, slices)
    monkeypatch.setattr(precision, "_CAST_ONCE", ())
    expected = stream(create(precision="bf16"), slices)
    # The steps of bf16 numbers around 0.5 are of 0.004, and a GPU adds in another order.
    np.testing.assert_allclose(found.slice_index, expected.slice_index, atol=4e-3)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=4e-3)


def test_the_focus_measure_is_not_rounded_by_the_gpu(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner: inference.SweepRunner = backend._runner  # type: ignore[attr-defined]
    allowed: list[bool] = []

    def energies(images: torch.Tensor) -> torch.Tensor:
        allowed.append(torch.backends.cudnn.allow_tf32)
        return forward(images)

    forward = runner.network.energies.forward
    monkeypatch.setattr(runner.network.energies, "forward", energies)
    before = torch.backends.cudnn.allow_tf32
    runner.encode(two_surfaces()[0], 1.0)
    assert allowed == [False]
    assert torch.backends.cudnn.allow_tf32 == before


def test_half_precision_is_close(create: Callable[..., Backend]) -> None:
    slices = two_surfaces()
    full = stream(create(precision="fp32"), slices)
    half = stream(create(precision="bf16"), slices)
    assert np.mean(np.abs(half.slice_index - full.slice_index)) < 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "int8"}, "'precision' is 'int8'; it must be one of auto"),
        ({"all_in_focus": "both"}, "'all_in_focus' is 'both'"),
        ({"threads": 3}, "no option 'threads'; it has weights, device"),
    ],
)
def test_options_of_no_use(weights: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        create_backend("focdepthformer", **{"weights": weights, "device": "cpu", **options})


def test_a_gpu_is_given_recorded_work_unless_asked_otherwise(
    create: Callable[..., Backend], device: str
) -> None:
    runner = create(compile="auto")._runner  # type: ignore[attr-defined]
    assert isinstance(runner._answer, CapturedFunction) == (device == "cuda")


@pytest.mark.parametrize("compilation", ["torch_compile", "cuda_graphs"])
def test_what_is_made_faster_answers_the_same(
    create: Callable[..., Backend],
    backend: Backend,
    device: str,
    compilation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if device == "cpu":
        if compilation == "cuda_graphs":
            pytest.skip("no CUDA device")
        # The compiler itself takes minutes; that it is asked for is what is tested.
        compiled = torch.nn.Module.compile
        asked: list[type] = []

        def quick(self: torch.nn.Module, **options: Any) -> None:
            asked.append(type(self))
            compiled(self, backend="eager", **options)

        monkeypatch.setattr(torch.nn.Module, "compile", quick)
    slices = two_surfaces()
    faster = create(precision="fp32", compile=compilation)
    for _ in range(2):
        assert_close(stream(faster, slices), stream(backend, slices))
    assert_close(stream(faster, slices[:3]), stream(backend, slices[:3]))
    if device == "cpu":
        assert [kind.__name__ for kind in asked] == ["SliceEncoder", "Decoder", "FocusEnergies"]


def test_every_size_is_warmed_up_once_where_that_helps(
    create: Callable[..., Backend], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = count_encodings(monkeypatch)
    backend = create()
    for _ in range(2):
        backend.start(SPEC)
    assert len(seen) == (0 if device == "cpu" else 3)


def test_a_relative_stack_whose_first_slices_are_left_out_has_places_of_its_own(
    backend: Backend,
) -> None:
    """Features of relative slices hang on their place, so they are not shared between sweeps."""
    slices = [Slice(item.image, None) for item in two_surfaces()]
    spec = SweepSpec(height=SIZE[0], width=SIZE[1], metric=False)
    stream(backend, slices, spec)
    again = stream(backend, slices[2:], spec)
    fresh = stream(backend, [Slice(item.image, None) for item in slices[2:]], spec)
    np.testing.assert_array_equal(again.slice_index, fresh.slice_index)
