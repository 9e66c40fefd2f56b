"""Pictures in a terminal that has colours: every character is two pixels, one above the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from focdepth_ros.stack import ImageArray

if TYPE_CHECKING:
    from rich.text import Text

_UPPER_HALF = "▀"


def half_blocks(picture: ImageArray, columns: int) -> list[Text]:
    """Lines of text that show a picture.

    Parameters
    ----------
    picture : (H, W, 3) uint8 RGB
    columns : int
        Width in characters; a smaller picture stays as it is.

    Returns
    -------
    list of rich.text.Text
        A line shows two rows of pixels, the upper one as colour of the character, the lower one
        as its background.
    """
    from rich.style import Style
    from rich.text import Text

    scale = min(1.0, columns / picture.shape[1])
    height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    if height % 2:
        small = np.vstack([small, small[-1:]])
    lines = []
    for upper, lower in zip(small[::2].tolist(), small[1::2].tolist(), strict=True):
        line = Text(no_wrap=True)
        for front, back in zip(upper, lower, strict=True):
            style = Style(color=f"rgb({_joined(front)})", bgcolor=f"rgb({_joined(back)})")
            line.append(_UPPER_HALF, style)
        lines.append(line)
    return lines


def _joined(colour: list[int]) -> str:
    return ",".join(map(str, colour))
