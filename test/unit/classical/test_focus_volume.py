"""A sweep as it comes in: its order, repeated distances, and slices that do not belong to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_sweeps import DIOPTRES, SIZE, true_index, two_surfaces

from focdepth_ros.classical.focus_operators import create_focus_measure
from focdepth_ros.classical.focus_volume import (
    FocusVolume,
    FocusVolumeBuilder,
    fill_unknown,
    sharpest_slice,
    without_amplified_noise,
)
from focdepth_ros.errors import SliceError, StackError
from focdepth_ros.stack import FloatImage, Slice
from focdepth_ros.sweep_parts.spec import SweepSpec

SPEC = SweepSpec(height=2, width=3)


def mean_grey(item: Slice) -> FloatImage:
    return np.full(item.size, item.image.mean(), np.float32)


def grey_slice(level: int, distance: float | None, shape: tuple[int, ...] = (2, 3, 3)) -> Slice:
    return Slice(np.full(shape, level, np.uint8), distance)


def builder(spec: SweepSpec = SPEC) -> FocusVolumeBuilder:
    return FocusVolumeBuilder(spec, mean_grey)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_sorts_near_to_far_whatever_order_slices_come_in(order: tuple[int, ...]) -> None:
    slices = [grey_slice(10, 0.5), grey_slice(20, 2.0), grey_slice(30, np.inf)]
    collected = builder()
    for i in order:
        collected.add(slices[i])
    volume = collected.volume()
    np.testing.assert_array_equal(volume.positions, [2.0, 0.5, 0.0])
    np.testing.assert_array_equal(volume.energy[:, 0, 0], [10.0, 20.0, 30.0])
    assert [int(image[0, 0, 0]) for image in volume.images] == [10, 20, 30]
    assert volume.energy.shape == (3, 2, 3)
    assert volume.size == (2, 3)
    assert volume.metric


def test_a_slice_at_the_distance_of_the_last_replaces_it() -> None:
    collected = builder()
    for level, distance in ((10, 0.5), (20, 1.0), (25, 1.0), (30, 2.0)):
        collected.add(grey_slice(level, distance))
    volume = collected.volume()
    np.testing.assert_array_equal(volume.energy[:, 0, 0], [10.0, 25.0, 30.0])
    assert [int(image[0, 0, 0]) for image in volume.images] == [10, 25, 30]


REFUSED = [
    (grey_slice(9, 0.9), r"already has a slice at 0.9 m"),
    # Another number, but of the same inverse.
    (grey_slice(9, float(np.nextafter(0.9, 0.0))), r"already has a slice at 0.89999"),
    (grey_slice(9, 3.0, (3, 3, 3)), r"3x3 px, the sweep 3x2"),
    (grey_slice(9, None), r"no focus distance"),
    (grey_slice(9, 3.0, (2, 3)), r"mono or all RGB"),
]


@pytest.mark.parametrize(("item", "message"), REFUSED)
def test_refuses_what_does_not_belong_and_goes_on(item: Slice, message: str) -> None:
    collected = builder()
    collected.add(grey_slice(10, 0.9))
    collected.add(grey_slice(20, 1.0))
    with pytest.raises(SliceError, match=message):
        collected.add(item)
    collected.add(grey_slice(30, 2.0))
    np.testing.assert_array_equal(collected.volume().energy[:, 0, 0], [10.0, 20.0, 30.0])


def test_a_relative_sweep_keeps_the_order_in_which_it_came() -> None:
    collected = builder(SweepSpec(height=2, width=3, metric=False))
    for level, distance in ((30, None), (10, 5.0), (20, 5.0)):
        collected.add(grey_slice(level, distance))
    volume = collected.volume()
    np.testing.assert_array_equal(volume.positions, [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(volume.energy[:, 0, 0], [30.0, 10.0, 20.0])
    assert not volume.metric


@pytest.mark.parametrize("all_in_focus", [True, False])
def test_images_come_in_the_order_of_the_slices(all_in_focus: bool) -> None:
    collected = builder(SweepSpec(height=2, width=3, all_in_focus=all_in_focus))
    far, near = grey_slice(10, 1.0), grey_slice(20, 0.5)
    collected.add(far)
    collected.add(near)
    volume = collected.volume()
    assert volume.images[0] is near.image
    assert volume.images[1] is far.image
    assert volume.all_in_focus is all_in_focus


def test_the_sharpest_slice_is_the_first_of_the_largest() -> None:
    energy = np.random.default_rng(0).integers(0, 4, (6, 40, 50)).astype(np.float32)
    np.testing.assert_array_equal(sharpest_slice(energy), energy.argmax(axis=0))


@pytest.mark.parametrize("count", [0, 1])
def test_needs_two_slices(count: int) -> None:
    collected = builder()
    for _ in range(count):
        collected.add(grey_slice(10, 0.5))
    with pytest.raises(StackError, match=f"this one has {count}"):
        collected.volume()


def test_an_early_answer_leaves_the_sweep_as_it_is() -> None:
    collected = builder()
    for level, distance in ((30, 2.0), (20, 1.0)):
        collected.add(grey_slice(level, distance))
    early = collected.volume().energy.copy()
    collected.add(grey_slice(10, 0.5))
    np.testing.assert_array_equal(early[:, 0, 0], [20.0, 30.0])
    np.testing.assert_array_equal(collected.volume().energy[:, 0, 0], [10.0, 20.0, 30.0])


NAN = float("nan")


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([4.0, NAN, 8.0, 2.0], [4.0, 5.0, 8.0, 2.0]),  # a quarter of the way in dioptres
        ([NAN, NAN, 8.0, 2.0], [8.0, 8.0, 8.0, 2.0]),
        ([4.0, 8.0, NAN, NAN], [4.0, 8.0, 8.0, 8.0]),
        ([NAN, 8.0, NAN, NAN], [8.0, 8.0, 8.0, 8.0]),
        ([4.0, NAN, NAN, 4.0], [4.0, 4.0, 4.0, 4.0]),
        ([NAN, NAN, NAN, NAN], [0.0, 0.0, 0.0, 0.0]),
        ([4.0, 8.0, 2.0, 1.0], [4.0, 8.0, 2.0, 1.0]),
    ],
)
def test_what_was_out_of_view_lies_between_its_neighbours_and_never_wins(
    curve: list[float], expected: list[float]
) -> None:
    positions = np.array([2.0, 1.75, 1.0, 0.5])
    # Among others, so that each is filled from its own curve, and more than are filled at once.
    energy = np.random.default_rng(0).random((4, 8000, 3), np.float32)
    place = np.s_[:, 7900, 1]
    energy[place] = curve
    valid = ~np.isnan(energy)
    others = energy[:, :, 0].copy()
    fill_unknown(energy, valid, positions)
    np.testing.assert_allclose(energy[place], expected, rtol=1e-6)
    np.testing.assert_array_equal(energy[:, :, 0], others)
    if valid[place].any():
        assert valid[place][energy[place].argmax()]


def seen_in_part(hidden: range, columns: slice) -> list[Slice]:
    """A sweep of which some slices do not show some columns, nor anything but black there."""
    items = []
    for number, item in enumerate(two_surfaces()):
        valid = np.ones(SIZE, np.bool_)
        if number in hidden:
            valid[:, columns] = False
        image = item.image.copy()
        image[~valid] = 0
        items.append(Slice(image, item.focus_distance, valid_mask=valid))
    return items


def test_a_sweep_seen_in_part_knows_where_and_has_its_peaks_in_the_rest() -> None:
    operator = create_focus_measure()
    collected = FocusVolumeBuilder(
        SweepSpec(*SIZE),
        lambda item: operator(item.image, window_sigma=3.0, valid_mask=item.valid_mask),
    )
    # The right surface is sharpest in slice 5, which was in view everywhere.
    for item in reversed(seen_in_part(range(4), np.s_[50:])):
        collected.add(item)
    volume = collected.volume()
    assert volume.valid is not None
    assert volume.valid[4:].all()
    assert not volume.valid[:4, :, 50:].any()
    assert volume.valid[:4, :, : 50 - operator.reach].all()
    assert np.isfinite(volume.energy).all()
    peaks = volume.energy.argmax(axis=0)
    assert np.take_along_axis(volume.valid, peaks[np.newaxis], axis=0).all()
    np.testing.assert_array_equal(peaks[:, 42:], true_index()[:, 42:])


def test_a_sweep_wholly_in_view_says_nothing_of_it() -> None:
    operator = create_focus_measure()
    collected = FocusVolumeBuilder(
        SweepSpec(*SIZE),
        lambda item: operator(item.image, window_sigma=3.0, valid_mask=item.valid_mask),
    )
    for item in seen_in_part(range(0), np.s_[50:]):
        collected.add(item)
    assert collected.volume().valid is None
    assert len(collected.volume().positions) == len(DIOPTRES)


def test_what_was_out_of_view_stays_so_after_an_early_answer() -> None:
    operator = create_focus_measure()
    items = seen_in_part(range(4), np.s_[50:])
    early, late = (
        FocusVolumeBuilder(
            SweepSpec(*SIZE),
            lambda item: operator(item.image, window_sigma=3.0, valid_mask=item.valid_mask),
        )
        for _ in range(2)
    )
    for number, item in enumerate(items):
        early.add(item)
        late.add(item)
        if number in (3, 5):
            early.volume()
    found, expected = early.volume(), late.volume()
    np.testing.assert_array_equal(found.valid, expected.valid)
    np.testing.assert_array_equal(found.energy, expected.energy)


def test_a_peak_beside_an_unseen_slice_counts_as_outside() -> None:
    curve = np.array([1.0, 2.0, 9.0, 3.0, 1.0], np.float32)
    energy = np.broadcast_to(curve[:, np.newaxis, np.newaxis], (5, 2, 3)).copy()
    valid = np.ones(energy.shape, np.bool_)
    valid[3, 0, :] = False  # beside the peak
    valid[0, 1, 0] = False  # far from it
    volume = FocusVolume(
        energy=energy, positions=np.arange(5.0), images=(), size=(2, 3), metric=False,
        all_in_focus=False, valid=valid,
    )  # fmt: skip
    _, _, overshoot = volume.refine_peak(np.full((2, 3), 2, np.uint8), 0.1)
    np.testing.assert_array_equal(overshoot[0], 1.0)
    np.testing.assert_array_equal(overshoot[1], 0.0)


def test_noise_that_brightening_amplified_does_not_count_as_texture() -> None:
    rng = np.random.default_rng(0)
    items = two_surfaces(noise=1.0)
    plain = np.full(items[0].image.shape, 120.0)
    operator = create_focus_measure()
    energies = np.stack(
        [
            operator(
                np.clip(plain + gain * rng.normal(size=plain.shape), 0, 255).astype(np.uint8),
                window_sigma=3.0,
            )
            for gain in (1.0, 1.0, 4.0, 1.0)
        ]
    )
    before = energies.copy()
    assert (sharpest_slice(energies) == 2).all()
    quieter = without_amplified_noise(energies, [1.0, 1.0, 4.0, 1.0])
    np.testing.assert_array_equal(energies, before)
    np.testing.assert_array_equal(quieter[[0, 1, 3]], before[[0, 1, 3]])
    assert float(np.median(quieter[2])) < 4.0 * float(np.median(before[0]))
    # Texture far above the noise keeps nearly all it has.
    textured = np.full_like(energies, 5000.0)
    textured[:, :, :10] = before[:, :, :10]
    assert (without_amplified_noise(textured, [1.0, 1.0, 4.0, 1.0])[2, :, 10:] > 4900.0).all()


def test_energy_of_slices_that_were_hardly_brightened_is_left_as_it_is() -> None:
    energy = np.ones((3, 4, 5), np.float32)
    assert without_amplified_noise(energy, [1.0, 0.5, 1.05]) is energy


def test_an_answer_can_be_asked_for_again_where_a_slice_was_brightened() -> None:
    operator = create_focus_measure()

    def collected(gain: float) -> FocusVolumeBuilder:
        found = FocusVolumeBuilder(
            SweepSpec(*SIZE), lambda item: operator(item.image, window_sigma=3.0)
        )
        for number, item in enumerate(two_surfaces()):
            found.add(replace(item, gain=gain if number == 2 else 1.0))
        return found

    brightened = collected(2.0)
    first, second = brightened.volume().energy, brightened.volume().energy
    np.testing.assert_array_equal(first, second)
    differs = (collected(1.0).volume().energy != first).any(axis=(1, 2))
    assert differs.tolist() == [number == 2 for number in range(len(first))]
