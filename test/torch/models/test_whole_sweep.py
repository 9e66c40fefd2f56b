"""What the guide makes of a whole sweep does not depend on how it is taken through the memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from focdepth_ros.models import focus_guide
from focdepth_ros.models.focus_guide import MEASURES, focus_statistics, largest_slice
from focdepth_ros.models.refinement import PICTURE_CHANNELS, chosen_cells
from focdepth_ros.models.sweeps import SliceFeatures, guide_input


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_statistics_in_bands_are_those_of_the_whole(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    energies = 8.0 * torch.rand(2, 5, MEASURES, 7, 6)
    positions = torch.linspace(1.0, 0.0, 5).expand(2, -1)
    whole = focus_statistics(energies, positions)  # gradients are wanted: it is not divided
    monkeypatch.setattr(focus_guide, "_BAND", rows * energies.numel() // 7)
    seen = []
    one_band = focus_guide._statistics_of
    monkeypatch.setattr(
        focus_guide, "_statistics_of", lambda *given: seen.append(0) or one_band(*given)
    )
    with torch.inference_mode():
        found = focus_statistics(energies, positions)
    assert len(seen) == -(-7 // rows)
    for part, expected in zip(found, whole, strict=True):
        torch.testing.assert_close(part, expected)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_largest_slice_is_the_first_of_equals(count: int) -> None:
    torch.manual_seed(0)
    values = torch.randint(0, 3, (2, count, MEASURES, 7, 6)).float()  # many are equal
    expected = values.max(dim=1, keepdim=True)
    with torch.inference_mode():
        peak, index = largest_slice(values)
        values[0, 0, 0, 0, 0] = torch.nan
        broken = largest_slice(values)[1]
    assert torch.equal(peak, expected.values)
    assert torch.equal(index, expected.indices)
    assert 0 <= int(broken.min()) <= int(broken.max()) < count


@pytest.mark.parametrize("size", [(6, 8), (5, 7)], ids=["even", "odd"])
def test_each_cell_comes_from_the_picture_of_its_number(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    height, width = size
    pictures = [torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8) for _ in range(4)]
    number = torch.randint(0, 4, (2, 1, 4, 4))  # 8x8 pixels: the rest repeats the last ones
    found = chosen_cells(pictures, number)
    assert found.shape == (2, PICTURE_CHANNELS, 4, 4)
    shown = nn.functional.pixel_shuffle(found, 2)
    for stack in range(2):
        for y in range(height):
            for x in range(width):
                chosen = pictures[int(number[stack, 0, y // 2, x // 2])]
                assert shown[stack, :, y, x].tolist() == chosen[stack, :, y, x].tolist()
    assert torch.equal(shown[..., height:, :], shown[..., height - 1 : height, :].expand(
        -1, -1, 8 - height, -1
    ))  # fmt: skip


def test_one_sweep_is_put_in_order_as_several_are() -> None:
    """Of one the order is read on the CPU, of several it is a tensor."""
    torch.manual_seed(0)
    stacks = [_slices(torch.tensor(dioptres)) for dioptres in ([1.0, 3.0, 2.0], [2.0, 1.0, 3.0])]
    more = [[torch.rand(1, 1, 4, 4) for _ in range(3)] for _ in stacks]
    both = [_beside(pair) for pair in zip(*stacks, strict=True)]
    together = guide_input(both, [torch.cat(pair) for pair in zip(*more, strict=True)])
    for number, (slices, curves) in enumerate(zip(stacks, more, strict=True)):
        alone = guide_input(slices, curves)
        assert alone.energies.shape == (1, 3, MEASURES + 1, 4, 4)
        assert torch.equal(alone.energies[0], together.energies[number])
        assert torch.equal(alone.positions[0], together.positions[number])
        assert torch.equal(alone.order[0], together.order[number])


def _slices(dioptres: torch.Tensor) -> list[SliceFeatures]:
    """In the order of exposure; a part of each is out of view."""
    found = []
    for dioptre in dioptres:
        known = torch.rand(1, 1, 4, 4) > 0.2
        energies = torch.rand(1, MEASURES, 4, 4)
        picture = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
        found.append(SliceFeatures((), energies, picture, known, dioptre[None], (8, 8)))
    return found


def _beside(pair: tuple[SliceFeatures, SliceFeatures]) -> SliceFeatures:
    """The same slice of two stacks as a batch."""

    def batch(name: str) -> torch.Tensor:
        return torch.cat([getattr(item, name) for item in pair])

    return SliceFeatures(
        (), batch("energies"), batch("picture"), batch("known"), batch("dioptre"), (8, 8)
    )
