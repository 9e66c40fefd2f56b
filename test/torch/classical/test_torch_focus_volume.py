"""A sweep collected on torch is the sweep that NumPy collects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic_sweeps import SIZE, two_surfaces

from focdepth_ros.classical.confidence import noise_floor
from focdepth_ros.classical.focus_operators import create_focus_measure
from focdepth_ros.classical.focus_volume import FocusVolume, FocusVolumeBuilder
from focdepth_ros.classical.refinement import enlarge
from focdepth_ros.classical.torch_focus_volume import TorchFocusVolume, TorchFocusVolumeBuilder
from focdepth_ros.errors import SliceError, StackError
from focdepth_ros.stack import Slice
from focdepth_ros.sweep_parts.spec import SweepSpec

SPEC = SweepSpec(*SIZE)


def seen_in_part() -> list[Slice]:
    """A sweep of which two slices do not show the columns on the left."""
    items = two_surfaces()
    valid = np.ones(SIZE, np.bool_)
    valid[:, :20] = False
    return [
        replace(item, valid_mask=valid) if i in (0, 3) else item for i, item in enumerate(items)
    ]


def brightened() -> list[Slice]:
    """A sweep of which one slice was exposed less."""
    return [replace(item, gain=2.0 if i == 3 else 1.0) for i, item in enumerate(two_surfaces())]


def collected(
    items: list[Slice], device: str, spec: SweepSpec = SPEC
) -> tuple[TorchFocusVolume, FocusVolume]:
    """The volume on torch and on NumPy."""
    operator = create_focus_measure()
    on_torch = TorchFocusVolumeBuilder(spec, operator, device, window_sigma=3.0, reduction=2)
    on_numpy = FocusVolumeBuilder(
        spec,
        lambda item: operator(
            item.image, window_sigma=3.0, reduction=2, valid_mask=item.valid_mask
        ),
    )
    for item in items:
        on_torch.add(item)
        on_numpy.add(item)
    return on_torch.volume(), on_numpy.volume()


@pytest.mark.parametrize(
    "items",
    [two_surfaces()[::-1], seen_in_part(), brightened()],
    ids=["whole", "in part", "brightened"],
)
def test_volumes_agree(items: list[Slice], device: str) -> None:
    found, expected = collected(items, device)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.device_energy.cpu().numpy(), found.energy)
    np.testing.assert_array_equal(found.positions, expected.positions)
    if expected.valid is None:
        assert found.valid is None
    else:
        assert not expected.valid.all()
        np.testing.assert_array_equal(found.valid, expected.valid)
    assert (found.size, found.metric) == (expected.size, expected.metric)
    assert all(a is b for a, b in zip(found.images, expected.images, strict=True))
    assert found.device_energy.device.type == device


@pytest.mark.parametrize("items", [two_surfaces(), seen_in_part()], ids=["whole", "in part"])
def test_positions_and_all_in_focus_image_agree(items: list[Slice], device: str) -> None:
    found, expected = collected(items, device)
    floor = noise_floor(expected.energy)
    labels = expected.energy.argmax(axis=0)
    on_numpy = expected.refine_peak(labels, floor)
    for on_torch, at_hand in zip(found.refine_peak(labels, floor), on_numpy, strict=True):
        np.testing.assert_allclose(on_torch, at_hand, atol=5e-3)

    whole = enlarge(on_numpy[1], SIZE)
    np.testing.assert_array_equal(
        found.sample_all_in_focus(whole), expected.sample_all_in_focus(whole)
    )


def test_a_slice_at_the_distance_of_the_last_replaces_it(device: str) -> None:
    items = two_surfaces()
    again = Slice(items[3].image, items[2].focus_distance)
    found, expected = collected([*items[:3], again, *items[4:]], device)
    assert len(found.energy) == len(items) - 1
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.device_images[2].cpu().numpy(), items[3].image)


def test_an_early_answer_leaves_the_sweep_as_it_is(device: str) -> None:
    builder = TorchFocusVolumeBuilder(SPEC, create_focus_measure(), device, window_sigma=3.0)
    for item in seen_in_part()[:4]:
        builder.add(item)
    builder.volume()
    for item in seen_in_part()[4:]:
        builder.add(item)
    whole = TorchFocusVolumeBuilder(SPEC, create_focus_measure(), device, window_sigma=3.0)
    for item in seen_in_part():
        whole.add(item)
    np.testing.assert_array_equal(builder.volume().energy, whole.volume().energy)


def test_images_are_on_the_device_only_for_the_all_in_focus_image(device: str) -> None:
    found, _ = collected(two_surfaces(), device, replace(SPEC, all_in_focus=False))
    assert found.device_images == ()


def test_bad_slices_and_too_few_are_refused(device: str) -> None:
    builder = TorchFocusVolumeBuilder(SPEC, create_focus_measure(), device, window_sigma=3.0)
    with pytest.raises(SliceError, match="all slices of a sweep must be of one size"):
        builder.add(Slice(np.zeros((2, 3, 3), np.uint8), 1.0))
    builder.add(two_surfaces()[0])
    with pytest.raises(StackError, match="at least 2 slices, this one has 1"):
        builder.volume()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_frames_are_taken_in_without_waiting_for_the_gpu() -> None:
    builder = TorchFocusVolumeBuilder(SPEC, create_focus_measure(), "cuda", window_sigma=3.0)
    items = seen_in_part()
    builder.add(items[0])  # chooses algorithms
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for item in items[1:]:
            builder.add(item)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(builder.volume().energy) == len(items)
