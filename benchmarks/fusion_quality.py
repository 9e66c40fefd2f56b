"""How good the all-in-focus images are: the table of docs/fusion.md.

Run ``python benchmarks/fusion_quality.py --rgbd DIR``, DIR the folder of photographs with depth
that rgbd_stacks.py describes; what is missing is left out with a message. It prints a row per set
and method with the figures of `focdepth evaluate --aif`, means over the stacks, as Markdown.

``--backends`` takes any of the registry, so that a new row costs one run: with ``--json FILE``
figures are kept there, and what is there already is not measured again.

``--stackmff-code`` and ``--stackmff-weights`` add the official StackMFF-V2 (stackmff_official.py),
as it is and with its slices blurred first where it looks for the sharpest one. Either way its
pixels are those of the unblurred slices, by its own rule.

``best slice`` is the single slice of the highest psnr, which fusion must beat, and ``the truth``
what the figures that need no truth are of the true image.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from stack_sets import HELD_OUT_SETS, VALIDATION_SETS, stack_set

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.datasets.base import LabelledStack
from focdepth_ros.errors import BackendUnavailableError, UnknownBackendError
from focdepth_ros.evaluation.fusion_metrics import psnr
from focdepth_ros.evaluation.fusion_scores import FUSION_FIGURES, fusion_figures
from focdepth_ros.evaluation.report_tables import number
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.stack import FocalStack, ImageArray

#: A fused image, (H, W, 3) uint8, of a focal stack.
Fusion = Callable[[FocalStack], ImageArray]
#: Figures of every stack, by set, method and name of the stack.
Scores = dict[str, dict[str, dict[str, dict[str, float]]]]

_BEST_SLICE, _TRUTH = "best slice", "the truth"

console = Console(width=160, stderr=True)


def backend_fusions(names: Iterable[str]) -> dict[str, Fusion]:
    """All-in-focus images of backends; those that cannot be used are left out."""
    found: dict[str, Fusion] = {}
    for name in names:
        try:
            backend = create_backend(name)
        except (BackendUnavailableError, UnknownBackendError) as error:
            console.print(f"{name} is left out: {error}")
            continue

        def fuse(stack: FocalStack, backend=backend) -> ImageArray:  # type: ignore[no-untyped-def]
            image: ImageArray = backend.estimate(stack).all_in_focus
            return image

        found[name] = fuse
    return found


def stackmff_fusions(code: Path | None, weights: Path | None) -> dict[str, Fusion]:
    """The official StackMFF-V2 both ways, or none where it is not there."""
    try:
        from stackmff_official import FAIR_BLUR, load_network, stackmff_fusion

        network = load_network(code, weights)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        console.print(f"StackMFF-V2 is left out: {error}")
        return {}
    return {
        "StackMFF-V2 official": stackmff_fusion(network),
        f"StackMFF-V2 official, index from slices blurred by {FAIR_BLUR} px": stackmff_fusion(
            network, FAIR_BLUR
        ),
    }


def score_set(
    stacks: Iterable[tuple[str, Callable[[], SimulatedStack | LabelledStack]]],
    fusions: dict[str, Fusion],
    known: dict[str, dict[str, dict[str, float]]],
    done: Callable[[], object],
) -> None:
    """Add to `known`, by method and stack, the figures that are not there yet."""
    for name, render in stacks:
        every = (*fusions, _BEST_SLICE, _TRUTH)
        missing = [method for method in every if name not in known.get(method, {})]
        if not missing:
            continue
        rendered = render()
        stack, truth = rendered.stack, rendered.all_in_focus
        assert truth is not None
        images = [item.image for item in stack.slices]
        for method in missing:
            if method == _TRUTH:
                figures = fusion_figures(truth, images, None)
            elif method == _BEST_SLICE:
                best = max(images, key=partial(psnr, truth=truth))
                figures = fusion_figures(best, images, truth)
            else:
                figures = fusion_figures(fusions[method](stack), images, truth)
            known.setdefault(method, {})[name] = figures
        done()


def table(scores: Scores, methods: Iterable[str]) -> str:
    """Means over the stacks that all the methods have, as Markdown; at the end over the sets."""
    methods = list(methods)
    lines = [
        "| set | method | psnr [dB] | ssim | vif | niqe | Q^AB/F | MI [bit] | SCD |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    means: dict[str, list[list[float]]] = {method: [] for method in methods}
    for kind, by_method in scores.items():
        shared = sorted(set.intersection(*(set(by_method[method]) for method in methods)))
        for place, method in enumerate(methods):
            rows = [by_method[method][name] for name in shared]
            row = [float(np.mean([figures[key] for figures in rows])) for key in FUSION_FIGURES]
            means[method].append(row)
            lines.append(_line(f"{kind} ({len(shared)})" if place == 0 else "", method, row))
    for place, method in enumerate(methods):
        row = np.mean(means[method], axis=0).tolist()
        lines.append(_line("mean over sets" if place == 0 else "", method, row))
    return "\n".join(lines)


def _line(kind: str, method: str, row: Iterable[float]) -> str:
    cells = (number(value, name) for value, name in zip(row, FUSION_FIGURES, strict=True))
    return f"| {kind} | {method} | " + " | ".join(cells) + " |"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rgbd", type=Path, metavar="DIR", help="photographs with depth")
    parser.add_argument("--scenes", type=int, default=8, help="most stacks of each set")
    parser.add_argument("--sets", default=",".join(HELD_OUT_SETS))
    parser.add_argument("--backends", default="graph_cut,argmax,focdepthformer", help="or none")
    parser.add_argument("--stackmff-code", type=Path, metavar="DIR", help="checkout of its code")
    parser.add_argument("--stackmff-weights", type=Path, metavar="FILE")
    parser.add_argument(
        "--json", type=Path, metavar="FILE",
        help="keeps the figures here; empty it when backends or what is rendered change",
    )  # fmt: skip
    arguments = parser.parse_args()
    if arguments.scenes < 1:
        parser.error(f"--scenes is {arguments.scenes}; it must be at least 1")
    for name in ("sets", "backends"):
        parts = [part.strip() for part in getattr(arguments, name).split(",")]
        setattr(arguments, name, [part for part in parts if part and part != "none"])
    for kind in arguments.sets:
        if kind not in (*HELD_OUT_SETS, *VALIDATION_SETS):
            known = ", ".join((*HELD_OUT_SETS, *VALIDATION_SETS))
            parser.error(f"there is no set '{kind}'; choose from {known}")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    fusions = backend_fusions(arguments.backends)
    fusions |= stackmff_fusions(arguments.stackmff_code, arguments.stackmff_weights)
    file: Path | None = arguments.json
    kept: Scores = {}
    if file is not None and file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
    scores: Scores = {}
    for kind in arguments.sets:
        try:
            cases = list(stack_set(kind, arguments.rgbd, arguments.scenes))
        except FileNotFoundError as error:
            console.print(f"{kind} is left out: {error}")
            continue
        scores[kind] = kept.setdefault(kind, {})
        stacks = track(cases, description=kind, console=console, disable=not console.is_terminal)

        def keep() -> None:
            if file is not None:
                file.write_text(json.dumps(kept, indent=1), encoding="utf-8")

        score_set(((case.name, case.render) for case in stacks), fusions, scores[kind], keep)
    if not scores:
        raise SystemExit("no set is left to be measured")
    first, *others = scores.values()
    methods = [name for name in first if all(name in by_method for by_method in others)]
    # Below the others, also below those that were measured later.
    methods.sort(key=(_BEST_SLICE, _TRUTH).__contains__)
    print(table(scores, methods))


if __name__ == "__main__":
    main()
