import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import read_depth, read_image, write_image


def picture(channels: int = 3) -> np.ndarray:
    """Smooth, so that lossy formats keep it nearly."""
    rows, columns = np.mgrid[0:24, 0:36]
    layers = [rows * 5 + 20, columns * 4 + 10, rows + columns * 2, np.full((24, 36), 128)]
    image: np.ndarray = np.stack(layers[:channels], axis=-1).astype(np.uint8)
    return image[..., 0] if channels == 1 else image


def encoded(path: Path, image: np.ndarray) -> bytes:
    """What OpenCV makes of an image whose channels are in its own order."""
    return cv2.imencode(path.suffix, image)[1].tobytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF segment that says how the camera was held."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 0)
    content = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


class TestReadImage:
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm"])
    def test_gives_colour_as_rgb(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(encoded(path, np.ascontiguousarray(picture()[..., ::-1])))
        image = read_image(path)
        assert image.shape == (24, 36, 3)
        np.testing.assert_allclose(image.astype(int), picture(), atol=12)

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".pgm", ".tif"])
    def test_keeps_grey_mono(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(encoded(path, picture(1)))
        image = read_image(path)
        assert image.shape == (24, 36)
        np.testing.assert_allclose(image.astype(int), picture(1), atol=6)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_scales_16_bits_to_8(self, tmp_path: Path, channels: int) -> None:
        path = tmp_path / "a.png"
        wide = picture(channels).astype(np.uint16) * 257
        path.write_bytes(encoded(path, wide))
        image = read_image(path)
        expected = picture(channels) if channels == 1 else picture()[..., ::-1]
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, expected)

    def test_drops_alpha(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(encoded(path, picture(4)))
        np.testing.assert_array_equal(read_image(path), picture(3)[..., ::-1])

    @pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
    def test_applies_the_orientation(self, tmp_path: Path, orientation: int, turns: int) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(with_orientation(encoded(path, picture(1)), orientation))
        image = read_image(path)
        expected = np.rot90(picture(1), turns)
        assert image.shape == expected.shape
        np.testing.assert_allclose(image.astype(int), expected, atol=6)

    def test_takes_a_jpeg_with_data_behind_its_end(self, tmp_path: Path) -> None:
        # Phones append gain maps and films.
        path = tmp_path / "a.jpg"
        path.write_bytes(encoded(path, picture()) + b"more than a picture")
        assert read_image(path).shape == (24, 36, 3)

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm"])
    @pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
    def test_names_a_cut_off_file(self, tmp_path: Path, suffix: str, share: float) -> None:
        path = tmp_path / f"a{suffix}"
        rng = np.random.default_rng(0)
        data = encoded(path, rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(StackFileError, match=rf"a\{suffix}: .*save"):
            read_image(path)

    def test_is_not_deceived_by_the_end_of_a_thumbnail(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        data = encoded(path, picture())
        comment = b"a thumbnail ends here: \xff\xd9"
        data = data[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + data[2:]
        path.write_bytes(data)
        assert read_image(path).shape == (24, 36, 3)
        path.write_bytes(data[:-20])
        with pytest.raises(StackFileError, match="cut off"):
            read_image(path)

    def test_names_a_png_with_changed_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        data = bytearray(encoded(path, picture()))
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(StackFileError, match="damaged"):
            read_image(path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [(b"", "is empty"), (b"no picture", "cannot be decoded"), (b"\xff\xd8", "damaged or cut")],
    )
    def test_names_what_is_no_image(self, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(content)
        with pytest.raises(StackFileError, match=f"a.jpg: .*{message}"):
            read_image(path)

    def test_names_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(StackFileError, match=r"a\.png: cannot be read: No such file"):
            read_image(tmp_path / "a.png")

    def test_refuses_float_images(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        path.write_bytes(encoded(path, np.ones((4, 4), np.float32)))
        with pytest.raises(StackFileError, match="float32 values; save the image with 8 or 16"):
            read_image(path)


class TestWriteImage:
    @pytest.mark.parametrize("image", [picture(), picture(1)])
    def test_is_read_back_without_loss(self, tmp_path: Path, image: np.ndarray) -> None:
        write_image(tmp_path / "a.png", image)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)

    def test_raises_where_it_cannot_write(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            write_image(tmp_path / "missing" / "a.png", picture())


class TestReadDepth:
    def test_reads_metres_from_npy(self, tmp_path: Path) -> None:
        stored = np.array([[0.5, 0.0, -1.0], [np.nan, np.inf, 2.0]])
        np.save(tmp_path / "d.npy", stored)
        depth = read_depth(tmp_path / "d.npy")
        assert depth.dtype == np.float32
        np.testing.assert_array_equal(depth, [[0.5, np.nan, np.nan], [np.nan, np.inf, 2.0]])

    def test_reads_millimetres_from_png(self, tmp_path: Path) -> None:
        write_image(tmp_path / "d.png", np.array([[1500, 0, 65535]], np.uint16))
        np.testing.assert_allclose(read_depth(tmp_path / "d.png"), [[1.5, np.nan, 65.535]])

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("d.npy", b"junk", "cannot be read as a NumPy array"),
            ("d.npy", b"", "cannot be read as a NumPy array"),
            ("d.npy", b"\x93NUMPY\x01\x00\x06\x00{'des(\n", "cannot be read as a NumPy array"),
            ("d.png", b"junk", "cannot be decoded"),
            ("d.exr", b"junk", "kind '.exr' is not known"),
        ],
    )
    def test_names_a_bad_file(
        self, tmp_path: Path, name: str, content: bytes, message: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StackFileError, match=f"{name}: .*{message}"):
            read_depth(tmp_path / name)

    @pytest.mark.parametrize("values", [np.ones((2, 2, 1)), np.ones((2, 2), int), np.float64(1)])
    def test_refuses_arrays_that_are_no_depth(self, tmp_path: Path, values: np.ndarray) -> None:
        np.save(tmp_path / "d.npy", values)
        with pytest.raises(StackFileError, match=r"save a float array of shape \(H, W\) in metres"):
            read_depth(tmp_path / "d.npy")

    def test_does_not_unpickle(self, tmp_path: Path) -> None:
        np.save(tmp_path / "d.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(StackFileError, match=r"write it with numpy\.save"):
            read_depth(tmp_path / "d.npy")

    def test_refuses_an_8_bit_png(self, tmp_path: Path) -> None:
        write_image(tmp_path / "d.png", np.ones((2, 2), np.uint8))
        with pytest.raises(StackFileError, match="save a 16-bit grey PNG in millimetres"):
            read_depth(tmp_path / "d.png")
