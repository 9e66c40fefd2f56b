"""Sweeps of a moving camera come onto the grid of their first slice, or slices are left out."""

from __future__ import annotations

import gc
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import ref

import cv2
import numpy as np
import pytest
from synthetic_motion import (
    SIZE,
    distance,
    interior_difference,
    moving_sweep,
    seen,
    similarity,
)
from synthetic_sweeps import two_surfaces

from focdepth_ros.alignment import Aligner, AlignmentRun
from focdepth_ros.errors import AlignmentError, OptionError, StackError
from focdepth_ros.registration import neighbours
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.motion import rms_displacement
from focdepth_ros.simulation import RenderOptions, SimulatedStack, render_random_sweep
from focdepth_ros.stack import Slice

STILL = [np.eye(3)] * 6
BREATHING = [similarity(1.0 + 0.01 * i) for i in range(6)]
HANDHELD = [similarity(1.0 + 0.006 * i, 0.3 * i, (1.5 * i, -0.8 * i * (-1) ** i)) for i in range(6)]


def run_with(method: str, **options: Any) -> AlignmentRun:
    return Aligner(AlignmentConfig(method=method, **options)).start()


@pytest.mark.parametrize("method", ["auto", "ecc", "homography", "flow"])
@pytest.mark.parametrize("truth", [BREATHING, HANDHELD], ids=["breathing", "handheld"])
@pytest.mark.parametrize("order", [1, -1], ids=["near to far", "far to near"])
def test_slices_come_onto_the_grid_of_the_first(method: str, truth: Any, order: int) -> None:
    slices, still = moving_sweep(truth), moving_sweep([truth[::order][0]] * 6)
    run = run_with(method)
    for item, expected, matrix in list(zip(slices, still, truth, strict=True))[::order]:
        aligned = run.add(item)
        assert (aligned.focus_distance, aligned.stamp) == (item.focus_distance, item.stamp)
        known = matrix @ np.linalg.inv(truth[::order][0])
        assert distance(run.motion_of(item).matrix, known) < 0.8
        assert interior_difference(aligned, expected) < 2.0
    assert run.anchor is slices[::order][0]


@pytest.mark.parametrize("method", ["auto", "none", "flow"])
@pytest.mark.parametrize("slices", [moving_sweep(STILL), two_surfaces(noise=6.0)])
def test_slices_of_a_still_camera_are_given_back_as_they_are(
    method: str, slices: list[Slice]
) -> None:
    run = run_with(method)
    for item in slices:
        assert run.add(item) is item
        assert run.motion_of(item).is_identity()


@lru_cache(maxsize=2)
def rendered(seed: int) -> SimulatedStack:
    return render_random_sweep(seed, slices=6, width=320, height=240)


@pytest.mark.parametrize("seed", [3, 7])
@pytest.mark.parametrize("order", [1, -1], ids=["near to far", "far to near"])
def test_a_rendered_sweep_without_motion_is_left_alone(seed: int, order: int) -> None:
    run = run_with("auto")
    for item in rendered(seed).stack.slices[::order]:
        assert run.add(item) is item


def test_a_rendered_sweep_with_motion_is_aligned_to_a_fraction_of_a_pixel() -> None:
    options = RenderOptions(breathing=1.0, shake_translation=2.0, shake_rotation=0.2, flicker=0.03)
    simulated = render_random_sweep(3, slices=6, width=320, height=240, options=options)
    run = run_with("auto")
    size = simulated.stack.size
    for item, truth in zip(simulated.stack.slices, simulated.motions, strict=True):
        run.add(item)
        home = np.linalg.inv(truth) @ run.motion_of(item).matrix
        assert rms_displacement(home, size) < 0.4
    assert rms_displacement(truth, size) > 2.0


def test_parallax_is_found_in_time_for_a_short_sweep() -> None:
    slices = []
    for number in range(5):
        image = seen(np.eye(3), blur=0.3 * number)
        near = seen(similarity(shift=(1.6 * number, 0.0)), blur=0.3 * number)
        image[:, :100] = near[:, :100]
        slices.append(Slice(image, 0.5 + 0.1 * number))
    run = run_with("auto")
    for item in slices:
        run.add(item)
    assert run.motion_of(slices[1]).flow is None
    for item in slices[2:]:
        assert run.motion_of(item).flow is not None


def test_the_same_slices_are_registered_once_however_many_sweeps_share_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = []

    def counted(previous: Any, view: Any, *, model: Any) -> Any:
        pairs.append((previous, view))
        return register_ecc(previous, view, model=model)

    register_ecc = neighbours.register_ecc
    monkeypatch.setattr(neighbours, "register_ecc", counted)
    slices = moving_sweep(HANDHELD)
    aligner = Aligner()
    for first in range(3):
        run = aligner.start()
        for item in slices[first : first + 4]:
            run.add(item)
    assert len(pairs) == len(slices) - 1


def test_what_is_remembered_goes_with_the_slices() -> None:
    aligner = Aligner()
    run = aligner.start()
    for item in moving_sweep(HANDHELD):
        run.add(item)
    del run, item
    gc.collect()
    assert len(aligner._neighbours._views) == 0


def test_few_of_the_original_images_are_held() -> None:
    run = run_with("auto")
    aligned, originals = [], []
    for number in range(12):
        item = Slice(seen(similarity(1.0 + 0.005 * number)), 0.5 + 0.1 * number)
        originals.append(ref(item))
        aligned.append(run.add(item))
    del item
    gc.collect()
    # The first, the last, and the one from which parallax is followed; of the latter two also
    # those before, should the last be replaced.
    assert sum(one() is not None for one in originals) <= 5
    assert len({id(one.image) for one in aligned}) == 12


def test_pixels_that_are_out_of_view_are_marked() -> None:
    slices = moving_sweep([np.eye(3), similarity(shift=(8.0, 0.0))])
    run = run_with("ecc")
    assert run.add(slices[0]).valid_mask is None
    mask = run.add(slices[1]).valid_mask
    assert mask is not None
    assert mask[:, :-10].all()
    assert not mask[:, -7:].any()


def test_exposure_is_matched_unless_it_is_not_wanted() -> None:
    gains = (1.0, 0.8, 0.7, 1.2, 0.9, 0.75)
    for wanted in (True, False):
        run = run_with("auto", match_exposure=wanted)
        slices = moving_sweep(STILL, gains=gains)
        for item, gain in zip(slices, gains, strict=True):
            ratio = run.add(item).image.mean() / slices[0].image.mean()
            assert ratio == pytest.approx(1.0 if wanted else gain, rel=0.03)


def test_a_brightened_slice_tells_of_its_noise() -> None:
    slices = moving_sweep(STILL, gains=(1.0, 0.5, 1.0, 1.3, 1.0, 1.0))
    run = run_with("auto")
    gains = [run.add(item).gain for item in slices]
    assert gains == pytest.approx([1.0, 2.0, 1.0, 1 / 1.3, 1.0, 1.0], rel=0.03)


@pytest.mark.parametrize(
    ("share", "level", "message"),
    [
        (0.3, 0, "3. % of the image is black, of the first slice 0 %"),
        (0.3, 255, "3. % of the image is overexposed, of the first slice 0 %"),
        (1.0, 9, "mean grey level is 9, of the first slice 1.."),
    ],
)
@pytest.mark.parametrize("method", ["auto", "none"])
def test_a_slice_that_shows_much_less_than_the_first_is_left_out(
    method: str, share: float, level: int, message: str
) -> None:
    slices = moving_sweep(STILL)
    image = slices[3].image.copy()
    columns = round(share * SIZE[1])
    noise = np.random.default_rng(5).normal(0.0, 1.0 if level == 9 else 0.0, image.shape)
    image[:, :columns] = np.clip(level + noise, 0, 255)[:, :columns]
    run = run_with(method)
    for item in slices[:3]:
        run.add(item)
    with pytest.raises(AlignmentError, match=message):
        run.add(Slice(image, 9.0))
    assert run.add(slices[3]) is slices[3]


@pytest.mark.parametrize("fault", ["dark", "white"])
def test_a_first_slice_that_shows_much_less_is_the_one_left_out(fault: str) -> None:
    slices = moving_sweep(STILL)
    image = (slices[0].image * 0.08).astype(np.uint8)
    if fault == "white":
        image = slices[0].image.copy()
        image[:, : SIZE[1] // 2] = 255
    odd = Slice(image, 9.0)
    run = run_with("auto")
    taken = []
    for item in [odd, *slices]:
        try:
            run.add(item)
            taken.append(item)
        except AlignmentError:
            pass
    assert run.anchor is slices[0]
    assert taken == [odd, *slices[1:]]


@pytest.mark.parametrize("method", ["auto", "flow"])
@pytest.mark.parametrize("place", [0, 3])
def test_the_noise_of_a_covered_lens_is_no_picture_of_the_scene(method: str, place: int) -> None:
    slices = moving_sweep(STILL)
    noise = np.random.default_rng(5).normal(40.0, 3.0, slices[0].image.shape)
    covered = Slice(np.clip(noise, 0, 255).astype(np.uint8), 9.0)
    run = run_with(method)
    reasons = []
    for item in [*slices[:place], covered, *slices[place:]]:
        try:
            run.add(item)
        except AlignmentError as error:
            reasons.append(str(error))
    assert len(reasons) == 1
    assert "shows nothing of what the slice before shows" in reasons[0]
    assert run.anchor is slices[0]


def test_a_surface_without_texture_is_not_taken_for_a_covered_lens() -> None:
    shade = np.linspace(120.0, 180.0, SIZE[1]) + np.zeros((*SIZE[:1], 1))
    rng = np.random.default_rng(5)
    run = run_with("auto")
    for number in range(4):
        grained = shade[..., np.newaxis] + rng.normal(0.0, 1.0, (*SIZE, 3))
        item = Slice(grained.astype(np.uint8), 1.0 + number)
        assert run.add(item) is item


def broken(kind: str) -> Slice:
    image = {
        "black": np.zeros((*SIZE, 3), np.uint8),
        "saturated": np.full((*SIZE, 3), 255, np.uint8),
        "blank": np.full((*SIZE, 3), 77, np.uint8),
        "another scene": seen(np.eye(3), seed=9),
    }[kind]
    return Slice(image, 9.0)


REASONS = {
    "black": "100 % of the image is black",
    "saturated": "100 % of the image is overexposed",
    "blank": "the image is blank",
    "another scene": "match|agree|in common|the transform",
}


# What is black, saturated or blank is found before any method comes to it.
ONLY_FOR_AUTO = [
    pytest.param(method, place, kind, marks=() if method == "auto" else pytest.mark.slow)
    for method in ("auto", "ecc", "homography")
    for place in (0, 1, 3)
    for kind in ("black", "saturated", "blank")
]
FOR_EACH = [
    (method, place, "another scene")
    for method in ("auto", "ecc", "homography")
    for place in (0, 1, 3)
]


@pytest.mark.parametrize(("method", "place", "kind"), [*FOR_EACH, *ONLY_FOR_AUTO])
def test_broken_slices_are_left_out_wherever_they_come(method: str, place: int, kind: str) -> None:
    slices = moving_sweep(HANDHELD)
    bad = broken(kind)
    run = run_with(method)
    taken, reasons = [], []
    for item in [*slices[:place], bad, *slices[place:]]:
        try:
            run.add(item)
            taken.append(item)
        except AlignmentError as error:
            reasons.append(str(error))
    if place == 0 and kind == "another scene":
        # Which of the first two is the wrong one shows with the third.
        assert run.anchor is slices[0]
        assert taken == [bad, *slices[1:]]
    else:
        assert run.anchor is slices[0]
        assert taken == slices
    assert len(reasons) == 1
    assert re.search(REASONS[kind], reasons[0])
    known = HANDHELD[5] @ np.linalg.inv(HANDHELD[0])
    assert distance(run.motion_of(slices[5]).matrix, known) < 0.8


def test_the_nearest_slice_taken_stands_in_for_one_left_out() -> None:
    slices = moving_sweep(HANDHELD)
    bad = broken("black")
    run = run_with("auto")
    for item in (*slices[:2], bad, *slices[2:]):
        if item is bad:
            with pytest.raises(AlignmentError):
                run.add(item)
        else:
            run.add(item)
    assert run.nearest_taken(slices[4]) is slices[4]
    assert run.nearest_taken(bad) in (slices[1], slices[2])
    with pytest.raises(StackError, match="none of the slices of this sweep"):
        run.nearest_taken(broken("blank"))


def test_pictures_are_written_of_every_slice_but_the_first(tmp_path: Path) -> None:
    run = run_with("auto", pictures_dir=str(tmp_path / "pictures"))
    for item in moving_sweep(HANDHELD[:3]):
        run.add(item)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["alignment_002.jpg", "alignment_003.jpg"]
    before, after = np.split(cv2.imread(str(tmp_path / "pictures" / names[1])), 2)
    tint = [
        float(np.abs(half[:, : SIZE[1], 0].astype(int) - half[:, : SIZE[1], 2])[30:-30, 30:].mean())
        for half in (before, after)
    ]
    assert tint[1] < 0.6 * tint[0]


def test_pictures_that_cannot_be_written_cost_no_depth(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    run = run_with("auto", pictures_dir=str(folder))
    folder.rmdir()
    folder.touch()  # as if it had been taken away
    for item in moving_sweep(STILL):
        assert run.add(item) is item
    (remark,) = run.remarks
    assert remark.startswith(f"no pictures of the alignment in {folder}: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "'method' is 'magic'; it must be one of auto, none, scale"),
        ({"ecc_model": "cubic"}, "'ecc_model' is 'cubic'; it must be one of similarity"),
        ({"method": "scale"}, "alignment by scale needs a calibration"),
        ({"breathing": 11.0}, r"'breathing' is 11.0; it must be in \[-10, 10\]"),
        ({"breathing_table": "0:0"}, "breathing_table' has '0:0'"),
        ({"method": "external"}, "needs flow_path"),
        ({"method": "external", "flow_path": "/nowhere"}, "/nowhere is no folder"),
        ({"flow_path": "/flows"}, "flow_path is /flows, but alignment is by 'auto'"),
        ({"pictures_dir": "/dev/null/x"}, "pictures_dir /dev/null/x cannot be made"),
    ],
)
def test_options_out_of_range_are_named(options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Aligner(AlignmentConfig(**options))
