"""Data that figures are given for, which nothing may be trained on."""

from __future__ import annotations

import re
from pathlib import Path

from focdepth_ros.errors import OptionError

# Many a word begins with "icl", or has it inside.
_KEPT = re.compile(r"7scenes|sevenscenes|middlebury|redwood|^icl(\d|nuim|living|office|$)")


def refuse_evaluation_data(folder: Path | str) -> None:
    """Raise an OptionError if a folder, or one around it, is named like a set of the evaluation.

    Case, blanks and signs in the names do not count, and links are followed.
    """
    folder = Path(folder)
    for part in (*folder.absolute().parts, *folder.resolve().parts):
        name = re.sub(r"[^a-z0-9]", "", part.lower())
        if _KEPT.search(name):
            raise OptionError(
                f"'{folder}' is kept for evaluation, as '{part}' in its path says; train on other "
                "data, or rename the folder if it is other data"
            )
