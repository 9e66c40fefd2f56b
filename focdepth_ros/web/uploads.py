"""From the files that a visitor uploads to a focal stack folder that can be trusted."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from focdepth_ros.errors import StackFileError, quoted
from focdepth_ros.files.image_io import IMAGE_SUFFIXES
from focdepth_ros.stack_folder.description import STACK_YAML, read_description
from focdepth_ros.stack_folder.reading import StackFolder
from focdepth_ros.stack_folder.slice_files import natural_order
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.zip_files import unpack

_MEGABYTE = 1e6
_LONGEST_YAML = 100_000  # bytes
_DEEPEST_YAML = 8  # levels
# Ground truth, which stack.yaml may name.
_TRUTH_SUFFIX = ".npy"


class Upload(NamedTuple):
    """What came of an upload.

    Parameters
    ----------
    stack : StackFolder
        No image of it was decoded yet, but all are of a size that may be.
    left_out : tuple of str
        Names of the files that are no part of it.
    """

    stack: StackFolder
    left_out: tuple[str, ...]


def receive(files: Sequence[Path], folder: Path, limits: WebLimits) -> Upload:
    """Make a focal stack folder from uploaded files: images, with a stack.yaml or not, or one zip.

    Other files beside them, such as notes or the calibration of another program, are left out.

    Parameters
    ----------
    files : sequence of Path
        As they were uploaded; they stay.
    folder : Path
        To make; what was there is removed, and after an error it is not there.
    limits : WebLimits

    Returns
    -------
    Upload

    Raises
    ------
    StackFileError
        If the files are no stack, or exceed the limits; no message shows where they lie on this
        computer.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        _check_upload(files, limits)
        if files[0].suffix.lower() == ".zip":
            foreign = unpack(files[0], folder, limits, _belongs_to_a_stack)
        else:
            foreign = tuple(path.name for path in files if not _belongs_to_a_stack(path.name))
            for path in files:
                if path.name not in foreign:
                    shutil.copyfile(path, folder / path.name)
        _check_images(folder, limits)
        _check_description(folder)
        stack = StackFolder.open(folder)
        used = {STACK_YAML, *(path.name for path in stack.images)}
        used |= {path.name for path in (stack.depth, stack.all_in_focus) if path is not None}
        unused = (path.name for path in folder.iterdir() if path.name not in used)
        return Upload(stack, tuple(sorted({*foreign, *unused}, key=natural_order)))
    except StackFileError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StackFileError(without_folder(str(error), folder)) from error
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StackFileError(
            f"the upload cannot be kept: {error.strerror}; tell whoever runs this page"
        ) from error


def parse_distances(text: str) -> tuple[float, ...] | None:
    """Focus distances from a text field; None where it is empty.

    Parameters
    ----------
    text : str
        Metres, apart by commas, semicolons or white space, such as ``0.3, 0.5, inf``.

    Raises
    ------
    StackFileError
        If the text is something else.
    """
    words = text.replace(",", " ").replace(";", " ").split()
    try:
        return tuple(float(word) for word in words) or None
    except ValueError:
        raise StackFileError(
            f"focus distances {quoted(text)} are no list of metres; write them like 0.3, 0.5, inf"
        ) from None


def without_folder(message: str, folder: Path) -> str:
    """A message as a visitor may read it, without where the upload lies on this computer."""
    return message.replace(f"{folder}/", "").replace(str(folder), "the upload")


def _belongs_to_a_stack(name: str) -> bool:
    suffix = Path(name).suffix.lower()
    return name == STACK_YAML or suffix in IMAGE_SUFFIXES or suffix == _TRUTH_SUFFIX


def _check_upload(files: Sequence[Path], limits: WebLimits) -> None:
    if not files:
        raise StackFileError("nothing was uploaded; give the images of one focus sweep, or a zip")
    size = sum(path.stat().st_size for path in files) / _MEGABYTE
    if size > limits.max_upload_mb:
        raise StackFileError(
            f"the upload has {size:.0f} MB, at most {limits.max_upload_mb:g} MB are taken; give "
            "fewer or smaller images"
        )
    zips = [path.name for path in files if path.suffix.lower() == ".zip"]
    if zips and len(files) > 1:
        raise StackFileError(
            f"{zips[0]} is one of {len(files)} files; give one zip alone, or images without a zip"
        )
    names = [path.name for path in files]
    if not zips and not any(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
        raise StackFileError(
            f"{quoted(names[0])} is no image; give {', '.join(sorted(IMAGE_SUFFIXES))}, a "
            f"{STACK_YAML} beside them, or one .zip of all"
        )
    for path in files:
        if names.count(path.name) > 1:
            raise StackFileError(f"two files are called {quoted(path.name)}; give each once")


def _check_images(folder: Path, limits: WebLimits) -> None:
    """Look at the headers of the images: none is decoded that is larger than is allowed."""
    from PIL import Image, UnidentifiedImageError

    images = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    if len(images) > limits.max_images:
        raise StackFileError(
            f"the upload has {len(images)} images, at most {limits.max_images} are taken; give "
            "fewer slices"
        )
    if len(images) < 2:
        raise StackFileError(
            f"the upload has {len(images)} image{'' if images else 's'}; a focal stack needs at "
            "least 2, each focused at another distance"
        )
    for path in images:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    width, height = image.size
        except Image.DecompressionBombError:
            raise StackFileError(f"{path}: {_too_large('far more', limits)}") from None
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise StackFileError(
                f"{path}: cannot be read as an image; save it again, for example as PNG"
            ) from error
        if width * height > limits.max_megapixels * 1e6:
            raise StackFileError(f"{path}: {_too_large(f'{width}x{height}', limits)}")


def _too_large(size: str, limits: WebLimits) -> str:
    return (
        f"has {size} pixels, at most {limits.max_megapixels:g} million are taken; scale the images "
        "down"
    )


def _check_description(folder: Path) -> None:
    """Make sure that stack.yaml is short, does not grow when read, and names no file elsewhere."""
    path = folder / STACK_YAML
    if not path.exists():
        return
    if path.stat().st_size > _LONGEST_YAML:
        raise StackFileError(
            f"{path}: has {path.stat().st_size} bytes, at most {_LONGEST_YAML} are taken; write "
            "only what is needed"
        )
    depth = 0
    try:
        for event in yaml.parse(path.read_bytes(), Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise StackFileError(f"{path}: refers to itself by *; write the values out")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_YAML:  # to read on would take minutes
                raise StackFileError(f"{path}: has lists in lists in lists; write plain values")
    except (yaml.YAMLError, ValueError, RecursionError):
        pass  # told by read_description
    description = read_description(path)
    for image in description.images or ():
        if Path(image).suffix.lower() not in IMAGE_SUFFIXES:  # nobody has looked at its size
            known = ", ".join(sorted(IMAGE_SUFFIXES))
            raise StackFileError(f"{path}: names {quoted(image)} as an image; give {known}")
    named = (*(description.images or ()), description.depth, description.all_in_focus)
    for name in named:
        if name is not None and Path(name).name != name:
            raise StackFileError(
                f"{path}: names {quoted(name)}; name files of the upload, without folders"
            )
