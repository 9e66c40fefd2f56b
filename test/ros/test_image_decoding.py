from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from focdepth_ros.errors import MessageError
from focdepth_ros.messages.image_decoding import ImageLimits, open_compressed_image, open_image

HEIGHT, WIDTH = 16, 24
LIMITS = ImageLimits(max_pixels=10_000, bit_depth=16)


@pytest.fixture
def rgb() -> np.ndarray:
    """A smooth picture: what takes a colour from neighbours finds about the same there."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    channels = [60 + 5 * columns, 200 - 6 * rows, 90 + 2 * rows + 2 * columns]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.fixture
def grey() -> np.ndarray:
    return np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH).astype(np.uint8)


def message_of(rows: np.ndarray, encoding: str, *, padding: int = 0, width: int = WIDTH) -> Image:
    """An image of these rows of bytes, each followed by some bytes of padding."""
    rows = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message = Image(height=len(rows), width=width, encoding=encoding, step=padded.shape[1])
    message.data = array.array("B", padded.tobytes())
    return message


def decoded(message: Image, limits: ImageLimits = LIMITS) -> np.ndarray:
    image = open_image(message, limits)
    assert image.encoding == message.encoding
    pixels = image.decode()
    assert pixels.dtype == np.uint8
    assert pixels.shape[:2] == image.size
    return pixels


@pytest.mark.parametrize("padding", [0, 5])
class TestExactEncodings:
    @pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
    def test_mono(self, encoding: str, padding: int, grey: np.ndarray) -> None:
        pixels = decoded(message_of(grey, encoding, padding=padding))
        np.testing.assert_array_equal(pixels, grey)

    @pytest.mark.parametrize(
        ("encoding", "channels"),
        [("rgb8", "rgb"), ("bgr8", "bgr"), ("8UC3", "bgr"), ("rgba8", "rgba"), ("bgra8", "bgra")],
    )
    def test_colour(self, encoding: str, channels: str, padding: int, rgb: np.ndarray) -> None:
        planes = {"r": rgb[..., 0], "g": rgb[..., 1], "b": rgb[..., 2], "a": 0 * rgb[..., 0]}
        rows = np.stack([planes[name] for name in channels], axis=-1)
        pixels = decoded(message_of(rows, encoding, padding=padding))
        np.testing.assert_array_equal(pixels, rgb)

    @pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
    @pytest.mark.parametrize("is_big_endian", [False, True])
    def test_mono16(
        self, encoding: str, is_big_endian: bool, padding: int, grey: np.ndarray
    ) -> None:
        rows = (grey.astype(np.uint32) * 257).astype(">u2" if is_big_endian else "<u2")
        message = message_of(rows, encoding, padding=padding)
        message.is_bigendian = int(is_big_endian)
        np.testing.assert_array_equal(decoded(message), grey)

    def test_yuv422(self, padding: int) -> None:
        # Full-scale white and a pure grey have neutral chroma in every YUV.
        luma = np.tile(np.array([235, 126], np.uint8), (HEIGHT, WIDTH // 2))
        chroma = np.full_like(luma, 128)
        orders = {
            "uyvy": (chroma, luma),
            "yuv422": (chroma, luma),
            "yuyv": (luma, chroma),
            "yuv422_yuy2": (luma, chroma),
        }
        for encoding, order in orders.items():
            pixels = decoded(message_of(np.stack(order, axis=-1), encoding, padding=padding))
            assert np.all(np.abs(pixels[:, 0::2].astype(int) - 255) <= 2), encoding
            assert np.all(np.abs(pixels[:, 1::2].astype(int) - 128) <= 2), encoding


@pytest.mark.parametrize(
    ("encoding", "chroma"), [("uyvy", (200, 90)), ("yuyv", (90, 200)), ("yuv422", (70, 220))]
)
def test_yuv422_has_its_colours_the_right_way_round(encoding: str, chroma: tuple[int, int]) -> None:
    u, v = chroma
    pairs = {"yuyv": [120, u, 120, v]}.get(encoding, [u, 120, v, 120])
    rows = np.tile(np.array(pairs, np.uint8), (HEIGHT, WIDTH // 2))
    red, _, blue = decoded(message_of(rows, encoding))[8, 8]
    assert (red > blue) == (v > u)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(pattern: str, rgb: np.ndarray) -> None:
    channels = np.array(["rgb".index(name) for name in pattern]).reshape(2, 2)
    chosen = np.tile(channels, (HEIGHT // 2, WIDTH // 2))
    mosaic = np.take_along_axis(rgb, chosen[..., None], axis=-1)[..., 0]
    pixels = decoded(message_of(mosaic, f"bayer_{pattern}8"))
    inner = np.s_[2:-2, 2:-2]
    assert np.abs(pixels[inner].astype(int) - rgb[inner]).max() <= 6


def test_bit_depth_scales_to_the_whole_range() -> None:
    rows = np.full((HEIGHT, WIDTH), 1023, np.uint16)
    rows[0] = 4095  # more than ten bits can hold
    pixels = decoded(message_of(rows, "mono16"), ImageLimits(10_000, bit_depth=10))
    assert np.all(pixels == 255)


@pytest.mark.parametrize("encoding", ["mono8", "rgb8"])
def test_nothing_is_copied_without_need(encoding: str, rgb: np.ndarray) -> None:
    message = message_of(rgb if encoding == "rgb8" else rgb[..., 0], encoding, padding=3)
    assert np.shares_memory(decoded(message), np.frombuffer(message.data, np.uint8))


class TestRefusedImages:
    @pytest.mark.parametrize("encoding", ["", "jpeg", "RGB8", "bayer_rggb16", "32FC1", "nv12"])
    def test_unknown_encoding(self, encoding: str, grey: np.ndarray) -> None:
        with pytest.raises(MessageError, match=f"encoding '{encoding}' is not known") as error:
            open_image(message_of(grey, encoding), LIMITS)
        assert error.value.reason == "unknown encoding"

    @pytest.mark.parametrize("size", [(0, 0), (1, 1), (7, 100), (100, 7), (0, 2**32 - 1)])
    def test_too_small(self, size: tuple[int, int]) -> None:
        message = Image(height=size[0], width=size[1], step=size[1], encoding="mono8")
        with pytest.raises(MessageError, match=f"{size[1]}x{size[0]} px") as error:
            open_image(message, LIMITS)
        assert error.value.reason == "bad image size"

    def test_absurdly_large(self) -> None:
        side = 2**32 - 1
        message = Image(height=side, width=side, step=side, encoding="mono8")
        with pytest.raises(MessageError, match="more than max_image_pixels 10000") as error:
            open_image(message, LIMITS)
        assert error.value.reason == "bad image size"

    @pytest.mark.parametrize("missing", [1, WIDTH * HEIGHT])
    def test_too_little_data(self, missing: int, grey: np.ndarray) -> None:
        message = message_of(grey, "mono8")
        message.data = message.data[:-missing]
        with pytest.raises(MessageError, match=f"{384 - missing} bytes of data") as error:
            open_image(message, LIMITS)
        assert error.value.reason == "wrong size of image data"

    def test_too_much_data(self, grey: np.ndarray) -> None:
        message = message_of(grey, "mono8")
        message.data.append(0)
        with pytest.raises(MessageError, match="asks for 384"):
            open_image(message, LIMITS)

    def test_step_shorter_than_a_row(self, grey: np.ndarray) -> None:
        with pytest.raises(MessageError, match="step of 24 bytes; it must be at least 72"):
            open_image(message_of(grey, "rgb8"), LIMITS)

    def test_odd_width_of_yuv422(self) -> None:
        message = message_of(np.zeros((16, 34), np.uint8), "uyvy", width=17)
        with pytest.raises(MessageError, match="17 px wide; it must be an even number"):
            open_image(message, LIMITS)


def compressed(image: np.ndarray, kind: str) -> CompressedImage:
    encoded = cv2.imencode(f".{kind}", image)[1]
    return CompressedImage(format=kind, data=array.array("B", encoded.tobytes()))


class TestCompressedImages:
    def test_png_is_exact(self, rgb: np.ndarray) -> None:
        image = open_compressed_image(compressed(rgb[..., ::-1], "png"), LIMITS)
        assert image.size == (HEIGHT, WIDTH)
        np.testing.assert_array_equal(image.decode(), rgb)

    def test_jpeg_is_close(self, rgb: np.ndarray) -> None:
        image = open_compressed_image(compressed(rgb[..., ::-1], "jpg"), LIMITS)
        assert image.size == (HEIGHT, WIDTH)
        assert np.abs(image.decode().astype(int) - rgb).max() < 16

    def test_mono_stays_mono(self, grey: np.ndarray) -> None:
        image = open_compressed_image(compressed(grey, "png"), LIMITS)
        np.testing.assert_array_equal(image.decode(), grey)

    def test_png_of_16_bits(self, grey: np.ndarray) -> None:
        message = compressed(grey.astype(np.uint16) * 16, "png")
        limits = ImageLimits(10_000, bit_depth=12)
        expected = np.rint(grey.astype(float) * 16 * 255 / 4095)
        np.testing.assert_array_equal(open_compressed_image(message, limits).decode(), expected)

    def test_size_is_checked_before_anything_is_decoded(self) -> None:
        message = compressed(np.zeros((101, 100), np.uint8), "png")
        with pytest.raises(MessageError, match="100x101 px, more than max_image_pixels"):
            open_compressed_image(message, LIMITS)

    def test_pixels_that_cannot_be_decoded(self, grey: np.ndarray) -> None:
        message = compressed(grey, "png")
        message.data[40:60] = array.array("B", bytes(20))
        image = open_compressed_image(message, LIMITS)
        with pytest.raises(MessageError, match="cannot be decoded"):
            image.decode()
