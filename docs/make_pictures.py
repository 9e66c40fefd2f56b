"""Make the pictures of the documentation: ``python docs/make_pictures.py``.

The scene has patterns for textures, so that the pictures are the project's own throughout.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from focdepth_ros import DepthPipeline, create_backend
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.simulation import random_scene, render_stack

IMAGES = Path(__file__).parent / "images"
SEED = 1012  # held out: nothing was tuned on it


def main() -> None:
    simulated = render_stack(random_scene(SEED, photographs=()), seed=SEED)
    estimate = DepthPipeline(create_backend("graph_cut")).estimate(simulated.stack)
    sheet = picture_sheet(simulated.stack, estimate, truth=simulated.depth)
    IMAGES.mkdir(exist_ok=True)
    picture = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(IMAGES / "sheet.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
