from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_sweeps import DIOPTRES, two_surfaces

from focdepth_ros.errors import CalibrationError, StackError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.refocus import LARGEST_BLUR_SHARE, Refocuser, refocusing_lens
from focdepth_ros.simulation import RenderOptions, SimulatedStack, render_random_sweep
from focdepth_ros.stack import FocalStack, ImageArray, Lens, Slice

WIDTH, HEIGHT = 160, 120
QUIET = RenderOptions(full_well=float("inf"), read_noise=0.0)


@pytest.fixture(scope="module")
def simulated() -> SimulatedStack:
    return render_random_sweep(7, slices=5, width=WIDTH, height=HEIGHT, options=QUIET)


@pytest.fixture(scope="module")
def truth(simulated: SimulatedStack) -> DepthEstimate:
    """The answer that a perfect backend would give."""
    stack = simulated.stack
    with np.errstate(divide="ignore"):
        dioptre = 1.0 / simulated.depth
    index = np.interp(-dioptre, -stack.dioptres, np.arange(len(stack))).astype(np.float32)
    sure = np.ones_like(simulated.depth)
    return DepthEstimate(simulated.depth, sure, index, "truth", True, simulated.all_in_focus)


def difference(a: ImageArray, b: ImageArray) -> float:
    inner = (slice(8, -8), slice(8, -8))
    return float(np.abs(a[inner].astype(int) - b[inner]).mean())


def test_from_the_truth_it_takes_the_slices_again(
    simulated: SimulatedStack, truth: DepthEstimate
) -> None:
    refocuser = Refocuser(truth, simulated.stack)
    assert refocuser.lens == simulated.stack.lens
    for position, item in enumerate(simulated.stack.slices):
        picture = refocuser.picture(position)
        assert picture.dtype == np.uint8
        # What is hidden behind edges and beyond the border is guessed.
        assert difference(picture, item.image) < 2.0
        others = [s.image for s in simulated.stack.slices if s is not item]
        assert difference(picture, item.image) < min(difference(picture, o) for o in others)


def test_focuses_between_slices(simulated: SimulatedStack, truth: DepthEstimate) -> None:
    refocuser = Refocuser(truth, simulated.stack)
    near, far = (item.focus_distance for item in simulated.stack.slices[1:3])
    assert near is not None
    assert far is not None
    assert refocuser.distance(1.5) == pytest.approx(2.0 / (1.0 / near + 1.0 / far))
    assert refocuser.distance(99.0) == pytest.approx(simulated.stack.slices[-1].focus_distance)


def test_what_is_not_known_is_filled(simulated: SimulatedStack, truth: DepthEstimate) -> None:
    depth = truth.depth.copy()
    depth[40:60, 50:90] = np.nan
    with_hole = Refocuser(replace(truth, depth=depth), simulated.stack)
    whole = Refocuser(truth, simulated.stack)
    assert difference(with_hole.picture(0.0), whole.picture(0.0)) < 3.0


def two_halves(*, distances: bool) -> tuple[FocalStack, DepthEstimate]:
    """A relative or metric stack whose left half is near and whose right half is far."""
    slices = [
        Slice(item.image, item.focus_distance if distances else None) for item in two_surfaces()
    ]
    stack = FocalStack(slices)
    height, width = stack.size
    index = np.zeros((height, width), np.float32)
    index[:, width // 2 :] = len(stack) - 1
    depth = index if not distances else (1.0 / stack.dioptres[index.astype(int)])
    sharp = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    sure = np.ones_like(index)
    return stack, DepthEstimate(depth.astype(np.float32), sure, index, "x", distances, sharp)


@pytest.mark.parametrize("distances", [True, False])
def test_without_a_lens_one_is_assumed(distances: bool) -> None:
    stack, estimate = two_halves(distances=distances)
    refocuser = Refocuser(estimate, stack)
    half = stack.size[1] // 2
    near, far = refocuser.picture(0.0), refocuser.picture(len(DIOPTRES) - 1.0)
    assert near[:, : half - 4].std() > near[:, half + 4 :].std() + 5
    assert far[:, half + 4 :].std() > far[:, : half - 4].std() + 5


def test_a_lens_of_too_much_blur_is_stopped_down() -> None:
    dioptres = np.array([5.0, 1.0, 0.0])
    huge = Lens(focal_length=0.05, f_number=1.0, pixel_pitch=4e-6)
    lens = refocusing_lens(huge, dioptres, 640)
    assert lens.f_number > 10.0 * huge.f_number
    assert lens.focal_length == huge.focal_length
    small = Lens(focal_length=0.004, f_number=2.0, pixel_pitch=4e-6)
    assert refocusing_lens(small, dioptres, 640) == small
    assert 0.0 < LARGEST_BLUR_SHARE < 0.1


def test_says_what_is_missing() -> None:
    stack, estimate = two_halves(distances=True)
    with pytest.raises(StackError, match="nothing to refocus: the answer has no all-in-focus"):
        Refocuser(replace(estimate, all_in_focus=None), stack)
    with pytest.raises(StackError, match="no pixel with a depth"):
        Refocuser(replace(estimate, depth=np.full_like(estimate.depth, np.nan)), stack)


def test_a_lens_that_cannot_focus_there_is_named() -> None:
    stack, estimate = two_halves(distances=True)
    long = FocalStack(stack.slices, None, Lens(0.5, 2.0, 4e-6))
    with pytest.raises(CalibrationError, match="not beyond the focal length"):
        Refocuser(estimate, long)
