"""What the backend `defocus` promises."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from streamed import SPEC
from streamed import stream as stream_whole
from synthetic_sweeps import (
    BLUR_PER_DIOPTRE,
    DIOPTRES,
    LEFT,
    RIGHT,
    SIZE,
    texture,
    two_surfaces,
)

from focdepth_ros.backends.base import Backend, spec_of
from focdepth_ros.backends.defocus import DefocusBackend
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.defocus import solver
from focdepth_ros.defocus.solver import EpochState
from focdepth_ros.errors import (
    BackendError,
    CalibrationError,
    DeviceError,
    LensUnknownError,
    OptionError,
    SliceError,
    StackError,
)
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation.colour import linear_from_srgb, srgb_from_linear
from focdepth_ros.stack import FocalStack, ImageArray, Lens, Slice

# Its circle of confusion is about 8 px per dioptre: sigma is the 4 px of the sweeps here.
LENS = Lens(focal_length=0.02, f_number=2.0, pixel_pitch=25e-6)
# The columns away from the edge between the two surfaces.
INSIDE = np.s_[:, np.r_[0:22, 42 : SIZE[1]]]


@pytest.fixture
def create(device: str) -> Callable[..., DefocusBackend]:
    def make(**options: Any) -> DefocusBackend:
        # The sweeps here are blurred by a Gaussian, as they are stored.
        blur = {"psf": "gaussian", "linear_light": False, "window": 1, "median_radius": 0}
        plain = {**blur, "device": device, "depths": 40, "epochs": 1}
        backend = create_backend("defocus", **{**plain, **options})
        assert isinstance(backend, DefocusBackend)
        return backend

    return make


@pytest.fixture
def backend(create: Callable[..., DefocusBackend]) -> DefocusBackend:
    return create()


def stream(
    backend: Backend, slices: Sequence[Slice], *, lens: Lens | None = LENS, metric: bool = True
) -> DepthEstimate:
    return stream_whole(backend, slices, replace(SPEC, lens=lens, metric=metric))


def truth() -> np.ndarray:
    """1/m of every pixel."""
    dioptre = np.full(SIZE, RIGHT, np.float32)
    dioptre[:, : SIZE[1] // 2] = LEFT
    return dioptre


def dioptre_error(estimate: DepthEstimate) -> np.ndarray:
    return np.abs(1.0 / estimate.depth - truth())[INSIDE]


def relative(slices: Sequence[Slice], positions: Sequence[float | None]) -> list[Slice]:
    """Without focus distances."""
    return [
        Slice(item.image, None, item.stamp, lens_position=position)
        for item, position in zip(slices, positions, strict=True)
    ]


def test_finds_two_surfaces(create: Callable[..., DefocusBackend]) -> None:
    estimate = stream(create(outliers="keep"), two_surfaces())
    assert estimate.backend == "defocus"
    assert estimate.metric
    assert estimate.warnings == ()
    for image in (estimate.depth, estimate.confidence, estimate.slice_index):
        assert image.shape == SIZE
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
    assert estimate.slice_index.min() >= 0.0
    assert estimate.slice_index.max() <= len(DIOPTRES) - 1
    assert 0.0 <= estimate.confidence.min() <= estimate.confidence.max() <= 1.0
    error = dioptre_error(estimate)
    assert np.median(error) < 0.02  # a slice is 0.3
    assert np.mean(error < 0.15) > 0.95
    assert set(estimate.timings) == {"start", "solve", "depth"}


def test_the_slice_index_is_that_of_the_depth(create: Callable[..., DefocusBackend]) -> None:
    estimate = stream(create(outliers="keep"), two_surfaces())
    inside = (estimate.depth > 1.0 / DIOPTRES[0]) & (estimate.depth < 1.0 / DIOPTRES[-1])
    expected = 1.0 / np.interp(estimate.slice_index, np.arange(len(DIOPTRES)), DIOPTRES)
    np.testing.assert_allclose(estimate.depth[inside], expected[inside], rtol=1e-4)


def test_the_all_in_focus_image_is_sharper_than_any_slice(backend: DefocusBackend) -> None:
    slices = two_surfaces(noise=0.0)
    picture = stream(backend, slices).all_in_focus
    assert picture is not None
    assert picture.dtype == np.uint8
    sharp = texture()[INSIDE].astype(float)

    def error(image: ImageArray) -> float:
        return float(np.abs(image[INSIDE] - sharp).mean())

    assert error(picture) < 0.3 * min(error(item.image) for item in slices)
    wanted = replace(SPEC, lens=LENS, all_in_focus=False)
    assert stream_whole(backend, slices, wanted).all_in_focus is None


def test_order_repeats_and_the_whole_stack_make_no_difference(backend: DefocusBackend) -> None:
    slices = two_surfaces()
    expected = backend.estimate(FocalStack(slices, lens=LENS))
    blank = Slice(np.zeros_like(slices[0].image), slices[0].focus_distance)
    for order in (slices, [*slices[:0:-1], blank, slices[0]]):
        estimate = stream(backend, order)
        np.testing.assert_array_equal(estimate.depth, expected.depth)
        np.testing.assert_array_equal(estimate.confidence, expected.confidence)
        np.testing.assert_array_equal(estimate.all_in_focus, expected.all_in_focus)


def test_a_slice_that_does_not_belong_is_refused_and_the_sweep_goes_on(
    backend: DefocusBackend,
) -> None:
    slices = two_surfaces()
    accumulator = backend.start(replace(SPEC, lens=LENS))
    for item in slices:
        accumulator.add(item)
    with pytest.raises(SliceError):
        accumulator.add(Slice(slices[0].image[:-1], 5.0))
    np.testing.assert_array_equal(accumulator.finish().depth, stream(backend, slices).depth)


def test_mono_images(backend: DefocusBackend) -> None:
    estimate = stream(backend, two_surfaces(mono=True))
    assert np.nanmedian(dioptre_error(estimate)) < 0.05
    assert estimate.all_in_focus is not None
    assert estimate.all_in_focus.shape == (*SIZE, 3)


@pytest.mark.parametrize("linear_light", [False, True])
def test_blur_is_undone_in_the_light_in_which_it_happened(
    create: Callable[..., DefocusBackend], linear_light: bool
) -> None:
    sharp = texture()
    light = linear_from_srgb(sharp)
    slices = []
    for dioptre in DIOPTRES:
        sigma = max(BLUR_PER_DIOPTRE * abs(dioptre - RIGHT), 0.05)
        image = cv2.GaussianBlur(light if linear_light else sharp, (0, 0), sigma)
        slices.append(Slice(srgb_from_linear(image) if linear_light else image, 1.0 / dioptre))

    def error(**options: Any) -> float:
        picture = stream(create(**options), slices).all_in_focus
        assert picture is not None
        return float(np.abs(picture.astype(float) - sharp).mean())

    assert error(linear_light=linear_light) < 0.6 * error(linear_light=not linear_light)


def test_what_is_out_of_view_in_a_slice_does_not_count(
    create: Callable[..., DefocusBackend],
) -> None:
    backend = create(outliers="keep")
    slices = two_surfaces()
    mask = np.ones(SIZE, np.bool_)
    mask[:, :10] = False
    image = slices[3].image.copy()
    image[:, :10] = 255
    hidden = [*slices[:3], replace(slices[3], image=image, valid_mask=mask), *slices[4:]]
    seen = [*slices[:3], replace(slices[3], image=image), *slices[4:]]
    with_mask = np.mean(np.abs(1.0 / stream(backend, hidden).depth - truth())[:, :10])
    without = np.mean(np.abs(1.0 / stream(backend, seen).depth - truth())[:, :10])
    assert with_mask < 0.1
    assert with_mask < 0.3 * without


def test_a_sweep_to_infinity(create: Callable[..., DefocusBackend]) -> None:
    slices = [
        replace(item, focus_distance=math.inf if dioptre < 1e-9 else 1.0 / dioptre)
        for item, dioptre in zip(two_surfaces(), np.subtract(DIOPTRES, RIGHT), strict=True)
        if dioptre > -1e-9
    ]
    assert slices[-1].focus_distance == math.inf
    depth = stream(create(outliers="keep"), slices).depth
    assert not np.isnan(depth).any()
    inverse = np.abs(1.0 / depth - (truth() - RIGHT))[INSIDE]
    assert np.median(inverse) < 0.02
    assert np.isinf(depth[:, 50:]).any()


def test_needs_two_slices(backend: DefocusBackend) -> None:
    accumulator = backend.start(replace(SPEC, lens=LENS))
    accumulator.add(two_surfaces()[0])
    with pytest.raises(StackError, match="at least 2 slices, this one has 1"):
        accumulator.finish()


def test_what_lacks_is_named(backend: DefocusBackend) -> None:
    slices = two_surfaces()
    with pytest.raises(LensUnknownError) as no_lens:
        stream(backend, slices, lens=None)
    assert "the lens (focal_length, f_number, pixel_pitch): give it under lens" in str(no_lens)
    assert "focus distances" not in str(no_lens)
    with pytest.raises(LensUnknownError) as no_distances:
        stream(backend, relative(slices, [None] * 7), metric=False)
    assert "it needs focus distances: give them in stack.yaml" in str(no_distances)
    with pytest.raises(LensUnknownError, match="the lens .*, and focus distances"):
        stream(backend, relative(slices, [None] * 7), lens=None, metric=False)


def test_a_simpler_backend_answers_where_the_lens_is_not_known(backend: DefocusBackend) -> None:
    estimate = DepthPipeline(backend).estimate(FocalStack(two_surfaces()))
    assert estimate.backend == "graph_cut"
    assert "backend 'defocus' failed: it needs the lens (focal_length" in estimate.warnings[0]


def test_a_focus_distance_within_the_focal_length(backend: DefocusBackend) -> None:
    with pytest.raises(CalibrationError, match=r"focus distance 0.4 m is not beyond the focal"):
        stream(backend, two_surfaces(), lens=replace(LENS, focal_length=0.5))


def test_depths_beside_the_sweep(create: Callable[..., DefocusBackend]) -> None:
    with pytest.raises(OptionError, match="from 3 m to 9 m, but no focus distance"):
        stream(create(near=3.0, far=9.0), two_surfaces())
    with pytest.raises(OptionError, match="near < far"):
        stream(create(near=9.0), two_surfaces())
    narrow = stream(create(near=0.42, far=1.2, outliers="keep"), two_surfaces())
    assert "from 0.42 to 1.2 m, but slices are focused at 0.4, 1.42857 m" in narrow.warnings[0]
    assert narrow.depth.min() > 0.419
    assert narrow.depth.max() < 1.201


def test_a_budget_ends_the_epochs(create: Callable[..., DefocusBackend]) -> None:
    epochs: list[int] = []
    backend = create(epochs=1000, tolerance=0.0, max_seconds=0.7)
    backend.on_epoch = lambda state: epochs.append(state.loss.epoch)
    stream(create(epochs=1), two_surfaces())  # loads what is needed
    started = time.monotonic()
    estimate = stream(backend, two_surfaces())
    assert time.monotonic() - started < 3.0
    assert 1 <= len(epochs) < 1000
    assert np.nanmedian(dioptre_error(estimate)) < 0.05


def test_epochs_can_be_followed(create: Callable[..., DefocusBackend]) -> None:
    states: list[EpochState] = []
    backend = create(epochs=3, tolerance=0.0)
    backend.on_epoch = states.append
    stream(backend, two_surfaces())
    assert [state.loss.epoch for state in states] == [1, 2, 3]
    assert [state.epochs for state in states] == [3, 3, 3]
    errors = [e for state in states for e in (state.loss.after_depth, state.loss.after_image)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]


def test_work_that_nobody_waits_for_ends(create: Callable[..., DefocusBackend]) -> None:
    epochs: list[int] = []

    def follow(state: EpochState) -> None:
        epochs.append(state.loss.epoch)
        backend.abandon()

    backend = create(epochs=50, tolerance=0.0)
    backend.on_epoch = follow
    with pytest.raises(BackendError, match="nobody waits"):
        stream(backend, two_surfaces())
    assert epochs == [1]


@pytest.mark.parametrize("outliers", ["keep", "mean", "nan"])
def test_outliers(create: Callable[..., DefocusBackend], outliers: str) -> None:
    """Two depths that differ by four slices meet in the middle, and noise leaves others."""
    slices = two_surfaces(noise=6.0)
    kept = stream(create(outliers="keep"), slices)
    estimate = stream(create(outliers=outliers), slices)
    assert not np.isnan(estimate.slice_index).any()
    unknown = np.isnan(estimate.depth)
    if outliers == "nan":
        assert 0 < unknown.sum() < 0.7 * unknown.size
        assert (estimate.confidence[unknown] == 0.0).all()
        np.testing.assert_array_equal(estimate.depth[~unknown], kept.depth[~unknown])
        error = np.abs(1.0 / kept.depth - truth())
        assert error[unknown].mean() > 1.15 * error[~unknown].mean()
    else:
        assert not unknown.any()
        np.testing.assert_array_equal(estimate.confidence, kept.confidence)
        assert (outliers == "mean") == (estimate.depth != kept.depth).any()


def test_neighbours_that_look_alike_agree_on_the_depth(
    create: Callable[..., DefocusBackend],
) -> None:
    slices = two_surfaces(noise=6.0)
    raw = stream(create(outliers="keep"), slices)
    smooth = stream(create(outliers="keep", median_radius=5), slices)
    assert dioptre_error(smooth).mean() < 0.85 * dioptre_error(raw).mean()
    np.testing.assert_array_equal(smooth.confidence, raw.confidence)
    dropped = stream(create(median_radius=5), slices)
    np.testing.assert_array_equal(np.isnan(dropped.depth), np.isnan(stream(create(), slices).depth))


def test_settings_of_a_file(create: Callable[..., DefocusBackend], tmp_path: Path) -> None:
    slices = two_surfaces()
    expected = stream(create(), slices)
    path = tmp_path / "mine.yaml"
    path.write_text(
        "options: {depths: 40}\n"
        "lens: {focal_length: 0.02, f_number: 2, pixel_pitch: 12.5e-6}\n"
        "size: [128, 96]\n"
        f"focus_distances: {[1.0 / dioptre for dioptre in DIOPTRES]}\n"
    )
    backend = create(settings=str(path), depths=100)
    assert (backend.config.depths, backend.config.epochs) == (40, 1)
    # The lens of a sweep goes before that of the settings.
    for lens in (None, LENS):
        np.testing.assert_array_equal(stream(backend, slices, lens=lens).depth, expected.depth)
    placed = stream(backend, relative(slices, [None] * 7), lens=None, metric=False)
    assert not placed.metric
    np.testing.assert_array_equal(placed.slice_index, expected.slice_index)
    known = ~np.isnan(placed.depth)
    np.testing.assert_array_equal(placed.depth[known], expected.slice_index[known])
    with pytest.raises(LensUnknownError, match="have 7 focus distances, the sweep 6 slices"):
        stream(backend, relative(slices[1:], [None] * 6), lens=None, metric=False)


def test_lens_positions_as_focus_distances(
    create: Callable[..., DefocusBackend], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("focus_distances: lens_positions\n")
    backend = create(settings=str(path))
    slices = two_surfaces()
    expected = stream(backend, slices).slice_index
    distances = [1.0 / dioptre for dioptre in DIOPTRES]
    near_to_far = stream(backend, relative(slices, distances), metric=False)
    np.testing.assert_allclose(near_to_far.slice_index, expected, atol=1e-4)
    backwards = stream(backend, relative(slices[::-1], distances[::-1]), metric=False)
    np.testing.assert_allclose(6.0 - backwards.slice_index, expected, atol=2e-3)
    for wrong in ([None] * 7, [0.5] * 7, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]):
        with pytest.raises(LensUnknownError, match="each slice needs another one above 0"):
            stream(backend, relative(slices, wrong), metric=False)


def test_what_a_gpu_fails_of_is_named(
    create: Callable[..., DefocusBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = create()

    def fail(error: Exception) -> None:
        def solve(*arguments: object, **options: object) -> None:
            raise error

        monkeypatch.setattr(solver, "solve", solve)

    backend.device = "cuda"
    fail(torch.cuda.OutOfMemoryError("CUDA out of memory.\nMore"))
    with pytest.raises(DeviceError, match="too little memory: CUDA out of memory.; use smaller"):
        stream(backend, two_surfaces())
    fail(RuntimeError("CUDA error: launch failure\nMore"))
    with pytest.raises(DeviceError, match="device 'cuda' failed: CUDA error: launch failure$"):
        stream(backend, two_surfaces())


def test_sweeps_do_not_mix(backend: DefocusBackend) -> None:
    slices, others = two_surfaces(), two_surfaces(seed=3)
    one, other = (backend.start(spec_of(FocalStack(slices, lens=LENS))) for _ in range(2))
    for item, of_other in zip(slices, others, strict=True):
        one.add(item)
        other.add(of_other)
    np.testing.assert_array_equal(one.finish().depth, stream(backend, slices).depth)
    np.testing.assert_array_equal(other.finish().depth, stream(backend, others).depth)
