from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from focdepth_ros.simulation import render_rgbd
from focdepth_ros.stack import Lens
from focdepth_ros.stack_folder.saving import save_stack

SCENES = ("a/near", "a/far", "b")


@pytest.fixture(scope="session")
def stack_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small focal stacks with ground truth; not to change."""
    root = tmp_path_factory.mktemp("stacks")
    for number, scene in enumerate(SCENES):
        rng = np.random.default_rng(number)
        image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        depth = np.full((48, 64), 2.0, np.float32)
        depth[:, :32] = 0.8 + 0.1 * number
        rendered = render_rgbd(
            image, depth, lens=Lens(0.05, 4.0, 5e-4), focus_distances=(0.7, 1.0, 1.6, 2.5)
        )
        save_stack(root / scene, rendered.stack, depth=rendered.depth)
    return root
