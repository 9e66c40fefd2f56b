#!/usr/bin/env python3
"""Make a file of weights of this package from a checkpoint of the authors of StackMFF-V2.

    python3 scripts/convert_stackmff_v2.py stackmffv2.pth official.safetensors
    focdepth fuse STACK --backend stackmff_v2 --option weights=official.safetensors

The checkpoint is read as tensors only; the result has none of the guide and tells no confidence.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from focdepth_ros.errors import FocdepthError  # noqa: E402
from focdepth_ros.models.checkpoint import save_weights  # noqa: E402
from focdepth_ros.models.stackmff_v2.published import load_published  # noqa: E402


def main() -> int:
    """Do what the command line says; the exit status is returned."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint", type=Path, help="of the authors (.pth)")
    parser.add_argument("output", type=Path, help="where the weights go (.safetensors)")
    asked = parser.parse_args()
    try:
        save_weights(asked.output, load_published(asked.checkpoint), half=False)
    except (FocdepthError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"written to {asked.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
