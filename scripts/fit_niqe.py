#!/usr/bin/env python3
"""Fit the model of natural sharp images that NIQE compares with.

    python3 scripts/fit_niqe.py photographs/kodak24 photographs/clic2025 --leave-out 2a760bf1

Give undistorted photographs whose licence allows it, and none that something is evaluated on. What
the shipped one was fitted to is in focdepth_ros/evaluation/niqe_model.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from focdepth_ros.errors import FocdepthError  # noqa: E402
from focdepth_ros.evaluation.niqe import MODEL_FILE, fit_model, save_model  # noqa: E402
from focdepth_ros.files.image_io import IMAGE_SUFFIXES, read_image  # noqa: E402
from focdepth_ros.stack import ImageArray  # noqa: E402


def photographs(folders: Sequence[Path], left_out: Sequence[str]) -> list[Path]:
    """The images of the folders in the order of their names.

    Parameters
    ----------
    folders : sequence of Path
    left_out : sequence of str
        How the names of those begin that are not taken.
    """
    return [
        path
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(tuple(left_out))
    ]


def main() -> int:
    """Do what the command line says; the exit status is returned."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="of photographs")
    parser.add_argument(
        "--leave-out", action="append", default=[], metavar="NAME", help="or how it begins"
    )
    parser.add_argument("--output", type=Path, default=MODEL_FILE, metavar="FILE")
    asked = parser.parse_args()
    try:
        paths = photographs(asked.folders, asked.leave_out)

        def images() -> Iterator[ImageArray]:
            for number, path in enumerate(paths, start=1):
                print(f"\r{number} of {len(paths)}", end="", file=sys.stderr)
                yield read_image(path)
            print(file=sys.stderr)

        save_model(asked.output, fit_model(images()))
    except (FocdepthError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{asked.output}: fitted to {len(paths)} photographs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
