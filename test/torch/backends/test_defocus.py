"""What the backend `defocus` promises, on stacks that are quick to work on."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from defocus_scenes import FOCUS_DISTANCES, LENS, focal_stack, slanted_dioptres, textured_image

from focdepth_ros.backends.base import Backend, SweepSpec, spec_of
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.defocus import solver
from focdepth_ros.errors import BackendError, CalibrationError, DeviceError, OptionError, StackError
from focdepth_ros.evaluation.fusion_metrics import psnr
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.simulation.colour import srgb_from_linear
from focdepth_ros.stack import FocalStack, ImageArray, Lens, Slice

SIZE = (48, 64)
QUICK = {"epochs": 2, "depths": 30, "iterations": 40, "device": "cpu"}


def quick(**options: Any) -> Backend:
    return create_backend("defocus", **{**QUICK, **options})


def dioptres() -> np.ndarray:
    return slanted_dioptres(*SIZE, near=1.1, far=5.0).numpy()


@lru_cache(maxsize=4)
def slices(channels: int = 3) -> tuple[Slice, ...]:
    """A slanted plane as a camera of 8 bits gives it, near to far."""
    image = textured_image(*SIZE, channels)
    with torch.inference_mode():
        light = focal_stack(image, torch.from_numpy(dioptres()), psf="disc").numpy()
    codes = [srgb_from_linear(part if channels == 3 else part[..., 0]) for part in light]
    return tuple(Slice(code, at) for code, at in zip(codes, FOCUS_DISTANCES, strict=True))


def stack_of(items: tuple[Slice, ...], lens: Lens | None = LENS) -> FocalStack:
    return FocalStack(items, lens=lens)


def error(depth: np.ndarray) -> float:
    """Mean relative error where the depth is known."""
    known = np.isfinite(depth)
    return float(np.mean(np.abs(depth * dioptres() - 1.0)[known]))


@pytest.mark.parametrize("channels", [1, 3])
def test_depth_and_sharp_image_of_a_slanted_plane(channels: int, device: str) -> None:
    answer = quick(device=device).estimate(stack_of(slices(channels)))
    assert (answer.backend, answer.metric, answer.warnings) == ("defocus", True, ())
    for image in (answer.depth, answer.confidence, answer.slice_index):
        assert image.shape == SIZE
        assert image.dtype == np.float32
    assert np.isfinite(answer.depth).mean() > 0.99
    assert error(answer.depth) < 0.03
    assert 0.0 <= answer.confidence.min() <= answer.confidence.max() <= 1.0
    assert np.median(answer.confidence) > 0.8
    sharp = srgb_from_linear(textured_image(*SIZE, channels).numpy())
    assert answer.all_in_focus is not None
    assert answer.all_in_focus.dtype == np.uint8
    picture = np.ascontiguousarray(np.broadcast_to(sharp, (*SIZE, 3)))
    assert psnr(answer.all_in_focus, picture) > 25.0
    assert set(answer.timings) == {"start", "epochs", "solve", "clean"}


def test_positions_are_those_of_the_depth_in_dioptres() -> None:
    answer = quick(outliers="keep").estimate(stack_of(slices()))
    position = np.interp(
        -1.0 / answer.depth, -1.0 / np.array(FOCUS_DISTANCES), np.arange(len(FOCUS_DISTANCES))
    )
    np.testing.assert_allclose(answer.slice_index, position, atol=1e-4)
    # On the near side of the sweep there are no positions, but there are depths.
    beyond = answer.depth < 1.0
    assert (answer.slice_index[beyond] == 0.0).all()


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_the_order_of_the_slices_does_not_matter(order: list[int]) -> None:
    backend = quick(epochs=1)
    expected = backend.estimate(stack_of(slices()))
    accumulator = backend.start(spec_of(stack_of(slices())))
    for number in order:
        accumulator.add(slices()[number])
    np.testing.assert_array_equal(accumulator.finish().depth, expected.depth)


def test_a_repeated_distance_replaces_the_last_slice() -> None:
    backend = quick(epochs=1)
    expected = backend.estimate(stack_of(slices()))
    accumulator = backend.start(spec_of(stack_of(slices())))
    accumulator.add(Slice(np.zeros_like(slices()[0].image), FOCUS_DISTANCES[0]))
    for item in slices():
        accumulator.add(item)
    np.testing.assert_array_equal(accumulator.finish().depth, expected.depth)


def test_the_sharp_image_only_if_wanted() -> None:
    backend = quick(epochs=1)
    assert backend.estimate(stack_of(slices()), all_in_focus=False).all_in_focus is None


def test_a_slice_focused_at_infinity() -> None:
    image = textured_image(*SIZE)
    dioptre = torch.linspace(0.8, 0.0, SIZE[1]).expand(*SIZE).contiguous()
    distances = (1.25, 2.5, 5.0, math.inf)
    model = solver.DefocusModel(LENS, distances, psf="disc")
    with torch.inference_mode():
        light = model.operator(dioptre).forward(image).permute(2, 0, 1, 3).numpy()
    items = tuple(Slice(srgb_from_linear(p), z) for p, z in zip(light, distances, strict=True))
    answer = quick().estimate(stack_of(items))
    assert not (answer.depth <= 0.0).any()
    with np.errstate(divide="ignore"):
        found = 1.0 / answer.depth
    assert np.nanmean(np.abs(found - dioptre.numpy())) < 0.02


def test_what_was_out_of_view_does_not_count() -> None:
    items = list(slices())
    mask = np.ones(SIZE, np.bool_)
    mask[:, :20] = False
    spoilt: ImageArray = items[1].image.copy()
    spoilt[~mask] = 0
    items[1] = replace(items[1], image=spoilt, valid_mask=mask)
    answer = quick().estimate(stack_of(tuple(items)))
    assert error(answer.depth) < 0.02


@pytest.mark.parametrize(
    ("lens", "metric", "words"),
    [
        (None, True, "it needs the lens (focal_length, f_number and pixel_pitch, in the lens: of"),
        (LENS, False, "it needs the focus distances of the slices in metres, which are not known"),
        (
            None,
            False,
            "as the lens. parameters of depth_node) and the focus distances of",
        ),
    ],
)
def test_what_is_missing_is_named_and_a_simpler_backend_answers(
    lens: Lens | None, metric: bool, words: str
) -> None:
    backend = quick()
    with pytest.raises(BackendError) as raised:
        backend.start(SweepSpec(*SIZE, metric=metric, lens=lens))
    assert words in str(raised.value)
    items = slices() if metric else tuple(Slice(item.image, None) for item in slices())
    answer = DepthPipeline(backend).estimate(stack_of(items, lens))
    assert answer.backend == "graph_cut"
    assert words in answer.warnings[0]


def test_the_lens_of_the_settings_is_used_where_the_stack_has_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"lens: {{focal_length: {LENS.focal_length}, f_number: {LENS.f_number}, "
        f"pixel_pitch: {LENS.pixel_pitch}}}\noptions: {{outliers: keep}}\n"
    )
    told = quick(epochs=1, settings=str(path)).estimate(stack_of(slices(), None))
    known = quick(epochs=1, outliers="keep").estimate(stack_of(slices()))
    np.testing.assert_array_equal(told.depth, known.depth)
    # That of the stack goes before.
    stack = stack_of(slices(), replace(LENS, f_number=16.0))
    overruled = quick(epochs=1, settings=str(path)).estimate(stack)
    assert np.nanmean(np.abs(overruled.depth - known.depth)) > 0.05


@pytest.mark.parametrize("count", [0, 1])
def test_needs_two_slices(count: int) -> None:
    accumulator = quick().start(spec_of(stack_of(slices())))
    for item in slices()[:count]:
        accumulator.add(item)
    with pytest.raises(StackError, match=f"at least 2 slices, this one has {count}"):
        accumulator.finish()


def test_two_slices_are_enough() -> None:
    answer = quick().estimate(stack_of((slices()[0], slices()[3])))
    assert error(answer.depth) < 0.05


def test_a_focus_distance_within_the_focal_length_is_named() -> None:
    near = (replace(slices()[0], focus_distance=0.04), *slices()[1:])
    with pytest.raises(CalibrationError, match="focus distance 0.04 m is not beyond the focal"):
        quick().estimate(stack_of(near))


def test_a_lens_without_aperture_is_named() -> None:
    with pytest.raises(CalibrationError, match="lens has f_number=inf; it must be > 0 and finite"):
        replace(LENS, f_number=math.inf)


def test_a_range_without_focus_distances_is_named() -> None:
    with pytest.raises(OptionError, match="from 0.1 m to 0.5 m, but no focus distance"):
        quick(near=0.1, far=0.5).estimate(stack_of(slices()))


def test_the_time_is_limited_and_said() -> None:
    patient = create_backend("defocus", epochs=1000, tolerance=0.0, device="cpu", max_seconds=0.5)
    started = time.monotonic()
    answer = patient.estimate(stack_of(slices()))
    assert time.monotonic() - started < 10.0  # on a machine that is busy, too
    assert error(answer.depth) < 0.05
    (warning,) = answer.warnings
    assert warning.startswith("max_seconds 0.5 ended it after ")
    assert " of 1000 epochs" in warning


def test_an_answer_that_nobody_wants_any_more_is_given_up() -> None:
    backend = create_backend("defocus", epochs=1000, tolerance=0.0, device="cpu")
    begun = threading.Event()
    backend.on_step = lambda words: begun.set()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            backend.estimate(stack_of(slices()))
        except BackendError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60.0)
    backend.interrupt()
    thread.join(30.0)
    assert not thread.is_alive()
    assert "interrupted" in str(raised[0])


def test_epochs_are_told_and_drawn(tmp_path: Path) -> None:
    backend = quick(plots_dir=str(tmp_path / "plots"), tolerance=0.0)
    words: list[str] = []
    backend.on_step = words.append
    backend.estimate(stack_of(slices()))
    assert backend.steps == QUICK["epochs"]
    assert [text.partition(",")[0] for text in words] == ["epoch 1", "epoch 2"]
    assert all(float(text.rpartition(" ")[2]) < 1e-3 for text in words)
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == ["epoch_001.png", "epoch_002.png", "loss.png"]


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (torch.cuda.OutOfMemoryError("Tried to allocate 2.00 GiB."), "too little memory: Tried"),
        (RuntimeError("CUDA error: unspecified launch failure\nmore"), "failed: CUDA error: unsp"),
    ],
)
def test_a_device_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, cause: Exception, words: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise cause

    monkeypatch.setattr(solver, "fista", broken)
    with pytest.raises(DeviceError, match=words) as raised:
        quick().estimate(stack_of(slices()))
    assert "\n" not in str(raised.value)
