"""Focal stack folders for tests: their files written, their slices told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack import FocalStack


def write_images(folder: Path, *names: str, size: tuple[int, int] = (6, 8)) -> Path:
    """One grey image per name; its value is the position of the name."""
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, np.full(size, 10 * i, np.uint8))
    return folder


def write_yaml(folder: Path, **content: object) -> None:
    """Its stack.yaml."""
    (folder / "stack.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def values(stack: FocalStack) -> list[int]:
    """What `write_images` made the slices of."""
    return [int(item.image.flat[0]) for item in stack.slices]
