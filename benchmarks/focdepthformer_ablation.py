"""What each option of FocDepthFormer is worth: the tiny preset, trained with and without it.

Run ``python benchmarks/focdepthformer_ablation.py --pool DIR``, DIR a pool of rendered stacks, or
several with commas, as `focdepth pool` makes them. Every variant is trained as
``config/train/tiny.yaml`` says, but for the number of steps and the size of the crops: from the
same seed, on the same crops, all of the network from the first step on. The running average of its
weights is then measured over all pixels of simulated scenes that no pool may contain.

What is in the folder of ``--output`` is not trained again; what was interrupted is resumed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from stack_sets import StackCase, stack_set

from focdepth_ros.backends.registry import create_backend
from focdepth_ros.cli.progress import progress
from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.models.checkpoint import read_weights
from focdepth_ros.training.config import (
    SourceSettings,
    TrainingConfig,
    ValidationSettings,
    changed_settings,
    load_training_config,
)
from focdepth_ros.training.loop import train
from focdepth_ros.training.run_state import CHECKPOINT_NAME, WEIGHTS_NAME

_METRICS = ("abs_rel", "rmse", "delta1")
_CONFIG = Path(__file__).parents[1] / "config" / "train" / "tiny.yaml"


@dataclass(frozen=True)
class Variant:
    """Fields of the network's configuration that differ from the tiny preset."""

    title: str
    options: dict[str, Any] = field(default_factory=dict)


VARIANTS = {
    "all": Variant("all options"),
    "no_dioptres": Variant("without dioptre_encoding", {"dioptre_encoding": False}),
    "no_refinement": Variant("without refinement", {"refinement": False}),
    "no_confidence": Variant("without confidence", {"confidence": False}),
    "metres": Variant(
        "output metres, without refinement", {"output": "metres", "refinement": False}
    ),
    "no_lstm": Variant("lstm_layers 0", {"lstm_layers": 0}),
}


@dataclass(frozen=True)
class Result:
    """One variant, trained and measured.

    Parameters
    ----------
    name, title : str
    parameters : int
    training_s : float
    stacks : dict of str to dict of str to float
        The metrics of every stack.
    """

    name: str
    title: str
    parameters: int
    training_s: float
    stacks: dict[str, dict[str, float]]

    def mean(self, metric: str) -> float:
        """Over the stacks."""
        return float(np.mean([row[metric] for row in self.stacks.values()]))


def training_config(
    variant: Variant, folder: Path, arguments: argparse.Namespace
) -> TrainingConfig:
    """What a variant is trained with; but for its options the same for all."""
    recipe = load_training_config(arguments.config)
    pool = SourceSettings("pool", options={"folders": arguments.pool})
    return replace(
        recipe,
        model=replace(
            recipe.model, weights="", options={**recipe.model.options, **variant.options}
        ),
        data=replace(
            recipe.data,
            sources=(pool,),
            batch=arguments.batch,
            height=arguments.crop,
            width=arguments.crop,
        ),
        validation=ValidationSettings(),
        schedule=replace(
            recipe.schedule,
            steps=arguments.steps,
            max_hours=0.0,
            warmup_steps=min(recipe.schedule.warmup_steps, arguments.steps // 10),
            guide_share=0.0,
        ),
        run=replace(
            recipe.run, output=str(folder), seed=arguments.seed, log_every=arguments.log_every
        ),
    )


def trained(
    name: str, variant: Variant, arguments: argparse.Namespace, console: Console
) -> tuple[Path, float]:
    """Weights of a variant, and the seconds that its training took."""
    folder = arguments.output / name
    config = training_config(variant, folder, arguments)
    checkpoint = folder / CHECKPOINT_NAME
    begun = checkpoint.is_file()
    if begun:
        before = torch.load(checkpoint, weights_only=True)["config"]
        changes = changed_settings(before, config.to_dict())
        if changes:
            told = ", ".join(f"{key}: {change}" for key, change in changes.items())
            raise SystemExit(
                f"{folder} was trained with other settings ({told}); choose another --output"
            )

    def say(line: str) -> None:
        console.print(f"{name}: {line}", markup=False, highlight=False)

    if not train(config, resume=begun, bar=progress, say=say).finished:
        raise SystemExit(f"{name} was interrupted; the same command goes on")
    seconds: float = torch.load(checkpoint, weights_only=True)["elapsed_s"]
    return folder / WEIGHTS_NAME, seconds


def score(
    weights: Path, cases: Sequence[StackCase], cache: Path | None
) -> dict[str, dict[str, float]]:
    """Errors over all pixels of every stack."""
    backend = create_backend("focdepthformer", weights=str(weights))
    rows = {}
    for case in cases:
        stack, truth = case.load(cache)
        estimate = backend.estimate(stack, all_in_focus=False)
        found = depth_metrics(estimate.depth, truth)
        rows[case.name] = {metric: found[metric] for metric in _METRICS}
    return rows


def results_table(results: Sequence[Result], arguments: argparse.Namespace) -> Table:
    """Means over the stacks, and what they are of those of the first variant."""
    table = Table(
        "variant", "parameters", "abs_rel", "rmse [m]", "within 25 %", "abs_rel, rmse to the first",
        "training [s]",
        title=f"tiny, {arguments.steps} steps of {arguments.batch} crops of {arguments.crop} px; "
        f"{len(results[0].stacks)} stacks of {arguments.set}",
    )  # fmt: skip
    first = results[0]
    for result in results:
        values = {metric: result.mean(metric) for metric in _METRICS}
        ratios = [values[metric] / first.mean(metric) for metric in ("abs_rel", "rmse")]
        table.add_row(
            result.title, f"{result.parameters / 1e6:.2f} M", f"{values['abs_rel']:.4f}",
            f"{values['rmse']:.4f}", f"{values['delta1']:.1%}",
            f"{ratios[0]:.2f}, {ratios[1]:.2f}", f"{result.training_s:.0f}",
        )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pool", type=_listed, required=True, metavar="DIR,...")
    parser.add_argument("--config", type=Path, default=_CONFIG, metavar="FILE")
    parser.add_argument("--variants", type=_listed, default=",".join(VARIANTS), metavar="NAME,...")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=4, help="stacks per step")
    parser.add_argument("--crop", type=int, default=128, help="side of the crops in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--set", choices=("sim", "val_sim"), default="sim", help="to measure on")
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep the rendered stacks there")
    parser.add_argument("--output", type=Path, default=Path("training/ablation"), metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: all")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.variants if name not in VARIANTS]
    if unknown or not arguments.variants:
        parser.error(f"no such variant: {', '.join(unknown)}; choose of {', '.join(VARIANTS)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    console = Console(width=140)
    cases = list(stack_set(arguments.set, None, arguments.scenes))
    results = []
    for name in arguments.variants:
        variant = VARIANTS[name]
        weights, seconds = trained(name, variant, arguments, console)
        count = sum(item.numel() for item in read_weights(weights).network().parameters())
        stacks = score(weights, cases, arguments.cache)
        results.append(Result(name, variant.title, count, seconds, stacks))
        if arguments.json:
            write_json(arguments.json, results, arguments)
    console.print(results_table(results, arguments))


def write_json(path: Path, results: Sequence[Result], arguments: argparse.Namespace) -> None:
    """Write what is measured so far."""
    figures = {
        result.name: {
            "title": result.title,
            "parameters": result.parameters,
            "training_s": result.training_s,
            "mean": {metric: result.mean(metric) for metric in _METRICS},
            "stacks": result.stacks,
        }
        for result in results
    }
    settings = {key: getattr(arguments, key) for key in ("steps", "batch", "crop", "seed", "set")}
    path.write_text(json.dumps({"settings": settings, "variants": figures}, indent=1), "utf-8")


def _listed(text: str) -> list[str]:
    return [item for item in text.split(",") if item]


if __name__ == "__main__":
    main()
