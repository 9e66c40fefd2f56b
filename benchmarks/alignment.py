"""How well, and how fast, sweeps are aligned: real stacks, and simulated ones with known truth.

Run ``python benchmarks/alignment.py STACKS_FOLDER``. Every folder of images below it is taken for
one focus sweep. What is left of the motion after alignment is measured by something else than
what aligned it: SIFT points between slices four apart, whose transforms are put together from the
first slice to the last. The columns are the change of the image scale in percent and the shift of
the image centre in pixels over the sweep, before and after.

Without a folder only the simulated sweeps are aligned. There the error is that of the transform
against the true one, root mean square over the image, in pixels.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from focdepth_ros.alignment import Aligner, AlignmentRun
from focdepth_ros.errors import AlignmentError
from focdepth_ros.files.image_io import IMAGE_SUFFIXES, read_image
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.homography import keypoints_of, register_keypoints
from focdepth_ros.registration.motion import (
    Matrix,
    Motion,
    frame_points,
    rms_displacement,
    similarity_part,
    transformed,
)
from focdepth_ros.simulation import RenderOptions, render_random_sweep
from focdepth_ros.simulation.scenes import FIRST_HELD_OUT_SEED
from focdepth_ros.stack import ImageArray, Slice
from focdepth_ros.stack_folder.slice_files import natural_order

_APART = 4  # slices between which what is left of the motion is measured
_NO_SLICE = "index_map"
_WIDTH = 150  # of the tables, in characters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder of focal stacks")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--max-size", type=int, default=640, help="longest side in pixels; 0: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pictures", type=Path, help="folder for pictures before and after")
    parser.add_argument("--scenes", type=int, default=8, help="number of simulated scenes")
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    console = Console(width=_WIDTH)
    if arguments.folder is not None:
        console.print(real_stacks(arguments, console))
    console.print(simulated_sweeps(arguments.method, arguments.scenes))


def real_stacks(arguments: argparse.Namespace, console: Console) -> Table:
    table = Table(
        "stack", "slices", "size", "left out", "transforms", "zoom before/after [%]",
        "shift before/after [px]", "ms / frame", title=f"real stacks, method {arguments.method}",
    )  # fmt: skip
    folders = sorted({path.parent for path in arguments.folder.rglob("*") if is_picture(path)})
    for folder in track(folders, description="stacks", console=console):
        name = str(folder.relative_to(arguments.folder))
        slices = load(folder, arguments.max_size)
        if len(slices) < 2:
            continue
        pictures = "" if arguments.pictures is None else str(arguments.pictures / name)
        config = AlignmentConfig(method=arguments.method, pictures_dir=pictures)
        aligned, run, reasons, seconds = align(slices, config)
        before, after = motion_over([s.image for s in slices]), motion_over(aligned)
        height, width = slices[0].size
        table.add_row(
            name,
            str(len(slices)),
            f"{width}x{height}",
            str(len(reasons)),
            transforms(run, slices),
            f"{before[0]:+.2f} / {after[0]:+.2f}",
            f"{before[1]:.2f} / {after[1]:.2f}",
            f"{1e3 * seconds / len(slices):.1f}",
        )
        for reason in reasons:
            console.print(f"{name}: {reason}")
    return table


def simulated_sweeps(method: str, scenes: int) -> Table:
    table = Table(
        "camera", "slices moved", "median error [px]", "largest error [px]", "left out",
        "motion [px]", "ms / frame", title=f"simulated sweeps of 640x480 px, method {method}",
    )  # fmt: skip
    cameras = {
        "still": RenderOptions(),
        "breathing": RenderOptions(breathing=1.0),
        "breathing, hand-held": RenderOptions(
            breathing=1.0, shake_translation=2.0, shake_rotation=0.2, flicker=0.03
        ),
    }
    for name, options in cameras.items():
        errors, moved, left_out, motions, seconds, count = [], 0, 0, [], 0.0, 0
        for seed in range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + scenes):
            simulated = render_random_sweep(seed, options=options)
            slices = list(simulated.stack.slices)
            truth = [np.asarray(matrix) for matrix in simulated.motions]
            _, run, reasons, spent = align(slices, AlignmentConfig(method=method))
            seconds += spent
            count += len(slices)
            left_out += len(reasons)
            for item, matrix in zip(slices[1:], truth[1:], strict=True):
                motions.append(rms_displacement(matrix, item.size))
                if run.nearest_taken(item) is not item:
                    continue
                motion = run.motion_of(item)
                moved += not motion.is_identity()
                errors.append(rms_difference(motion, matrix, item.size))
        table.add_row(
            name,
            f"{moved} of {len(motions)}",
            f"{np.median(errors):.3f}",
            f"{np.max(errors):.3f}",
            str(left_out),
            f"{np.mean(motions):.2f}",
            f"{1e3 * seconds / count:.1f}",
        )
    return table


def align(
    slices: list[Slice], config: AlignmentConfig
) -> tuple[list[ImageArray], AlignmentRun, list[str], float]:
    """Aligned images, the run, why slices were left out, and seconds."""
    run = Aligner(config).start()
    images, reasons = [], []
    started = time.perf_counter()
    for number, item in enumerate(slices, start=1):
        try:
            images.append(run.add(item).image)
        except AlignmentError as error:
            reasons.append(f"slice {number} left out: {error}")
    return images, run, reasons, time.perf_counter() - started


def motion_over(images: list[ImageArray]) -> tuple[float, float]:
    """Change of scale in percent and shift of the centre in pixels, from first to last image."""
    size = images[0].shape[:2]
    places = [*range(0, len(images) - 1, min(_APART, len(images) - 1)), len(images) - 1]
    whole: Matrix = np.eye(3)
    points = keypoints_of(images[0])
    for place in places[1:]:
        following = keypoints_of(images[place])
        try:
            whole = register_keypoints(points, following) @ whole
        except AlignmentError:
            return float("nan"), float("nan")
        points = following
    similarity = similarity_part(whole / whole[2, 2], size)
    scale = float(np.sqrt(np.linalg.det(similarity[:2, :2])))
    centre = np.array([[(size[1] - 1) / 2, (size[0] - 1) / 2]])
    shift = transformed(similarity, centre) - centre
    return 100.0 * (scale - 1.0), float(np.hypot(*shift[0]))


def transforms(run: AlignmentRun, slices: list[Slice]) -> str:
    """How many slices were moved by what."""
    kinds = Counter(
        kind(run.motion_of(item), item.size) for item in slices if run.nearest_taken(item) is item
    )
    return ", ".join(f"{count} {name}" for name, count in kinds.most_common())


def kind(motion: Motion, size: tuple[int, int]) -> str:
    if motion.is_identity():
        return "none"
    if motion.flow is not None:
        return "flow"
    if np.any(motion.matrix[2, :2] != 0.0):
        return "homography"
    points = frame_points(size)
    apart = transformed(similarity_part(motion.matrix, size), points)
    is_similarity = np.allclose(apart, transformed(motion.matrix, points), atol=1e-6)
    return "similarity" if is_similarity else "affine"


def rms_difference(motion: Motion, truth: Matrix, size: tuple[int, int]) -> float:
    points = frame_points(size)
    apart = transformed(motion.matrix, points) - transformed(truth, points)
    return float(np.sqrt(np.mean(np.sum(apart * apart, axis=1))))


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.stem != _NO_SLICE


def load(folder: Path, max_size: int) -> list[Slice]:
    paths = sorted(filter(is_picture, folder.iterdir()), key=lambda path: natural_order(path.name))
    slices = []
    for number, path in enumerate(paths):
        image = read_image(path)
        factor = max_size / max(image.shape[:2])
        if 0.0 < factor < 1.0:
            size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        slices.append(Slice(image, None, number))
    return slices


if __name__ == "__main__":
    main()
