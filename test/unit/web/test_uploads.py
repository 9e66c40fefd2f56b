from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")

from focdepth_ros.errors import StackFileError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.stack_folder.saving import save_stack
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.uploads import parse_distances, receive

LIMITS = WebLimits(max_images=5, max_megapixels=0.1, max_upload_mb=1.0, max_unpacked_mb=2.0)


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def saved(small_sweep: SimulatedStack, tmp_path: Path) -> dict[str, bytes]:
    """The files of a focal stack folder with distances and ground truth."""
    folder = tmp_path / "saved"
    save_stack(folder, small_sweep.stack, depth=small_sweep.depth)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(files: list[Path], tmp_path: Path, limits: WebLimits = LIMITS) -> str:
    """What a visitor is told; nothing may be left behind, or told of this computer."""
    folder = tmp_path / "visit" / "upload"
    with pytest.raises(StackFileError) as caught:
        receive(files, folder, limits)
    assert not folder.exists()
    assert str(tmp_path) not in str(caught.value)
    return str(caught.value)


def test_images_become_a_relative_stack(pictures: list[Path], tmp_path: Path) -> None:
    opened, left_out = receive(pictures, tmp_path / "upload", LIMITS)
    assert left_out == ()
    assert [path.name for path in opened.images] == [path.name for path in pictures]
    assert opened.focus_distances is None
    assert all(path.exists() for path in pictures)


@pytest.mark.parametrize("inside", ["", "my stack/"])
def test_a_zip_with_distances_and_truth(
    inside: str, saved: dict[str, bytes], small_sweep: SimulatedStack, tmp_path: Path
) -> None:
    content = {inside + name: data for name, data in saved.items()}
    content |= {"__MACOSX/._a.png": b"x", ".DS_Store": b"x", inside + "notes.txt": b"x"}
    opened, left_out = receive([zipped(tmp_path / "a.zip", content)], tmp_path / "upload", LIMITS)
    assert left_out == ("notes.txt",)
    stack = opened.load()
    np.testing.assert_allclose(stack.dioptres, small_sweep.stack.dioptres)
    assert opened.ground_truth() is not None
    assert not (tmp_path / "upload" / "notes.txt").exists()


def test_images_with_a_description_beside_them(saved: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    for name, data in saved.items():
        (folder / name).write_bytes(data)
    opened, _ = receive(sorted(folder.iterdir()), tmp_path / "upload", LIMITS)
    assert opened.focus_distances is not None


def test_a_new_upload_replaces_the_old(pictures: list[Path], tmp_path: Path) -> None:
    receive(pictures, tmp_path / "upload", LIMITS)
    assert len(receive(pictures[:2], tmp_path / "upload", LIMITS).stack.images) == 2


def test_nothing(tmp_path: Path) -> None:
    assert "nothing was uploaded" in refusal([], tmp_path)


def test_text_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert refusal([path], tmp_path).startswith("'notes.txt' is no image; give .bmp")


def test_what_is_no_part_of_the_stack_is_left_out_and_named(
    saved: dict[str, bytes], tmp_path: Path
) -> None:
    foreign = {"intrinsic.yaml": b"fx: 500", "10.txt": b"x", "9.txt": b"x", "poses.npy": b"x"}
    other = {"cover.jpg": next(data for name, data in saved.items() if name.endswith(".png"))}
    folder = tmp_path / "given"
    folder.mkdir()
    for name, data in (saved | foreign | other).items():
        (folder / name).write_bytes(data)
    limits = WebLimits(max_images=8, max_megapixels=0.1, max_upload_mb=1.0, max_unpacked_mb=2.0)
    for files in (sorted(folder.iterdir()), [zipped(tmp_path / "a.zip", saved | foreign | other)]):
        opened, left_out = receive(files, tmp_path / "upload", limits)
        assert opened.focus_distances is not None
        assert opened.depth is not None
        assert left_out == ("9.txt", "10.txt", "cover.jpg", "intrinsic.yaml", "poses.npy")
        assert not (tmp_path / "upload" / "intrinsic.yaml").exists()


def test_text_that_is_called_an_image(pictures: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("hello")
    assert "notes.png: cannot be read as an image" in refusal([*pictures, path], tmp_path)


def test_one_image(pictures: list[Path], tmp_path: Path) -> None:
    assert "has 1 image; a focal stack needs at least 2" in refusal(pictures[:1], tmp_path)


def test_too_many_images(pictures: list[Path], tmp_path: Path) -> None:
    limits = WebLimits(max_images=3)
    assert "has 4 images, at most 3 are taken" in refusal(pictures, tmp_path, limits)


def test_too_many_bytes(pictures: list[Path], tmp_path: Path) -> None:
    limits = WebLimits(max_upload_mb=0.001)
    assert "at most 0.001 MB are taken" in refusal(pictures, tmp_path, limits)


def test_two_of_a_name(pictures: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other" / pictures[0].name
    other.parent.mkdir()
    other.write_bytes(pictures[0].read_bytes())
    assert "two files are called 'slice_0.png'" in refusal([*pictures, other], tmp_path)


def test_a_zip_among_images(pictures: list[Path], tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {})
    assert "a.zip is one of 5 files; give one zip alone" in refusal([*pictures, path], tmp_path)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims to be large and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [1000, 40_000, 2_000_000])
def test_images_that_claim_to_be_huge_are_not_decoded(side: int, tmp_path: Path) -> None:
    content = {f"{i}.png": png_of_size(side, side) for i in range(2)}
    told = refusal([zipped(tmp_path / "a.zip", content)], tmp_path)
    assert "at most 0.1 million are taken" in told or "cannot be read as an image" in told


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    content = {f"{i}.png": bytes(30_000_000) for i in range(3)}
    path = zipped(tmp_path / "bomb.zip", content)
    assert path.stat().st_size < 1e6
    assert refusal([path], tmp_path).startswith("bomb.zip: unpacks to 90 MB, at most 2 MB")


def test_a_bomb_that_lies_about_its_size_is_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", {f"{i}.png": bytes(30_000_000) for i in range(2)})
    data = path.read_bytes().replace(struct.pack("<I", 30_000_000), struct.pack("<I", 1000))
    path.write_bytes(data)
    told = refusal([path], tmp_path)
    assert "unpacks to more" in told or "not a zip file that can be read" in told


@pytest.mark.parametrize(
    "name", ["../a.png", "a/../../b.png", "/etc/a.png", "..\\a.png", "C:\\a.png"]
)
def test_paths_that_lead_out_are_refused(
    name: str, saved: dict[str, bytes], tmp_path: Path
) -> None:
    path = zipped(tmp_path / "a.zip", {**saved, name: b"x"})
    assert "a path that leads out of it" in refusal([path], tmp_path)


def test_links_are_refused(saved: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", saved)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "'link.png' is a link" in refusal([path], tmp_path)


def test_nested_archives_are_refused(saved: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {**saved, "b.zip": b"x"})
    assert "holds another archive, 'b.zip'" in refusal([path], tmp_path)


def test_several_stacks_are_refused(saved: dict[str, bytes], tmp_path: Path) -> None:
    content = {f"{folder}/{name}": data for folder in "ab" for name, data in saved.items()}
    path = zipped(tmp_path / "a.zip", content)
    assert "in 2 folders ('a', 'b'); zip one stack only" in refusal([path], tmp_path)


def test_a_great_number_of_files_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {f"{i}.txt": b"" for i in range(21)})
    assert "holds 21 files, at most 20 are taken" in refusal([path], tmp_path)


def cut_off(data: bytes) -> bytes:
    return data[: len(data) // 2]


def scrambled(data: bytes) -> bytes:
    middle = len(data) // 4
    return (
        data[:middle] + bytes(b ^ 0x55 for b in data[middle : middle + 200]) + data[middle + 200 :]
    )


def test_a_zip_of_windows_is_read_like_any_other(saved: dict[str, bytes], tmp_path: Path) -> None:
    content = {f"stack\\{name}": data for name, data in saved.items()}
    plain = receive([zipped(tmp_path / "a.zip", saved)], tmp_path / "plain", LIMITS)
    found = receive([zipped(tmp_path / "b.zip", content)], tmp_path / "upload", LIMITS)
    assert found.stack.focus_distances == plain.stack.focus_distances is not None
    assert [path.name for path in found.stack.images] == [path.name for path in plain.stack.images]
    assert found.left_out == plain.left_out


def test_a_table_of_contents_that_fills_the_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "a.zip", {f"{i:05}{'x' * 200}.png": b"" for i in range(5000)})

    def read(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", read)
    limits = replace(LIMITS, max_upload_mb=10.0)
    with pytest.raises(StackFileError, match=r"a\.zip: its table of contents may have more"):
        receive([path], tmp_path / "upload", limits)


@pytest.mark.parametrize("trick", ["zip64", "two ends"])
def test_the_size_of_a_table_of_contents_cannot_be_hidden(
    trick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "a.zip", {f"{i:05}{'x' * 200}.png": b"" for i in range(5000)})
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", data, end + 12)
    if trick == "zip64":
        record = struct.pack(
            "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 5000, 5000, size, offset
        )
        locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
        small = data[end : end + 12] + struct.pack("<II", 100, 0xFFFFFFFF) + data[end + 20 :]
        path.write_bytes(data[:end] + record + locator + small)
    else:  # the place of the table is that sign again, with no room for a size behind it
        path.write_bytes(data[: end + 16] + b"PK\x05\x06" + data[end + 20 :])
    assert len(zipfile.ZipFile(path).namelist()) == 5000

    def read(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", read)
    with pytest.raises(StackFileError, match=r"a\.zip: its table of contents may have more"):
        receive([path], tmp_path / "upload", replace(LIMITS, max_upload_mb=10.0))


@pytest.mark.parametrize(
    "text", ["[" * 90_000, "lens: " + "{a: " * 20_000], ids=["lists", "mappings"]
)
def test_a_description_that_is_nested_deeply_is_refused_before_it_is_read(
    text: str, pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "stack.yaml").write_text(text)
    told = refusal([*pictures, tmp_path / "stack.yaml"], tmp_path)  # to read it takes minutes
    assert told == "stack.yaml: has lists in lists in lists; write plain values"


def test_images_have_the_names_of_images(pictures: list[Path], tmp_path: Path) -> None:
    """Of others nobody would have looked at the size."""
    for name in ("a.npy", "b.npy"):
        (tmp_path / name).write_bytes(pictures[0].read_bytes())
    (tmp_path / "stack.yaml").write_text("images: [a.npy, b.npy]")
    files = [*pictures, *(tmp_path / name for name in ("a.npy", "b.npy", "stack.yaml"))]
    assert "stack.yaml: names 'a.npy' as an image; give .bmp, " in refusal(files, tmp_path)


@pytest.mark.parametrize("damage", [cut_off, scrambled, lambda data: b"hello"])
def test_damaged_zips_are_named(
    damage: Callable[[bytes], bytes], saved: dict[str, bytes], tmp_path: Path
) -> None:
    path = zipped(tmp_path / "a.zip", saved)
    path.write_bytes(damage(path.read_bytes()))
    assert refusal([path], tmp_path).startswith("a.zip: ")


@pytest.mark.parametrize("key", ["depth", "all_in_focus"])
@pytest.mark.parametrize("name", ["../secret.npy", "/etc/passwd", "sub/a.npy"])
def test_a_description_cannot_name_files_elsewhere(
    key: str, name: str, pictures: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "stack.yaml"
    path.write_text(f"{key}: {name}\n")
    assert "name files of the upload" in refusal([*pictures, path], tmp_path)


def test_slices_cannot_lie_elsewhere(pictures: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "stack.yaml"
    path.write_text("images: [../visit.png, slice_0.png]\n")
    assert "name files of the upload" in refusal([*pictures, path], tmp_path)


def test_a_description_that_multiplies_itself_is_refused(
    pictures: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "stack.yaml"
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path.write_text("\n".join([*lines, "focus_distances: *a11"]))
    assert "refers to itself by *" in refusal([*pictures, path], tmp_path)


def test_images_of_different_sizes_are_named_when_read(
    pictures: list[Path], tmp_path: Path
) -> None:
    write_image(pictures[1], np.zeros((40, 40, 3), np.uint8))
    opened, _ = receive(pictures, tmp_path / "upload", LIMITS)
    with pytest.raises(StackFileError, match="all slices of a stack must be of one size"):
        opened.load()


def test_distances_as_people_write_them() -> None:
    assert parse_distances("0.3, 0.5;1\n inf") == (0.3, 0.5, 1.0, float("inf"))
    assert parse_distances("  ") is None
    with pytest.raises(StackFileError, match="'0.3 m' are no list of metres"):
        parse_distances("0.3 m")
