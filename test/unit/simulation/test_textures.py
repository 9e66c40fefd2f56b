from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.colour import linear_from_srgb, srgb_from_linear
from focdepth_ros.errors import OptionError
from focdepth_ros.simulation.textures import (
    Texture,
    fractal_noise,
    load_photographs,
    random_texture,
)


def _image(side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(0.1, 0.9, size=(side, side, 3)).astype(np.float32)


class TestTexture:
    def test_gives_its_texels_where_a_pixel_is_as_large_as_two_of_them(self) -> None:
        # From two texels on there is no grain; level 1 of the pyramid is the mean of 2 x 2.
        image = _image()
        texture = Texture(image, 0.01)
        centres = (np.arange(32) * 2 + 1.0) * 0.01
        x, y = np.meshgrid(centres, centres)
        coordinates = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
        found = texture.sample(coordinates, np.full(len(coordinates), 0.02, np.float32))
        expected = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)).reshape(-1, 3)
        np.testing.assert_allclose(found, expected, atol=1e-3)

    def test_seen_from_afar_is_its_mean(self) -> None:
        image = _image()
        coordinates = np.random.default_rng(1).uniform(-9.0, 9.0, (500, 2)).astype(np.float32)
        found = Texture(image, 0.01).sample(coordinates, np.full(500, 50.0, np.float32))
        np.testing.assert_allclose(
            found, np.broadcast_to(image.mean(axis=(0, 1)), found.shape), atol=0.06
        )

    def test_is_mirrored_beyond_its_border(self) -> None:
        texture = Texture(_image(), 0.01)
        inside = np.random.default_rng(1).uniform(0.0, 0.64, (300, 2)).astype(np.float32)
        footprint = np.full(300, 0.02, np.float32)
        there = texture.sample(inside, footprint)
        np.testing.assert_allclose(texture.sample(-inside, footprint), there, atol=1e-3)
        np.testing.assert_allclose(texture.sample(inside + 1.28, footprint), there, atol=1e-3)

    def test_has_detail_however_near(self) -> None:
        texture = Texture(np.full((64, 64, 3), 0.4, np.float32), 0.01)
        line = np.stack([np.linspace(0.0, 0.1, 200), np.full(200, 0.1)], axis=1).astype(np.float32)
        assert texture.sample(line, np.full(200, 5e-4, np.float32)).std() > 0.01


class TestRandomTexture:
    def test_is_the_same_for_the_same_generator_state(self) -> None:
        coordinates = np.random.default_rng(1).uniform(0.0, 1.0, (100, 2)).astype(np.float32)
        footprint = np.full(100, 0.004, np.float32)

        def colours(seed: int) -> np.ndarray:
            texture = random_texture(np.random.default_rng(seed), 0.002)
            return texture.sample(coordinates, footprint)

        assert np.array_equal(colours(5), colours(5))
        assert not np.array_equal(colours(5), colours(6))

    @pytest.mark.parametrize("seed", range(12))
    def test_has_contrast_and_legal_colours(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        photograph = (255 * _image(80)).astype(np.uint8)
        texture = random_texture(rng, 0.002, [photograph])
        x, y = np.meshgrid(np.arange(100), np.arange(100))
        coordinates = (0.004 * np.stack([x.ravel(), y.ravel()], axis=1)).astype(np.float32)
        colours = texture.sample(coordinates, np.full(10_000, 0.004, np.float32))
        assert colours.min() >= 0.0
        assert colours.max() <= 1.0
        assert colours.std(axis=0).max() > 0.02


class TestPhotographs:
    def test_come_from_a_folder_in_the_order_of_names_as_rgb(self, tmp_path: Path) -> None:
        for name, blue in (("b.png", 200), ("a.png", 100)):
            image = np.zeros((8, 9, 3), np.uint8)
            image[..., 0] = blue  # of OpenCV's BGR
            cv2.imwrite(str(tmp_path / name), image)
        (tmp_path / "notes.txt").write_text("not an image")
        first, second = load_photographs(tmp_path)
        assert first.shape == (8, 9, 3)
        assert first[0, 0].tolist() == [0, 0, 100]
        assert second[0, 0].tolist() == [0, 0, 200]

    def test_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="nowhere' does not exist"):
            load_photographs(tmp_path / "nowhere")

    def test_folder_without_images_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "broken.png").write_bytes(b"no picture")
        with pytest.raises(OptionError, match="holds no readable image"):
            load_photographs(tmp_path)

    def test_bundled_ones_are_rgb_images(self) -> None:
        # None at all is right where scikit-image is not installed.
        for photograph in load_photographs():
            assert photograph.dtype == np.uint8
            assert photograph.ndim == 3
            assert min(photograph.shape[:2]) >= 256


def test_fractal_noise_keeps_its_range_and_mean() -> None:
    noise = fractal_noise(np.random.default_rng(0), 128)
    assert noise.shape == (128, 128)
    assert 0.0 <= noise.min() < noise.max() <= 1.0
    assert abs(float(noise.mean()) - 0.5) < 0.15


class TestColour:
    def test_every_code_comes_back(self) -> None:
        codes = np.arange(256, dtype=np.uint8)
        assert np.array_equal(srgb_from_linear(linear_from_srgb(codes)), codes)

    def test_middle_grey(self) -> None:
        # IEC 61966-2-1: 18 % of light is code 118.
        assert int(srgb_from_linear(np.array([0.18], np.float32))[0]) == 118

    def test_out_of_range_is_clipped(self) -> None:
        light = np.array([-0.5, 1.5], np.float32)
        assert srgb_from_linear(light).tolist() == [0, 255]
