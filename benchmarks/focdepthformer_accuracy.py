"""Accuracy and honesty of the network against the graph cut, on stacks that nothing was trained on.

Run ``python benchmarks/focdepthformer_accuracy.py --rgbd DIR``, DIR the folder of photographs with
depth that rgbd_stacks.py describes; what is missing is left out with a message. It prints

- abs_rel and rmse over all pixels per set and method, and what they are of those of the graph cut;
- the sparsification curve of every method that says how sure it is: the error of the surest 100,
  90, ... 10 % of the pixels of each stack, the mean over the stacks; whether that falls all along,
  in the mean and in how many of the stacks; the error of the surer half over that of all; and the
  area to the best possible curve (AUSE);
- with ``--slices``, ``--sizes`` and ``--ranges`` the accuracy on simulated scenes seen by other
  cameras than the default one.

``--stackmff-code`` and ``--stackmff-weights`` add the official StackMFF-V2, as it is and with its
pictures blurred first (see stackmff_official.py). Where ``--stackmff-scenes`` gives it the first
stacks of each set only, a table of its own has all methods on these. During development ``--sets
val_sim,val_middlebury`` keeps away from what is held out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack_sets import HELD_OUT_SETS, VALIDATION_SETS, StackCase, stack_set, sweep_sets
from typer import BadParameter

from focdepth_ros.backends.registry import backend_config, create_backend
from focdepth_ros.cli.parameters import image_size, settings
from focdepth_ros.errors import BackendUnavailableError, FocdepthError, UnknownBackendError
from focdepth_ros.evaluation.metrics import depth_metrics, valid_mask
from focdepth_ros.evaluation.sparsification import (
    KEPT_SHARES,
    area_under_sparsification_error,
    is_monotone,
    sparsification_curve,
)
from focdepth_ros.stack import FloatImage, FocalStack

#: Depth in metres of every pixel, and a confidence if the method has one.
Method = Callable[[FocalStack], tuple[FloatImage, FloatImage | None]]
#: Figures of one method on one stack, by name.
Score = dict[str, Any]
#: Of every stack, by set and method.
Scores = dict[str, dict[str, list[Score]]]

_BASELINE = "graph_cut"
_HALF = KEPT_SHARES.index(0.5)
_ERRORS = ("abs_rel", "rmse")

console = Console(width=160)


def backend_methods(names: Iterable[str], texts: Iterable[str]) -> dict[str, Method]:
    """Backends as functions of the stack; those that cannot be used are left out.

    Parameters
    ----------
    names : iterable of str
    texts : iterable of str
        Settings like ``graph_cut.pair_scale=0.5``.
    """
    methods: dict[str, Method] = {}
    for name in names:
        own = [text.removeprefix(f"{name}.") for text in texts if text.startswith(f"{name}.")]
        try:
            backend = create_backend(name, **settings(own, backend_config(name), "--set"))
        except (BackendUnavailableError, UnknownBackendError) as error:
            console.print(f"{name} is left out: {error}")
            continue
        except (FocdepthError, BadParameter) as error:
            raise SystemExit(f"{name} cannot be made: {error}") from None

        def estimate(
            stack: FocalStack, backend: Any = backend
        ) -> tuple[FloatImage, FloatImage | None]:
            answer = backend.estimate(stack, all_in_focus=False)
            return answer.depth, answer.confidence

        methods[name] = estimate
    return methods


def stackmff_methods(code: Path | None, weights: Path | None) -> dict[str, Method]:
    """The official StackMFF-V2 both ways, or none where it is not there."""
    try:
        from stackmff_official import FAIR_BLUR, load_network, stackmff_method

        network = load_network(code, weights)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        console.print(f"the official stackmff_v2 is left out: {error}")
        return {}
    return {
        "official stackmff_v2": stackmff_method(network),
        f"official stackmff_v2, blur {FAIR_BLUR} px": stackmff_method(network, FAIR_BLUR),
    }


def score(method: Method, stack: FocalStack, depth: FloatImage) -> Score:
    """Errors over all pixels, and those of the surest ones."""
    start = time.perf_counter()
    answer, confidence = method(stack)
    seconds = time.perf_counter() - start
    every = depth_metrics(answer, depth)
    row: Score = {name: every[name] for name in (*_ERRORS, "delta1", "coverage")}
    row["seconds"] = seconds
    if confidence is None:
        return row
    mask = valid_mask(depth, answer)
    truth, sure = depth[mask].astype(np.float64), confidence[mask]
    difference = np.abs(answer[mask] - truth)
    relative, squared = difference / truth, difference**2
    row["curve_abs_rel"] = sparsification_curve(relative, sure)
    row["curve_rmse"] = np.sqrt(sparsification_curve(squared, sure))
    row["ause_abs_rel"] = area_under_sparsification_error(relative, sure)
    row["ause_rmse"] = area_under_sparsification_error(squared, sure, root=True)
    return row


def score_set(
    kind: str,
    cases: list[StackCase],
    methods: dict[str, Method],
    cache: Path | None,
    most: Mapping[str, int],
) -> dict[str, list[Score]]:
    """Figures of all methods on the stacks of a set, or on the first of them as `most` says."""
    rows: dict[str, list[Score]] = {name: [] for name in methods}
    silent = not console.is_terminal
    for case in track(cases, description=kind, console=console, disable=silent):
        stack, depth = case.load(cache)
        for name, method in methods.items():
            if len(rows[name]) < most.get(name, len(cases)):
                rows[name].append({"stack": case.name, **score(method, stack, depth)})
    return rows


def first_stacks(scores: Scores, names: Iterable[str], most: int | None = None) -> Scores:
    """Some of the methods, on at most so many stacks of each set: the same for all of them."""
    names = list(names)
    return {
        kind: {name: by_method[name][:most] for name in names} for kind, by_method in scores.items()
    }


def mean(rows: list[Score], key: str) -> Any:
    """Mean of a figure, or of each of a curve, over the stacks."""
    return np.mean([row[key] for row in rows], axis=0)


def accuracy_table(scores: Scores, title: str, *, total: bool) -> Table:
    """Errors per set and method; with `total` also those of all sets together."""
    table = Table(
        "set", "stacks", "method", "abs_rel", "rmse [m]", "within 25 %", "answered", "s / stack",
        "abs_rel, rmse against graph_cut",
        title=title,
        box=box.SIMPLE_HEAD,
    )  # fmt: skip
    figures = (*_ERRORS, "delta1", "coverage", "seconds")
    means = {
        (kind, name): np.array([mean(rows, key) for key in figures])
        for kind, by_method in scores.items()
        for name, rows in by_method.items()
    }
    counts = {kind: len(next(iter(by_method.values()))) for kind, by_method in scores.items()}
    names = list(dict.fromkeys(name for _, name in means))
    kinds = list(scores)
    if total:
        stacks = [counts[kind] for kind in kinds]
        for label, weights in (("all sets", None), ("all stacks", stacks)):
            for name in names:
                rows = [means[kind, name] for kind in kinds]
                means[label, name] = np.average(rows, axis=0, weights=weights)
            counts[label] = sum(stacks)
    for kind in counts:
        for name in names:
            row, baseline = means[kind, name], means.get((kind, _BASELINE))
            table.add_row(
                kind, str(counts[kind]), name, f"{row[0]:.4f}", f"{row[1]:.4f}", f"{row[2]:.1%}",
                f"{row[3]:.1%}", f"{row[4]:.2f}",
                "" if baseline is None else
                ", ".join(f"{change:+.0%}" for change in row[:2] / baseline[:2] - 1.0),
            )  # fmt: skip
        table.add_section()
    return table


def sparsification_table(scores: Scores) -> Table:
    """Errors of the surest pixels per set and method that has a confidence."""
    table = Table(
        "set", "method", "error", "AUSE", *(f"{share:.0%}" for share in KEPT_SHARES), "half / all",
        "falls", "in stacks",
        title="error of the surest pixels, by the share of them that is kept",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    for kind, by_method in scores.items():
        for name, rows in by_method.items():
            for error in _ERRORS:
                if f"curve_{error}" not in rows[0]:
                    continue
                curve = mean(rows, f"curve_{error}")
                falling = sum(is_monotone(row[f"curve_{error}"]) for row in rows)
                table.add_row(
                    kind, name, error, f"{mean(rows, f'ause_{error}'):.3f}",
                    *(f"{value:.4f}" for value in curve), f"{curve[_HALF] / curve[0]:.2f}",
                    "yes" if is_monotone(curve) else "no", f"{falling} of {len(rows)}",
                )  # fmt: skip
        table.add_section()
    return table


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rgbd", type=Path, metavar="DIR", help="photographs with depth")
    parser.add_argument("--scenes", type=int, default=30, help="most stacks of each set")
    parser.add_argument("--sweep-scenes", type=int, default=3, help="stacks of each other camera")
    parser.add_argument("--sets", default=",".join(HELD_OUT_SETS), help="sets, or none")
    parser.add_argument("--backends", default=f"{_BASELINE},focdepthformer")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="BACKEND.KEY=VALUE"
    )
    parser.add_argument("--stackmff-code", type=Path, metavar="DIR", help="checkout of its code")
    parser.add_argument("--stackmff-weights", type=Path, metavar="FILE")
    parser.add_argument(
        "--stackmff-scenes", type=int, metavar="N", help="most stacks of each set that it is given"
    )
    parser.add_argument("--slices", default="", help="numbers of slices, like 3,5,10,20,40")
    parser.add_argument("--sizes", default="", help="image sizes, like 320x240,640x480,1920x1080")
    parser.add_argument("--ranges", action="store_true", help="other ranges and spacings too")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="keeps the rendered stacks here; empty it when what is rendered changes",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures here too")
    arguments = parser.parse_args()
    counts = (arguments.scenes, arguments.sweep_scenes, arguments.stackmff_scenes)
    if any(count is not None and count < 1 for count in counts):
        parser.error("--scenes, --sweep-scenes and --stackmff-scenes must be at least 1")
    for name in ("sets", "backends", "slices", "sizes"):
        parts = [part.strip() for part in getattr(arguments, name).split(",")]
        setattr(arguments, name, [part for part in parts if part])
    try:
        arguments.slices = [int(count) for count in arguments.slices]
        arguments.sizes = [image_size(size, "--sizes") for size in arguments.sizes]
    except (ValueError, BadParameter) as error:
        parser.error(str(error))
    for text in arguments.settings:
        if text.partition(".")[0] not in arguments.backends:
            parser.error(f"--set {text} is for none of the backends; write it like argmax.key=1")
    arguments.sets = [kind for kind in arguments.sets if kind != "none"]
    for kind in arguments.sets:
        if kind not in (*HELD_OUT_SETS, *VALIDATION_SETS):
            known = ", ".join((*HELD_OUT_SETS, *VALIDATION_SETS))
            parser.error(f"there is no set '{kind}'; choose from {known}, or none")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    methods = backend_methods(arguments.backends, arguments.settings)
    most: dict[str, int] = {}
    official = stackmff_methods(arguments.stackmff_code, arguments.stackmff_weights)
    if arguments.stackmff_scenes:
        most = dict.fromkeys(official, arguments.stackmff_scenes)
    methods |= official
    if not methods:
        raise SystemExit("no method is left to be measured")

    scores: Scores = {}
    for kind in arguments.sets:
        try:
            cases = list(stack_set(kind, arguments.rgbd, arguments.scenes))
        except FileNotFoundError as error:
            console.print(f"{kind} is left out: {error}")
            continue
        if not cases:
            console.print(f"{kind} is left out: there is no stack of it in {arguments.rgbd}")
            continue
        scores[kind] = score_set(kind, cases, methods, arguments.cache, most)
    on_all = first_stacks(scores, [name for name in methods if name not in most])
    if any(on_all.values()):
        console.print(accuracy_table(on_all, "over all pixels, means of the stacks", total=True))
        console.print(sparsification_table(on_all))
    if scores and most:
        title = f"over all pixels, means of the first {arguments.stackmff_scenes} stacks of a set"
        shared = first_stacks(scores, methods, arguments.stackmff_scenes)
        console.print(accuracy_table(shared, title, total=True))

    cameras = sweep_sets(
        arguments.slices,
        arguments.sizes,
        ranges=arguments.ranges,
        scenes=arguments.sweep_scenes,
    )
    others = {
        kind: score_set(kind, cases, methods, arguments.cache, {})
        for kind, cases in cameras.items()
    }
    if others:
        console.print(accuracy_table(others, "simulated scenes, other cameras", total=False))
        console.print(sparsification_table(others))
    if arguments.json:
        text = json.dumps(scores | others, indent=1, default=lambda values: values.tolist())
        arguments.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
