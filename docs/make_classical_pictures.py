"""Make the pictures of classical.md: ``python docs/make_classical_pictures.py --stacks DIR``.

DIR holds folders of photographs that are not the project's (see `real_stacks.REAL_STACKS`).
What is written to ``docs/images`` therefore shows only what the program computed from them, and
photographs nowhere but of the simulated scene, whose textures are patterns. With ``--sheets DIR``
sheets with the photographs are written there, to be looked at, and how each slice was aligned.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from classical_stages import (
    Aligned,
    Stages,
    aligned,
    kind_of,
    stages_of,
)
from picture_files import (
    HEAT,
    Panels,
    masked_positions,
    position_colours,
    position_limits,
    write_panels,
)
from real_stacks import REAL_STACKS, Answer, answer_of

from focdepth_ros.alignment import Aligner
from focdepth_ros.backends.graph_cut import GraphCutBackend
from focdepth_ros.classical.confidence import focus_features
from focdepth_ros.classical.energy_terms import edge_aware_weights, log_unary
from focdepth_ros.classical.focus_measure import window_average
from focdepth_ros.classical.focus_operators import create_focus_measure, focus_measure_names
from focdepth_ros.classical.focus_volume import sharpest_slice
from focdepth_ros.classical.hole_filling import fill_holes
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.errors import AlignmentError
from focdepth_ros.estimate import depth_from_slice_index
from focdepth_ros.files.image_io import write_image
from focdepth_ros.pictures.depth_pictures import colour_confidence, colour_error, colour_values
from focdepth_ros.pictures.sheet import picture_sheet
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.motion import grid_over, positions
from focdepth_ros.registration.view import view_of
from focdepth_ros.simulation import SimulatedStack, random_scene, render_stack
from focdepth_ros.stack import FloatImage, FocalStack

SEED = 1012  # held out: nothing was tuned on it
CROP = np.s_[190:350, 420:633]  # of the simulated scene: a plain box and a rod before a wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stacks", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write sheets with photographs")
    arguments = parser.parse_args()

    stacks = {real.name: real.load(arguments.stacks) for real in REAL_STACKS}
    answers = {name: answer_of(stack, GraphCutBackend()) for name, stack in stacks.items()}
    moved = {name: aligned(stack) for name, stack in stacks.items()}
    stages = {
        name: stages_of(replace(stacks[name], slices=moved[name].slices, reference=0))
        for name in ("mobiledepth/keyboard_raw", "cave/flowerMan", "pixel6pro/room")
    }
    simulated = render_stack(random_scene(SEED, photographs=()), seed=SEED)
    seen = stages_of(simulated.stack)

    write_panels("classical_alignment", alignment_panels(moved), columns=4)
    write_panels(
        "classical_measure",
        measure_panels(simulated, seen, moved["mobiledepth/balls_raw"]),
        width=230,
    )
    write_panels("classical_terms", terms_panels(stages["mobiledepth/keyboard_raw"]))
    write_panels("classical_positions", positions_panels(stages, simulated, seen))
    write_panels(
        "classical_confidence", confidence_panels(stages["pixel6pro/room"], simulated, seen)
    )
    write_panels("classical_all_in_focus", all_in_focus_panels(simulated, seen))
    write_panels("classical_stacks", stacks_panels(answers), columns=4, width=320)
    print_table(answers, moved)
    if arguments.sheets:
        write_sheets(arguments.sheets, answers)


def alignment_panels(moved: dict[str, Aligned]) -> Panels:
    """What the middle slice moved, and how its detail differed from the first one's."""
    panels: Panels = []
    for name in ("mobiledepth/keyboard_raw", "handheld/dog1", "mobiledepth/balls_raw"):
        one = moved[name]
        number = len(one.slices) // 2
        size = one.slices[0].size
        shape = (size[0] // 4, size[1] // 4)
        step = positions(one.motions[number], size, shape) - grid_over(size, shape)
        length: FloatImage = np.hypot(step[..., 0], step[..., 1]).astype(np.float32)
        first = view_of(one.slices[0].image)
        panels.append(
            (
                f"{name.split('/')[1]}: moved 0-{length.max():.0f} px",
                colour_values(length, 0.0, float(length.max()), HEAT),
            )
        )
        for when, item in (("before", one.originals[number]), ("after", one.slices[number])):
            left = np.abs(first.detail - view_of(item.image).detail)
            caption = f"difference {when}: {left.mean():.2f}"
            panels.append((caption, colour_values(window_average(left, 1.5), 0.0, 1.0, HEAT)))
        panels.append(("slices in view, 0-100 %", colour_confidence(one.in_view)))
    return panels


def measure_panels(simulated: SimulatedStack, seen: Stages, real: Aligned) -> Panels:
    """Slices, their measure, where it is above the floor, and every operator's sharpest slice."""
    numbers = (0, 3, 6, 9)
    slices, energy = simulated.stack.slices, seen.volume.energy
    panels: Panels = [
        (f"slice {number + 1}, {slices[number].focus_distance:.2f} m", slices[number].image)
        for number in numbers
    ]
    panels.append(("true depth", position_colours(true_index(simulated), len(slices))))
    low, high = np.log(seen.floor / 4.0), np.log(float(np.percentile(energy, 99.9)))
    for number in numbers:
        layer = np.log(np.maximum(energy[number], 1e-6))
        panels.append((f"log measure, slice {number + 1}", colour_values(layer, low, high, HEAT)))
    shown = (energy.max(axis=0) > 2.0 * seen.floor).astype(np.float32)
    panels.append(("best over twice the floor", colour_confidence(shown)))
    for name in focus_measure_names():
        measure = create_focus_measure(name)
        volume = np.stack(
            [
                np.nan_to_num(
                    measure(one.image, window_sigma=1.5, reduction=2, valid_mask=one.valid_mask)
                )
                for one in real.slices
            ]
        )
        index = sharpest_slice(volume).astype(np.float32)
        panels.append((name, position_colours(index, len(volume))))
    return panels


def terms_panels(stages: Stages) -> Panels:
    """Cost of some slices, and of a step between neighbours."""
    count = len(stages.volume.energy)
    unary = log_unary(stages.volume.energy.copy(), np.float32(stages.floor))
    panels: Panels = [
        (f"cost of slice {number + 1} of {count}", colour_values(unary[number], 0.0, 2.0, HEAT))
        for number in (0, count // 3, 2 * count // 3)
    ]
    for name, weight in zip(
        ("to the right", "down"), edge_aware_weights(stages.guide, 1.0, 5.0), strict=True
    ):
        panels.append((f"cost of a step {name}", colour_values(weight, 0.0, 1.05, HEAT)))
    return panels


def positions_panels(stages: dict[str, Stages], simulated: SimulatedStack, seen: Stages) -> Panels:
    """Positions after each stage; of the simulated scene, their errors too."""
    panels: Panels = []
    for name in ("mobiledepth/keyboard_raw", "cave/flowerMan"):
        count = len(stages[name].volume.energy)
        panels += [
            (caption, position_colours(index, count)) for caption, index in steps_of(stages[name])
        ]
    count, dioptres = len(simulated.stack), simulated.stack.dioptres
    for _, index in steps_of(seen):
        truth = nearest_to(simulated.depth, index.shape)
        error = depth_from_slice_index(index, dioptres)
        share = float(np.mean(np.abs(error - truth) / truth))
        caption = f"simulated: abs_rel {share:.3f}"
        panels.append((caption, colour_error(error, truth)))
    return panels


def steps_of(stages: Stages) -> list[tuple[str, FloatImage]]:
    sharpest = sharpest_slice(stages.volume.energy).astype(np.float32)
    return [
        ("sharpest slice", sharpest),
        ("graph cut", stages.labels),
        ("sub-slice fit", stages.curves.single_index),
        ("median, smoothed", stages.curves.slice_index),
        ("at full resolution", stages.estimate.slice_index),
    ]


def confidence_panels(stages: Stages, simulated: SimulatedStack, seen: Stages) -> Panels:
    """The features, the confidence, and what is left out and filled because of it."""
    contrast, edge, overshoot, roughness = focus_features(stages.curves)
    panels: Panels = [
        ("contrast, log", colour_values(contrast, -3.0, 1.0)),
        ("edge, 0-3 steps", colour_values(edge, 0.0, 3.0)),
        ("overshoot, 0-6 steps", colour_values(overshoot, 0.0, 6.0)),
        ("roughness, 0-0.5 steps", colour_values(roughness, 0.0, 0.5)),
        ("confidence, 0-1", colour_confidence(stages.estimate.confidence)),
    ]
    answer, count = stages.estimate, len(stages.volume.energy)
    assert answer.all_in_focus is not None
    known = answer.confidence >= DEFAULT_MIN_CONFIDENCE
    filled = fill_holes(answer.slice_index, known, answer.all_in_focus)
    left = np.where(known, answer.slice_index, np.float32(np.nan))
    panels += [
        ("every pixel", position_colours(answer.slice_index, count)),
        (f"answered, {100 * known.mean():.0f} %", position_colours(left, count)),
        ("holes filled", position_colours(filled, count)),
    ]
    off = np.abs(seen.estimate.slice_index - true_index(simulated))
    panels += [
        ("simulated: confidence", colour_confidence(seen.estimate.confidence)),
        ("within 1/4 step of the truth", colour_confidence((off < 0.25).astype(np.float32))),
    ]
    return panels


def all_in_focus_panels(simulated: SimulatedStack, seen: Stages) -> Panels:
    """A part of the all-in-focus image, made in different ways, and how near all of it comes."""
    by_depth, by_sharpness, volume = seen.estimate.slice_index, seen.sharpest, seen.volume
    panels: Panels = [("truth", simulated.all_in_focus[CROP])]
    for caption, image in (
        ("depth, sampled", volume.sample_all_in_focus(by_depth)),
        ("depth, blended", volume.blend_all_in_focus(by_depth)),
        ("sharpness, sampled", volume.sample_all_in_focus(by_sharpness)),
        ("sharpness, blended", volume.blend_all_in_focus(by_sharpness)),
    ):
        panels.append((f"{caption}: {cv2.PSNR(image, simulated.all_in_focus):.1f} dB", image[CROP]))
    return panels


def stacks_panels(answers: dict[str, Answer]) -> Panels:
    """Depth of every stack, darker where the confidence is below the threshold."""
    panels: Panels = []
    for name, answer in answers.items():
        picture = masked_positions(answer.estimate, position_limits(answer.estimate))
        panels.append((f"{name}, {100 * answer.coverage:.0f} %", picture))
    return panels


def true_index(simulated: SimulatedStack) -> FloatImage:
    """Position of the true depth in the stack, (H, W)."""
    dioptres = simulated.stack.dioptres
    numbers = np.arange(len(dioptres), dtype=np.float64)
    index = np.interp(1.0 / simulated.depth, dioptres[::-1], numbers[::-1])
    return np.asarray(index, np.float32)


def nearest_to(depth: FloatImage, shape: Sequence[int]) -> FloatImage:
    return np.asarray(
        cv2.resize(depth, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT), np.float32
    )


def print_table(answers: dict[str, Answer], moved: dict[str, Aligned]) -> None:
    """Print what classical.md says of the stacks, as a table in Markdown."""
    print("| stack | slices | alignment found | left out | answered | s per frame, alignment |")
    print("|---|---|---|---|---|---|")
    for name, answer in answers.items():
        height, width = answer.stack.size
        kinds = Counter(kind_of(motion) for motion in moved[name].motions[1:])
        found = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
        print(
            f"| {name} | {len(answer.stack)} of {width}x{height} | {found} | "
            f"{answer.estimate.left_out} | {100 * answer.coverage:.0f} % | "
            f"{answer.seconds:.3f}, {answer.align_seconds:.3f} |"
        )


def write_sheets(folder: Path, answers: dict[str, Answer]) -> None:
    """Write each stack's sheet, all-in-focus image and overlays."""
    for name, answer in answers.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        sheet = picture_sheet(answer.stack, answer.estimate, title=name)
        write_image(target / "sheet.jpg", sheet)
        assert answer.estimate.all_in_focus is not None
        write_image(target / "all_in_focus.png", answer.estimate.all_in_focus)
        write_overlays(target / "alignment", answer.stack)


def write_overlays(folder: Path, stack: FocalStack) -> None:
    run = Aligner(AlignmentConfig(pictures_dir=str(folder))).start(stack.intrinsics)
    for item in stack.slices:
        try:
            run.add(item)
        except AlignmentError as error:
            print(f"{folder}: {error}")


if __name__ == "__main__":
    main()
