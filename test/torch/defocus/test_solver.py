"""Depth and all-in-focus image together, on stacks of the forward model itself."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from defocus_scenes import (
    FOCUS_DISTANCES,
    LENS,
    Clock,
    focal_stack,
    slanted_dioptres,
    textured_image,
)

from focdepth_ros.defocus import solver
from focdepth_ros.defocus.config import DefocusConfig
from focdepth_ros.defocus.forward_model import DefocusModel
from focdepth_ros.defocus.solver import DefocusSolution, EpochState, solve
from focdepth_ros.errors import CalibrationError, OptionError, StackError
from focdepth_ros.stack import Lens

SIZE = (48, 64)
IMAGE = textured_image(*SIZE)
DIOPTRE = slanted_dioptres(*SIZE)
CONFIG = DefocusConfig(epochs=6, near=0.7, far=10.0, window=1, device="cpu")


def stitched(stack: np.ndarray) -> np.ndarray:
    """The mean of the slices: a start that knows nothing."""
    return np.asarray(stack.mean(axis=0), np.float32)


def solved(
    config: DefocusConfig = CONFIG, *, psf: str = "gaussian", **options: Any
) -> DefocusSolution:
    stack = focal_stack(IMAGE, DIOPTRE, psf=psf).numpy()
    return solve(
        stack,
        LENS,
        FOCUS_DISTANCES,
        replace(config, psf=psf),
        start_image=stitched(stack),
        **options,
    )


def solved_with_noise(*, even: slice) -> DefocusSolution:
    """Some columns without texture, and noise everywhere."""
    image = IMAGE.clone()
    image[:, even] = 0.5
    noise = 0.004 * torch.randn((5, *SIZE, 3), generator=torch.Generator().manual_seed(6))
    stack = (focal_stack(image, DIOPTRE, psf="disc") + noise).numpy()
    return solve(stack, LENS, FOCUS_DISTANCES, CONFIG, start_image=stitched(stack))


@pytest.fixture(scope="module", params=["gaussian", "disc"])
def solution(request: pytest.FixtureRequest) -> DefocusSolution:
    return solved(psf=request.param)


def abs_rel(solution: DefocusSolution) -> float:
    return float(np.mean(np.abs(DIOPTRE.numpy() / solution.dioptre - 1.0)))


def psnr(solution: DefocusSolution) -> float:
    return -10.0 * math.log10(float(np.mean((solution.image - IMAGE.numpy()) ** 2)))


def test_depth_and_image_are_found(solution: DefocusSolution) -> None:
    assert abs_rel(solution) < 0.03
    assert psnr(solution) > 30.0
    assert solution.dioptre.dtype == solution.image.dtype == np.float32


def test_error_never_rises(solution: DefocusSolution) -> None:
    assert len(solution.losses) > 3
    for loss in solution.losses:
        assert loss.after_image <= loss.after_depth * (1.0 + 1e-6)
    for before, after in pairwise(solution.losses):
        assert after.after_depth <= before.after_image * (1.0 + 1e-4)


def test_on_a_device_as_well(device: str) -> None:
    assert abs_rel(solved(replace(CONFIG, device=device))) < 0.03


def test_strips_change_nothing() -> None:
    windowed = replace(CONFIG, epochs=1, window=5)
    whole, in_strips = solved(windowed), solved(replace(windowed, memory_mb=1))
    np.testing.assert_allclose(in_strips.dioptre, whole.dioptre, rtol=1e-4)
    np.testing.assert_allclose(in_strips.surfaces, whole.surfaces, rtol=1e-4)
    np.testing.assert_allclose(in_strips.confidence, whole.confidence, atol=1e-3)


def test_surfaces_where_each_pixel_by_itself_is_unsure() -> None:
    solution = solved_with_noise(even=slice(28, 36))
    alone, together = (
        np.abs(DIOPTRE.numpy() / depth - 1.0) for depth in (solution.dioptre, solution.surfaces)
    )
    assert together[:, 28:36].mean() < 0.3 * alone[:, 28:36].mean()
    assert together.mean() < 0.5 * alone.mean()


def test_surfaces_of_what_is_exact(solution: DefocusSolution) -> None:
    assert float(np.mean(np.abs(DIOPTRE.numpy() / solution.surfaces - 1.0))) < 0.03


def test_without_smoothness_or_the_library_every_pixel_is_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(CONFIG, epochs=1)
    alone = solved(replace(config, smoothness=0.0))
    np.testing.assert_array_equal(alone.surfaces, alone.dioptre)
    assert not np.array_equal(solved(config).surfaces, alone.dioptre)
    monkeypatch.setattr(solver, "library_missing_because", lambda: "it is not built")
    np.testing.assert_array_equal(solved(config).surfaces, alone.dioptre)


def test_every_epoch_is_told() -> None:
    states: list[EpochState] = []
    solution = solved(replace(CONFIG, epochs=2), on_epoch=states.append)
    assert [state.loss for state in states] == list(solution.losses)
    assert [state.loss.epoch for state in states] == [1, 2]
    assert {state.epochs for state in states} == {2}
    np.testing.assert_array_equal(states[-1].dioptre.numpy(), solution.dioptre)
    for state in states:
        mean_square = float(state.residual().square().mean())
        assert mean_square == pytest.approx(state.loss.after_image, rel=1e-4)


def test_it_ends_when_nothing_more_is_won() -> None:
    assert len(solved(replace(CONFIG, epochs=50, tolerance=0.5)).losses) < 10


# A second goes by with every depth that is tried, and every iteration on the image.


def test_time_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    config = replace(CONFIG, epochs=1000, tolerance=0.0, max_seconds=99.0)
    solution = solved(config, check=clock.tick)
    (loss,) = solution.losses
    assert (loss.iterations, loss.cut_short) == (0, True)
    assert np.isfinite(solution.dioptre).all()
    # No cut is begun when the depth step alone has taken longer.
    assert clock.now == config.depths
    np.testing.assert_array_equal(solution.surfaces, solution.dioptre)


@pytest.mark.parametrize("epochs", [1, 1000])
def test_time_is_left_for_the_cut(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    clock = Clock(monkeypatch)
    config = replace(CONFIG, epochs=epochs, tolerance=0.0, image_tolerance=0.0, max_seconds=230.0)
    solution = solved(config, check=clock.tick)
    (loss,) = solution.losses
    assert (loss.iterations, loss.cut_short) == (30, True)
    assert not np.array_equal(solution.surfaces, solution.dioptre)
    assert clock.now < config.max_seconds


def test_an_epoch_is_begun_only_where_there_is_time_for_the_cut_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    config = replace(CONFIG, tolerance=0.0, image_tolerance=0.0, iterations=20, max_seconds=300.0)
    solution = solved(config, check=clock.tick)
    assert [loss.cut_short for loss in solution.losses] == [False]
    assert clock.now < config.max_seconds


def test_confidence_tells_texture_from_none() -> None:
    solution = solved_with_noise(even=slice(20, 44))
    assert 0.0 <= solution.confidence.min() <= solution.confidence.max() <= 1.0
    assert np.median(solution.confidence[:, 28:36]) < 0.75
    assert np.median(solution.confidence[:, :14]) > 0.9


@pytest.mark.parametrize("smoothness", [0.0, 2.0])
def test_what_lies_beyond_the_depths_that_are_looked_for_is_not_believed(smoothness: float) -> None:
    dioptre = torch.full(SIZE, 1.0 / 2.5)
    dioptre[:, :24], dioptre[:, 40:] = 1.0 / 0.8, 1.0 / 20.0
    stack = focal_stack(IMAGE, dioptre).numpy()
    config = replace(CONFIG, near=0.95, far=6.5, psf="gaussian", smoothness=smoothness)
    solution = solve(stack, LENS, FOCUS_DISTANCES, config, start_image=stitched(stack))
    beyond, between = solution.confidence[:, [*range(16), *range(48, 64)]], slice(30, 34)
    assert (beyond == 0.0).mean() > 0.9
    assert np.median(solution.confidence[:, between]) > 0.8


def test_infinity_is_an_end_that_can_be_believed() -> None:
    stack = focal_stack(IMAGE, torch.zeros(SIZE)).numpy()
    config = replace(CONFIG, near=0.9, far=math.inf, psf="gaussian", smoothness=2.0)
    solution = solve(stack, LENS, FOCUS_DISTANCES, config, start_image=IMAGE.numpy())
    at_end = solution.surfaces < 0.002
    assert at_end.mean() > 0.3
    assert np.median(solution.confidence[at_end]) > 0.8


def test_pixels_that_show_nothing_are_left_out() -> None:
    stack = focal_stack(IMAGE, DIOPTRE, psf="disc").numpy()
    weight = np.ones((5, *SIZE), np.float32)
    stack[0, :, :10] = 0.0
    weight[0, :, :10] = 0.0
    start = focal_stack(IMAGE, DIOPTRE, psf="disc").numpy().mean(axis=0)
    solution = solve(
        stack, LENS, FOCUS_DISTANCES, CONFIG, start_image=start.astype(np.float32), weight=weight
    )
    assert abs_rel(solution) < 0.04


def test_focus_at_infinity_and_mono_images() -> None:
    distances = (1.0, 2.0, math.inf)
    mono = IMAGE[..., :1].contiguous()
    model = DefocusModel(LENS, distances, psf="disc")
    stack = model.operator(DIOPTRE).forward(mono)
    slices = stack.permute(2, 0, 1, 3).contiguous().numpy()
    solution = solve(
        slices, LENS, distances, replace(CONFIG, far=math.inf), start_image=stitched(slices)
    )
    assert solution.image.shape == (*SIZE, 1)
    # What looks as far away as can be may be infinitely far.
    assert np.median(np.abs(solution.dioptre - DIOPTRE.numpy())) < 0.02


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"focus_distances": (1.0, 2.0)}, StackError, "5 slices, but 2 focus distances"),
        (
            {"lens": Lens(focal_length=1.5, f_number=8.0, pixel_pitch=48e-6)},
            CalibrationError,
            "1.0 m is not beyond the focal length 1.5 m",
        ),
        (
            {"config": replace(CONFIG, near=10.0, far=20.0)},
            OptionError,
            r"from 10 m to 20 m, but no focus distance \(1, 1.5, 2.5, 4, 6 m\) lies there",
        ),
    ],
)
def test_what_cannot_be_solved(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    stack = focal_stack(IMAGE, DIOPTRE).numpy()
    arguments = {"lens": LENS, "focus_distances": FOCUS_DISTANCES, "config": CONFIG, **changes}
    with pytest.raises(error, match=words):
        solve(stack, start_image=stitched(stack), **arguments)
