"""The simulated sensor: noise of the right size, geometry in the right direction."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from focdepth_ros.colour import linear_from_srgb
from focdepth_ros.colour import srgb_from_linear as reference_srgb
from focdepth_ros.errors import OptionError
from focdepth_ros.training.rendering.sensor import (
    PERFECT_SENSOR,
    SensorConfig,
    SensorModel,
    magnifications,
    resampled,
    slice_motion,
    srgb_from_linear,
    through_jpeg,
)

DIOPTRES = torch.tensor([3.0, 1.5, 0.0], dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def record(config: SensorConfig, light: torch.Tensor, seed: int = 0, margin: int = 0):
    return SensorModel(config).record(light.clone(), DIOPTRES, generator(seed), margin=margin)


def grey(level: float, size: int = 96) -> torch.Tensor:
    return torch.full((3, 3, size, size), level)


def smooth(size: int = 64) -> torch.Tensor:
    """A stack of one smooth picture, so that interpolation costs nothing."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    picture = 0.5 + 0.2 * torch.sin(x / 5.0) + 0.2 * torch.cos(y / 7.0)
    return picture.expand(3, 3, size, size).contiguous()


def test_a_perfect_sensor_codes_the_light(device: str) -> None:
    light = torch.rand((3, 3, 20, 30), generator=generator()) * 1.2 - 0.1
    images = SensorModel(PERFECT_SENSOR).record(light.clone().to(device), DIOPTRES, generator())
    expected = reference_srgb(light.numpy())
    assert images.dtype == torch.uint8
    assert np.abs(images.cpu().numpy().astype(int) - expected).max() <= 1
    assert np.mean(images.cpu().numpy() == expected) > 0.999


def test_coding_undoes_decoding(device: str) -> None:
    codes = np.arange(256, dtype=np.uint8)
    light = torch.from_numpy(linear_from_srgb(codes)).to(device)
    np.testing.assert_array_equal(srgb_from_linear(light).cpu().numpy(), codes)


def test_the_margin_is_cut_off() -> None:
    light = torch.rand((3, 3, 24, 28), generator=generator())
    found = record(PERFECT_SENSOR, light, margin=4)
    torch.testing.assert_close(found, record(PERFECT_SENSOR, light[:, :, 4:-4, 4:-4]))


@pytest.mark.parametrize("level", [0.05, 0.4])
def test_noise_has_the_variance_of_shot_and_read_noise(level: float) -> None:
    full_well, read_noise = 2000.0, 20.0
    config = replace(
        PERFECT_SENSOR, full_well=(full_well, full_well), read_noise=(read_noise, read_noise)
    )
    codes = record(config, grey(level)).numpy()
    light = linear_from_srgb(codes)
    expected = math.sqrt(level / full_well + (read_noise / full_well) ** 2)
    assert float(light.mean()) == pytest.approx(level, rel=0.02)
    assert float(light.std()) == pytest.approx(expected, rel=0.05)
    assert abs(np.corrcoef(codes[0].ravel(), codes[1].ravel())[0, 1]) < 0.03


def test_the_same_generator_records_the_same_and_another_does_not() -> None:
    config = SensorConfig(moved=1.0, jpeg=0.5)
    light = smooth()
    assert torch.equal(record(config, light, 5), record(config, light, 5))
    assert not torch.equal(record(config, light, 5), record(config, light, 6))


def test_flicker_changes_whole_slices() -> None:
    config = replace(PERFECT_SENSOR, flicker=(0.1, 0.1))
    means = torch.from_numpy(linear_from_srgb(record(config, grey(0.3)).numpy())).mean((1, 2, 3))
    assert float(means.std()) > 0.005
    assert float((means / 0.3 - 1.0).abs().max()) < 0.5


def test_vignetting_darkens_away_from_the_axis_by_no_more_than_its_loss() -> None:
    light = linear_from_srgb(
        record(replace(PERFECT_SENSOR, vignetting=(0.4, 0.4)), grey(0.5)).numpy()
    )
    assert light.max() == pytest.approx(0.5, abs=0.01)
    assert light.min() == pytest.approx(0.3, abs=0.01)


class TestMotion:
    def test_magnification_is_that_of_a_thin_lens(self) -> None:
        f = 0.016
        found = magnifications(DIOPTRES, f, 1.0)
        image_distance = f / (1.0 - f * DIOPTRES)
        torch.testing.assert_close(found, image_distance / image_distance[0])
        torch.testing.assert_close(magnifications(DIOPTRES, f, 0.0), torch.ones_like(DIOPTRES))

    def test_a_magnified_slice_shows_things_farther_from_its_axis(self) -> None:
        picture = torch.zeros((1, 1, 61, 61))
        picture[..., 40, 20] = 1.0
        motion = slice_motion(1.5, (0.0, 0.0), 0.0, (30.0, 30.0))
        found = resampled(picture, motion[None], 0)[0, 0]
        assert divmod(int(found.argmax()), 61) == (45, 15)

    def test_a_shifted_slice_sees_into_the_margin(self) -> None:
        picture = torch.arange(20.0).expand(1, 1, 20, 20).contiguous()
        motion = slice_motion(1.0, (3.0, 0.0), 0.0, (5.0, 5.0))
        found = resampled(picture, motion[None], 4)
        torch.testing.assert_close(found[0, 0, 0], torch.arange(7.0, 19.0))

    def test_turns_clockwise_about_the_axis(self) -> None:
        motion = slice_motion(1.0, (0.0, 0.0), math.pi / 2.0, (30.0, 30.0))
        # x to the right of the axis in the slice is y below it in the first one.
        torch.testing.assert_close(
            motion @ torch.tensor([40.0, 30.0, 1.0]), torch.tensor([30.0, 40.0])
        )

    def test_the_first_slice_never_moves(self) -> None:
        config = replace(PERFECT_SENSOR, moved=1.0, shift=(2.0, 2.0), breathing=(1.0, 1.0))
        light = smooth()
        found, still = record(config, light, margin=8), record(PERFECT_SENSOR, light, margin=8)
        torch.testing.assert_close(found[0], still[0])
        assert float((found[1].float() - still[1].float()).abs().mean()) > 1.0


class TestJpeg:
    def test_loses_little_at_a_high_quality_and_more_at_a_low_one(self) -> None:
        noise = torch.randint(-9, 10, (2, 3, 32, 32), generator=generator())
        codes = (torch.linspace(60, 200, 32).expand(2, 3, 32, 32) + noise).to(torch.uint8)
        codes[:, 0] += 40
        loss = [
            float((through_jpeg(codes, quality).float() - codes.float()).abs().mean())
            for quality in (98, 20)
        ]
        assert loss[0] < 5.0
        assert loss[1] > loss[0]

    def test_keeps_colours_where_they_are(self) -> None:
        codes = torch.zeros((1, 3, 16, 16), dtype=torch.uint8)
        codes[:, 0] = 220
        found = through_jpeg(codes, 95).float().mean(dim=(0, 2, 3))
        torch.testing.assert_close(found, torch.tensor([220.0, 0.0, 0.0]), atol=4.0, rtol=0.0)

    def test_is_applied_with_its_probability(self) -> None:
        light = smooth()
        plain = record(PERFECT_SENSOR, light)
        changed = [
            not torch.equal(record(replace(PERFECT_SENSOR, jpeg=0.5), light, seed), plain)
            for seed in range(20)
        ]
        assert 3 < sum(changed) < 17


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"full_well": (0.0, 10.0)}, "'full_well' goes from 0.0 to 10.0"),
        ({"flicker": (0.3, 0.1)}, "'flicker' goes from 0.3 to 0.1"),
        ({"vignetting": (0.0, 1.0)}, "within [0, 0.99]"),
        ({"jpeg": 1.5}, "'jpeg' is 1.5; a probability"),
        ({"jpeg_quality": (0, 90)}, "within [1, 100]"),
    ],
)
def test_ranges_are_checked(options: dict, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        SensorConfig(**options)
    assert message in str(caught.value)
