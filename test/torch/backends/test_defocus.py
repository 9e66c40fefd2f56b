"""The backend `defocus`: depth where the lens is known, and what it says where it is not."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from defocus_scenes import (
    FOCUS_DISTANCES,
    LENS,
    Clock,
    focal_stack,
    slanted_dioptres,
    textured_image,
)

from focdepth_ros.backends.base import spec_of
from focdepth_ros.backends.registry import choose_backend, create_backend
from focdepth_ros.cli import main
from focdepth_ros.colour import srgb_from_linear
from focdepth_ros.errors import BackendError, CalibrationError, OptionError, SliceError, StackError
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FocalStack, Slice
from focdepth_ros.stack_folder.saving import save_stack

SIZE = (48, 64)
DIOPTRE = slanted_dioptres(*SIZE).numpy()
OPTIONS = {"device": "cpu", "epochs": 3, "depths": 60}


def stack_of(*, channels: int = 3, psf: str = "disc") -> FocalStack:
    """A slanted plane as a camera would show it."""
    light = focal_stack(textured_image(*SIZE, channels), slanted_dioptres(*SIZE), psf=psf)
    images = [srgb_from_linear(image) for image in light.numpy()]
    if channels == 1:
        images = [image[..., 0] for image in images]
    slices = [Slice(image, z) for image, z in zip(images, FOCUS_DISTANCES, strict=True)]
    return FocalStack(slices, lens=LENS)


STACK = stack_of()


def error_of(depth: np.ndarray, part: tuple[slice, slice] = (slice(None), slice(None))) -> float:
    return float(np.nanmean(np.abs(depth * DIOPTRE - 1.0)[part]))


@pytest.mark.parametrize("channels", [3, 1])
def test_depth_in_metres(channels: int) -> None:
    answer = create_backend("defocus", **OPTIONS).estimate(stack_of(channels=channels))
    assert error_of(answer.depth) < 0.05
    assert np.isfinite(answer.depth).mean() > 0.9
    assert answer.metric
    assert answer.all_in_focus is not None
    assert answer.all_in_focus.shape == (*SIZE, 3)
    middle = np.interp(-DIOPTRE, -1.0 / np.array(FOCUS_DISTANCES), np.arange(5.0))
    assert np.mean(np.abs(answer.slice_index - middle)) < 0.2
    assert {"start", "epochs", "solve", "clean"} <= set(answer.timings)


def test_it_is_better_than_the_graph_cut_on_what_it_models() -> None:
    ours, theirs = (
        create_backend(name, **options).estimate(STACK)
        for name, options in (("defocus", OPTIONS), ("graph_cut", {"device": "cpu"}))
    )
    assert error_of(ours.depth) < 0.7 * error_of(theirs.depth)


def test_the_picture_can_be_left_out() -> None:
    backend = create_backend("defocus", **{**OPTIONS, "epochs": 1})
    assert backend.estimate(STACK, all_in_focus=False).all_in_focus is None


def test_order_of_the_frames_does_not_matter() -> None:
    backend = create_backend("defocus", **{**OPTIONS, "epochs": 1})
    answers = []
    for slices in (STACK.slices, STACK.slices[::-1]):
        accumulator = backend.start(spec_of(STACK))
        accumulator.add(replace(slices[0], image=255 - slices[0].image))  # replaced by the next
        for item in slices:
            accumulator.add(item)
        answers.append(accumulator.finish().depth)
    np.testing.assert_array_equal(*answers)


def test_what_an_aligned_slice_does_not_show_is_left_out() -> None:
    slices = list(STACK.slices)
    mask = np.ones(SIZE, np.bool_)
    mask[:, :8] = False
    black = np.where(mask[..., None], slices[1].image, np.uint8(0))
    slices[1] = replace(slices[1], image=black, valid_mask=mask)
    answer = create_backend("defocus", **OPTIONS).estimate(replace(STACK, slices=slices))
    assert error_of(answer.depth, (slice(None), slice(8))) < 0.15
    assert error_of(answer.depth) < 0.06


def stack_with_an_even_patch() -> FocalStack:
    """Without texture, but for noise, in rows 10 to 30 and columns 20 to 44."""
    rng = np.random.default_rng(0)
    slices = []
    for item in STACK.slices:
        image = item.image.copy()
        noise = rng.normal(0.0, 2.0, (20, 24, 3))
        image[10:30, 20:44] = np.clip(128.0 + noise, 0, 255).astype(np.uint8)
        slices.append(replace(item, image=image))
    return replace(STACK, slices=slices)


HIDDEN = (slice(16, 24), slice(28, 36))  # inside of it


def test_outliers_are_not_known_or_made_up() -> None:
    stack = stack_with_an_even_patch()
    options = {**OPTIONS, "median_radius": 0, "window": 1, "smoothness": 0.0}
    known = {
        mode: create_backend("defocus", outliers=mode, **options).estimate(stack)
        for mode in ("keep", "unknown", "mean")
    }
    assert np.isfinite(known["keep"].depth).all()
    gone = np.isnan(known["unknown"].depth)
    assert gone[HIDDEN].mean() > 0.5
    assert (known["unknown"].confidence[gone] == 0.0).all()
    assert np.isfinite(known["mean"].depth).all()
    assert error_of(known["mean"].depth, HIDDEN) < error_of(known["keep"].depth, HIDDEN)


def test_neighbours_tell_the_depth_of_what_has_no_texture() -> None:
    stack = stack_with_an_even_patch()
    options = {**OPTIONS, "median_radius": 0, "window": 1, "outliers": "keep"}
    alone, together = (
        create_backend("defocus", smoothness=smoothness, **options).estimate(stack)
        for smoothness in (0.0, 2.0)
    )
    assert error_of(together.depth, HIDDEN) < 0.3 * error_of(alone.depth, HIDDEN)
    assert error_of(together.depth) < 0.5 * error_of(alone.depth)


def test_time_that_is_over_gives_an_answer_all_the_same() -> None:
    backend = create_backend("defocus", **{**OPTIONS, "epochs": 1000, "max_seconds": 0.001})
    answer = backend.estimate(STACK)
    (warning,) = answer.warnings
    assert warning.startswith("max_seconds 0.001 ended it in epoch 1 of 1000, ")
    assert error_of(answer.depth) < 0.3


def test_time_that_is_over_in_the_last_epoch_is_told() -> None:
    options = {**OPTIONS, "epochs": 1, "max_seconds": 0.001}
    (warning,) = create_backend("defocus", **options).estimate(STACK).warnings
    assert warning.startswith("max_seconds 0.001 ended it in epoch 1 of 1, ")
    enough = create_backend("defocus", **{**options, "max_seconds": 1000.0}).estimate(STACK)
    assert enough.warnings == ()


def test_time_that_does_not_suffice_for_another_epoch_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    options = {**OPTIONS, "epochs": 1000, "tolerance": 0.0, "max_seconds": 1000.0}
    backend = create_backend("defocus", **options)
    backend.on_step = lambda words: clock.tick(400.0)
    (warning,) = backend.estimate(STACK).warnings
    assert warning.startswith("max_seconds 1000 ended it after 3 of 1000 epochs, ")


def test_focus_at_infinity() -> None:
    slices = [*STACK.slices[:-1], replace(STACK.slices[-1], focus_distance=math.inf)]
    answer = create_backend("defocus", **OPTIONS).estimate(FocalStack(slices, lens=LENS))
    assert answer.depth.shape == SIZE


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        (replace(STACK, lens=None), r"needs the lens \(focal_length, f_number and pixel_pitch"),
        (
            FocalStack([Slice(item.image, None) for item in STACK.slices], lens=LENS),
            "needs the focus distances of the slices in metres",
        ),
        (
            FocalStack([Slice(item.image, None) for item in STACK.slices]),
            "needs the lens .* and the focus distances of the slices",
        ),
    ],
)
def test_what_is_missing_is_named_and_the_graph_cut_answers(stack: FocalStack, words: str) -> None:
    backend = create_backend("defocus", **OPTIONS)
    with pytest.raises(BackendError, match=words):
        backend.start(spec_of(stack))
    for depth in (True, False):  # the picture alone takes no less
        answer = DepthPipeline(backend, min_confidence=0.0).estimate(stack, depth=depth)
        assert answer.backend == "graph_cut"
    assert re.search(f"backend 'defocus' failed: it {words}", " ".join(answer.warnings))


@pytest.mark.parametrize(
    ("changes", "options", "error", "words"),
    [
        (
            {"lens": replace(LENS, focal_length=2.0)},
            {},
            CalibrationError,
            "1.0 m is not beyond the focal length 2.0 m",
        ),
        ({}, {"near": 10.0, "far": 20.0}, OptionError, "no focus distance .* lies there"),
    ],
)
def test_what_cannot_be(
    changes: dict[str, object], options: dict[str, float], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        create_backend("defocus", **OPTIONS, **options).estimate(replace(STACK, **changes))


def test_a_sweep_at_lens_positions_in_the_unit_of_the_lens(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("focus_distances: lens_positions\n", encoding="utf-8")
    slices = [replace(s, focus_distance=None, lens_position=s.focus_distance) for s in STACK.slices]
    backend = create_backend("defocus", settings=str(path), **OPTIONS)
    answer = backend.estimate(FocalStack(slices, lens=LENS))
    assert not answer.metric
    expected = create_backend("defocus", **OPTIONS).estimate(STACK)
    np.testing.assert_allclose(answer.depth, answer.slice_index)
    np.testing.assert_allclose(answer.slice_index, expected.slice_index, atol=1e-3)
    with pytest.raises(SliceError, match="want a lens position of every slice"):
        backend.estimate(FocalStack([replace(s, lens_position=None) for s in slices], lens=LENS))


def test_slices_beyond_the_range_are_told() -> None:
    answer = create_backend("defocus", **OPTIONS, far=3.0).estimate(STACK)
    (warning,) = answer.warnings
    assert "to 3 m, but slices are focused at 4, 6 m; set near and far around them" in warning


def test_one_slice_is_no_sweep() -> None:
    accumulator = create_backend("defocus", **OPTIONS).start(spec_of(STACK))
    accumulator.add(STACK.slices[0])
    with pytest.raises(StackError, match="at least 2 slices, this one has 1"):
        accumulator.finish()


def test_auto_never_takes_it() -> None:
    assert choose_backend() != "defocus"


def test_lens_and_settings_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "lens: {focal_length: 0.05, f_number: 8, pixel_pitch: 48.0e-6}\noptions: {epochs: 1}\n",
        encoding="utf-8",
    )
    told = []
    backend = create_backend("defocus", settings=str(path), device="cpu")
    backend.on_step = told.append
    assert backend.steps == 1
    answer = backend.estimate(replace(STACK, lens=None))
    assert error_of(answer.depth) < 0.3
    assert len(told) == 1
    assert told[0].startswith("epoch 1, error ")


def test_command_with_pictures_of_every_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_stack(tmp_path / "stack", STACK)
    out, plots = tmp_path / "out", tmp_path / "plots"
    arguments = ["estimate", str(tmp_path / "stack"), "-o", str(out), "--save-plots", str(plots)]
    options = [f"--option={key}={value}" for key, value in {**OPTIONS, "epochs": 2}.items()]
    assert main([*arguments, "-b", "defocus", *options]) == 0
    assert "defocus: depth of" in capsys.readouterr().out
    assert {path.name for path in plots.iterdir()} == {"epoch_001.png", "epoch_002.png", "loss.png"}
    assert error_of(np.load(out / "depth.npy")) < 0.1
