"""What the classical backends promise, whatever comes in; networks have tests of their own."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from synthetic_sweeps import (
    DIOPTRES,
    SIZE,
    as_colour,
    as_read_only_views,
    same_image,
    texture,
    true_index,
    two_surfaces,
)

from focdepth_ros.backends.base import Backend, SweepSpec, spec_of
from focdepth_ros.backends.registry import (
    create_backend,
    list_backends,
)
from focdepth_ros.classical.focus_operators import focus_measure_names
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import BackendError, OptionError, StackError, UnknownBackendError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.stack import FocalStack, ImageArray, Slice

CLASSICAL = ("graph_cut", "argmax")
UNUSABLE = {info.name: info.unusable_because for info in list_backends()}
SPEC = SweepSpec(height=SIZE[0], width=SIZE[1])
# The columns away from the edge between the two surfaces.
INSIDE = np.s_[:, np.r_[0:22, 42 : SIZE[1]]]


@pytest.fixture(params=CLASSICAL)
def backend(request: pytest.FixtureRequest) -> Backend:
    if UNUSABLE[request.param] is not None:
        pytest.skip(str(UNUSABLE[request.param]))
    return create_backend(request.param)


def stream(backend: Backend, slices: Sequence[Slice], spec: SweepSpec = SPEC) -> DepthEstimate:
    accumulator = backend.start(spec)
    for item in slices:
        accumulator.add(item)
    return accumulator.finish()


def assert_same(one: DepthEstimate, other: DepthEstimate) -> None:
    np.testing.assert_array_equal(one.depth, other.depth)
    np.testing.assert_array_equal(one.confidence, other.confidence)
    np.testing.assert_array_equal(one.slice_index, other.slice_index)
    if one.all_in_focus is None or other.all_in_focus is None:
        assert one.all_in_focus is other.all_in_focus
    else:
        np.testing.assert_array_equal(one.all_in_focus, other.all_in_focus)


def assert_whole(estimate: DepthEstimate, size: tuple[int, int], count: int) -> None:
    """Every pixel is answered, in range and in the promised type."""
    for image in (estimate.depth, estimate.confidence, estimate.slice_index):
        assert image.shape == size
        assert image.dtype == np.float32
        assert not np.isnan(image).any()
    assert estimate.confidence.min() >= 0.0
    assert estimate.confidence.max() <= 1.0
    assert estimate.slice_index.min() >= 0.0
    assert estimate.slice_index.max() <= count - 1
    if estimate.all_in_focus is not None:
        assert estimate.all_in_focus.shape == (*size, 3)
        assert estimate.all_in_focus.dtype == np.uint8


def test_finds_two_surfaces(backend: Backend) -> None:
    estimate = backend.estimate(FocalStack(two_surfaces()))
    assert_whole(estimate, SIZE, len(DIOPTRES))
    assert estimate.backend == backend.name
    assert estimate.metric
    assert estimate.warnings == ()
    error = np.abs(estimate.slice_index - true_index())[INSIDE]
    assert np.mean(error < 0.5) > 0.95
    assert np.median(error) < 0.15


def test_depth_is_that_of_the_position_between_the_slices(backend: Backend) -> None:
    estimate = backend.estimate(FocalStack(two_surfaces()))
    dioptres = np.interp(estimate.slice_index, np.arange(len(DIOPTRES)), DIOPTRES)
    np.testing.assert_allclose(estimate.depth, 1.0 / dioptres, rtol=1e-5)


def test_the_all_in_focus_image_is_sharper_than_any_slice(backend: Backend) -> None:
    slices = two_surfaces(noise=0.0)
    picture = backend.estimate(FocalStack(slices)).all_in_focus
    assert picture is not None
    sharp = texture()[INSIDE].astype(float)

    def error(image: ImageArray) -> float:
        return float(np.abs(image[INSIDE] - sharp).mean())

    assert error(picture) < 0.25 * min(error(item.image) for item in slices)


def test_streaming_equals_the_whole_stack(backend: Backend) -> None:
    slices = two_surfaces()
    assert_same(stream(backend, slices), backend.estimate(FocalStack(slices)))


@pytest.mark.parametrize("order", [slice(None, None, -1), [3, 0, 6, 1, 5, 2, 4]])
def test_the_order_of_the_slices_does_not_matter(backend: Backend, order: Any) -> None:
    slices = two_surfaces()
    shuffled = list(np.array(slices, dtype=object)[order])
    assert_same(stream(backend, shuffled), stream(backend, slices))


def test_can_be_asked_for_an_answer_early(backend: Backend) -> None:
    slices = two_surfaces()
    accumulator = backend.start(spec_of(FocalStack(slices)))
    for item in slices[:4]:
        accumulator.add(item)
    assert_same(accumulator.finish(), backend.estimate(FocalStack(slices[:4])))


@pytest.mark.parametrize("count", [0, 1])
def test_needs_two_slices(backend: Backend, count: int) -> None:
    with pytest.raises(StackError, match=f"at least 2 slices, this one has {count}"):
        stream(backend, two_surfaces()[:count])


def test_a_repeated_distance_replaces_the_last_slice(backend: Backend) -> None:
    slices = two_surfaces()
    spoilt = Slice(np.zeros_like(slices[3].image), slices[3].focus_distance)
    assert_same(stream(backend, [*slices[:3], spoilt, *slices[3:]]), stream(backend, slices))


def test_two_slices_tell_which_is_sharper(backend: Backend) -> None:
    chosen = (DIOPTRES[1], DIOPTRES[5])  # those at which the surfaces are
    estimate = stream(backend, two_surfaces(chosen))
    assert_whole(estimate, SIZE, 2)
    right = np.abs(estimate.slice_index - true_index(chosen)) < 0.5
    assert np.mean(right[INSIDE]) > 0.95


def test_three_slices(backend: Backend) -> None:
    chosen = (DIOPTRES[1], DIOPTRES[3], DIOPTRES[5])
    estimate = stream(backend, two_surfaces(chosen))
    assert_whole(estimate, SIZE, 3)
    right = np.abs(estimate.slice_index - true_index(chosen)) < 0.5
    assert np.mean(right[INSIDE]) > 0.95


def test_distances_need_not_be_evenly_spaced(backend: Backend) -> None:
    dioptres = (2.9, 2.3, 2.15, 1.7, 1.05, 0.95, 0.2)
    estimate = stream(backend, two_surfaces(dioptres))
    assert_whole(estimate, SIZE, len(dioptres))
    right = np.abs(estimate.slice_index - true_index(dioptres)) < 1.0
    assert np.mean(right[INSIDE]) > 0.95


def test_mono_images(backend: Backend) -> None:
    mono = two_surfaces(mono=True)
    estimate = stream(backend, mono)
    assert_whole(estimate, SIZE, len(DIOPTRES))
    assert_same(estimate, stream(backend, as_colour(mono)))


def test_images_that_are_views_or_cannot_be_written(backend: Backend) -> None:
    slices = two_surfaces()
    assert_same(stream(backend, as_read_only_views(slices)), stream(backend, slices))


def test_a_relative_stack_gives_positions(backend: Backend) -> None:
    metric = two_surfaces(tuple(np.linspace(2.5, 0.7, 7)))
    relative = FocalStack([Slice(item.image, None) for item in metric])
    estimate = backend.estimate(relative)
    assert_whole(estimate, SIZE, 7)
    assert not estimate.metric
    np.testing.assert_array_equal(estimate.depth, estimate.slice_index)
    np.testing.assert_allclose(
        estimate.slice_index, backend.estimate(FocalStack(metric)).slice_index, atol=1e-3
    )


def test_a_sweep_to_infinity(backend: Backend) -> None:
    estimate = stream(backend, two_surfaces((2.2, 1.6, 1.0, 0.5, 0.0)))
    assert_whole(estimate, SIZE, 5)
    at_infinity = estimate.slice_index == 4.0
    np.testing.assert_array_equal(np.isinf(estimate.depth), at_infinity)
    assert np.all(estimate.depth > 0.0)
    assert np.median(estimate.depth[:, :22]) == pytest.approx(1 / 2.2, rel=0.1)


def test_what_is_sharpest_at_infinity_is_infinitely_far(backend: Backend) -> None:
    # The surface on the right is the sharper the farther the focus.
    shifted = [
        Slice(item.image, 1.0 / dioptre if dioptre else np.inf)
        for item, dioptre in zip(
            two_surfaces((2.2, 1.9, 1.6, 1.3, 1.0)), (1.2, 0.9, 0.6, 0.3, 0.0), strict=True
        )
    ]
    depth = stream(backend, shifted).depth[:, 44:]
    assert np.median(depth) > 20.0


def test_the_all_in_focus_image_is_made_only_if_wanted(backend: Backend) -> None:
    stack = FocalStack(two_surfaces())
    without = backend.estimate(stack, all_in_focus=False)
    assert without.all_in_focus is None
    np.testing.assert_array_equal(without.depth, backend.estimate(stack).depth)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 40), (40, 1), (3, 3), (7, 5)])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_tiny_images(backend: Backend, size: tuple[int, int], count: int) -> None:
    slices = two_surfaces(DIOPTRES[:count], size=size)
    estimate = stream(backend, slices, SweepSpec(height=size[0], width=size[1]))
    assert_whole(estimate, size, count)


IMAGES = {
    "black": np.zeros((*SIZE, 3), np.uint8),
    "grey": np.full((*SIZE, 3), 128, np.uint8),
    "saturated": np.full((*SIZE, 3), 255, np.uint8),
    "textured": texture(),
    "textured mono": texture(mono=True),
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("count", [2, 5])
def test_a_sweep_in_which_nothing_changes_is_not_believed(
    backend: Backend, image: ImageArray, count: int
) -> None:
    estimate = backend.estimate(same_image(image, count))
    assert_whole(estimate, SIZE, count)
    np.testing.assert_allclose(estimate.confidence, 0.0, atol=1e-3)


@pytest.mark.parametrize("level", [3, 128, 252])
def test_noise_is_mostly_not_believed(backend: Backend, level: int) -> None:
    rng = np.random.default_rng(level)
    noise = rng.normal(level, 2.0, (5, *SIZE, 3)).clip(0, 255).astype(np.uint8)
    stack = FocalStack([Slice(image, 1.0 + i) for i, image in enumerate(noise)])
    estimate = backend.estimate(stack)
    assert_whole(estimate, SIZE, 5)
    believed = np.mean(estimate.confidence >= DEFAULT_MIN_CONFIDENCE)
    # The baseline does not compare neighbours, so it takes some of the noise for texture.
    assert believed < (0.25 if backend.name == "argmax" else 0.02)


def test_a_surface_that_is_never_in_focus_is_not_believed() -> None:
    if UNUSABLE["graph_cut"] is not None:
        pytest.skip(str(UNUSABLE["graph_cut"]))
    graph_cut = create_backend("graph_cut")
    short = two_surfaces((1.9, 1.7, 1.5, 1.3), noise=0.0)  # between the two surfaces
    estimate = stream(graph_cut, short)
    believed = estimate.confidence >= DEFAULT_MIN_CONFIDENCE
    assert np.mean(believed) < 0.02
    whole = stream(graph_cut, two_surfaces(noise=0.0))
    assert np.mean(whole.confidence >= DEFAULT_MIN_CONFIDENCE) > 0.5


def test_graph_cut_evens_out_the_noise_on_a_surface() -> None:
    if UNUSABLE["graph_cut"] is not None:
        pytest.skip(str(UNUSABLE["graph_cut"]))
    estimate = stream(create_backend("graph_cut"), two_surfaces(noise=8.0))
    # 0.009 slices; without smoothing 0.021.
    assert np.std((estimate.slice_index - true_index())[INSIDE]) < 0.014


def test_sweeps_that_share_slices_are_answered_alike(backend: Backend) -> None:
    slices = two_surfaces((*DIOPTRES, 0.4, 0.1))
    for first in range(4):
        window = slices[first : first + 6]
        fresh = create_backend(backend.name)
        assert_same(stream(backend, window), stream(fresh, window))


def test_two_sweeps_at_a_time_do_not_mix(backend: Backend) -> None:
    one, other = two_surfaces(), two_surfaces(seed=5)
    first, second = backend.start(SPEC), backend.start(SPEC)
    for left, right in zip(one, other, strict=True):
        first.add(left)
        second.add(right)
    assert_same(first.finish(), stream(create_backend(backend.name), one))
    assert_same(second.finish(), stream(create_backend(backend.name), other))


def test_slices_are_let_go_after_the_sweep(backend: Backend) -> None:
    slices = two_surfaces()
    images = [weakref.ref(item) for item in slices]
    stream(backend, slices)
    del slices
    gc.collect()
    assert [ref() for ref in images] == [None] * len(images)


def test_more_slices_than_labels_is_an_error() -> None:
    if UNUSABLE["graph_cut"] is not None:
        pytest.skip(str(UNUSABLE["graph_cut"]))
    image = np.zeros((4, 5), np.uint8)
    stack = FocalStack([Slice(image, 1.0 + i) for i in range(257)])
    with pytest.raises(BackendError, match="257 labels, at most 256"):
        create_backend("graph_cut").estimate(stack)
    assert create_backend("argmax").estimate(stack).depth.shape == (4, 5)


OUT_OF_RANGE: list[tuple[str, str, Any]] = [
    ("argmax", "sigma", -1.0),
    ("argmax", "sigma", float("nan")),
    ("argmax", "window_sigma", 101.0),
    ("argmax", "window_sigma", "wide"),
    ("graph_cut", "sigma", -1.0),
    ("graph_cut", "sigma", float("nan")),
    ("graph_cut", "measure", "sharpness"),
    ("graph_cut", "gaussian_size", 4),
    ("graph_cut", "sigma", "wide"),
    ("graph_cut", "window_sigma", 0.4),
    ("graph_cut", "unary", "linear"),
    ("graph_cut", "unary_scale", -0.1),
    ("graph_cut", "pair_scale", float("inf")),
    ("graph_cut", "edge_contrast", 256.0),
    ("graph_cut", "truncation", 0),
    ("graph_cut", "truncation", 256),
    ("graph_cut", "truncation", 2.5),
    ("graph_cut", "solver", "slow"),
    ("graph_cut", "median_radius", 201),
    ("graph_cut", "max_cycles", 0),
]


@pytest.mark.parametrize(("name", "option", "value"), OUT_OF_RANGE)
def test_an_option_out_of_range_is_named(name: str, option: str, value: Any) -> None:
    if UNUSABLE[name] is not None:
        pytest.skip(str(UNUSABLE[name]))
    with pytest.raises(OptionError, match=f"'{option}' is .*{value}"):
        create_backend(name, **{option: value})


def test_an_option_that_does_not_exist_is_named(backend: Backend) -> None:
    with pytest.raises(OptionError, match="no option 'sharpness'; it has .*sigma"):
        create_backend(backend.name, sharpness=2)


def test_options_take_effect(backend: Backend) -> None:
    slices = two_surfaces()
    wide = create_backend(backend.name, window_sigma=9.0)
    assert not np.array_equal(stream(wide, slices).confidence, stream(backend, slices).confidence)


def test_whole_slices_on_request() -> None:
    backend = create_backend("graph_cut", sub_slice=False)
    positions = backend.estimate(FocalStack(two_surfaces())).slice_index
    assert set(np.unique(positions)) <= set(range(len(two_surfaces())))


@pytest.mark.parametrize("measure", focus_measure_names())
@pytest.mark.parametrize("unary", ["log", "inverse"])
def test_every_focus_measure_and_cost_tells_two_surfaces_apart(measure: str, unary: str) -> None:
    scale = {"unary_scale": 100.0} if unary == "inverse" else {}
    backend = create_backend("graph_cut", measure=measure, unary=unary, **scale)
    found = backend.estimate(FocalStack(two_surfaces())).slice_index
    assert np.median(np.abs(found - true_index())) < 0.5


def test_a_backend_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownBackendError, match="no backend 'graphcut'; choose .*graph_cut"):
        create_backend("graphcut")


def test_every_backend_introduces_itself() -> None:
    for info in list_backends():
        assert info.summary
        if info.unusable_because is None:
            assert create_backend(info.name).name == info.name
