"""Rendering a pool of focal stacks once, with all processors, to train from it many times."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
import yaml

from focdepth_ros.errors import OptionError
from focdepth_ros.files.yaml_files import parse_yaml
from focdepth_ros.processes import end_with_parent
from focdepth_ros.torch_device import choose_device
from focdepth_ros.training.progress_bar import ProgressBar, no_bar
from focdepth_ros.training.randomness import check_range, integer
from focdepth_ros.training.rendering.focus_sweeps import SweepConfig
from focdepth_ros.training.rendering.photographs import Photographs, read_photographs
from focdepth_ros.training.rendering.sensor import PERFECT_SENSOR
from focdepth_ros.training.sources.ray_traced import RayTracedSource
from focdepth_ros.training.sources.relief import ReliefSource
from focdepth_ros.training.sources.rendered import RenderedSource, RenderSettings, SimulatedSource

PoolScenes = Literal["rooms", "layers", "reliefs"]

_SETTINGS_NAME = "pool.yaml"


@dataclass(frozen=True)
class PoolRendering:
    """What the stacks of a pool are like.

    Parameters
    ----------
    scenes : {"rooms", "layers", "reliefs"}
        Those of `RayTracedSource`, of `SimulatedSource` or of `ReliefSource`.
    size : (int, int)
        Height and width.
    slices : (int, int)
        Fewest and most of a stack.
    textures : tuple of str
        Folders of photographs, see `read_photographs`; without them surfaces have patterns.
    sweep : SweepConfig
        The order of exposure is always near to far; `RenderedPoolSource` turns it.
    seed : int
        The same seed makes the same pool.

    Raises
    ------
    OptionError
        If a value is out of range.
    """

    scenes: PoolScenes = "rooms"
    size: tuple[int, int] = (360, 480)
    slices: tuple[int, int] = (6, 20)
    textures: tuple[str, ...] = ()
    sweep: SweepConfig = field(default_factory=SweepConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scenes not in get_args(PoolScenes):
            known = ", ".join(get_args(PoolScenes))
            raise OptionError(f"scenes '{self.scenes}' are not known; use one of {known}")
        if min(self.size) < 16:
            raise OptionError(f"pool images of {self.size} px; give at least 16 in each direction")
        check_range("pool option", "slices", self.slices, 2, 100)


def render_pool(
    folder: Path | str,
    count: int,
    rendering: PoolRendering | None = None,
    *,
    processes: int | None = None,
    device: str = "cpu",
    progress: ProgressBar = no_bar,
) -> int:
    """Fill a folder with rendered stacks, see `pool_files`; those that are there are kept.

    What they are like is written beside them, so that all stacks of a folder are alike.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    count : int
        Stacks that the folder is to hold in the end.
    rendering : PoolRendering, optional
    processes : int, optional
        As many as there are processors by default; 1 renders in this one.
    device : str
        Where things are put out of focus, as `choose_device` takes it; the same pool may differ by
        a code here and there.
    progress : ProgressBar

    Returns
    -------
    int
        Number of stacks rendered.

    Raises
    ------
    OptionError
        If there is nothing to render, a folder of textures cannot be used, there is no such
        device, or the stacks that are there are of another kind.
    BackendUnavailableError
        If the GPU that is asked for cannot be used.
    """
    if count < 1 or (processes is not None and processes < 1):
        raise OptionError(
            f"a pool of {count} stacks rendered by {processes} processes; give numbers above 0"
        )
    rendering = rendering or PoolRendering()
    device = choose_device(device)
    _source(rendering, device)  # a missing folder is found before any process starts
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _settle(folder, rendering)
    missing = [number for number in range(count) if not _path(folder, number).exists()]
    if not missing:
        return 0
    with progress("Rendering focal stacks", len(missing)) as step:
        if processes == 1:
            for number in missing:
                render_one(folder, number, rendering, device)
                step()
        else:
            _render_in_processes(folder, missing, (rendering, device), processes, step)
    return len(missing)


def _settle(folder: Path, rendering: PoolRendering) -> None:
    """Write down what the stacks of a folder are like, or see that they are to stay so.

    Raises
    ------
    OptionError
        If they are of another kind.
    """
    path = folder / _SETTINGS_NAME
    text = yaml.safe_dump(asdict(rendering), sort_keys=False)
    if not path.exists():
        # What those of earlier versions are like is not known.
        if not any(folder.glob("*.npz")):
            path.write_text(text, encoding="utf-8")
        return
    try:
        before = dict(parse_yaml(path.read_bytes()))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise OptionError(
            f"'{path}' does not tell what the stacks beside it are like ({error}); choose another "
            "folder"
        ) from error
    for key, value in parse_yaml(text).items():
        if before.get(key) != value:
            raise OptionError(
                f"the stacks in '{folder}' were rendered with {key} {before.get(key)}, not "
                f"{value}; choose another folder, or give what '{path}' says"
            )


def _render_in_processes(
    folder: Path,
    numbers: Sequence[int],
    how: tuple[PoolRendering, str],
    processes: int | None,
    step: Callable[[], None],
) -> None:
    # Processes are started afresh: torch and OpenCV do not survive a fork with their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin_process) as workers:
        jobs = [workers.submit(render_one, folder, number, *how) for number in numbers]
        try:
            for job in as_completed(jobs):
                job.result()
                step()
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise


def _begin_process() -> None:
    end_with_parent()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def render_one(folder: Path, number: int, rendering: PoolRendering, device: str = "cpu") -> Path:
    """Render and save one stack of a pool.

    Parameters
    ----------
    folder : Path
    number : int
        Of the stack; with the seed of the pool it settles everything.
    rendering : PoolRendering
    device : str

    Returns
    -------
    Path
        Of the stack.
    """
    entropy = np.random.SeedSequence((rendering.seed, number)).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(entropy))
    slices = integer(generator, *rendering.slices)
    batch = _source(rendering, device).batch(generator, slices).to("cpu")
    path = _path(folder, number)
    # Under its name it is complete, whenever the run is stopped.
    unfinished = path.with_suffix(".part")
    parts: dict[str, Any] = {
        "images": batch.images[0].permute(0, 2, 3, 1).contiguous().numpy(),
        "dioptre": batch.inverse_depth[0].numpy(),
        "focus": batch.dioptres[0].double().numpy(),
    }
    if batch.labels is not None:
        parts["labels"] = batch.labels[0].numpy().astype(np.int8)
    with unfinished.open("wb") as file:
        np.savez(file, **parts)
    unfinished.replace(path)
    return path


@lru_cache(maxsize=1)
def _source(rendering: PoolRendering, device: str) -> RenderedSource:
    """What renders a stack at a time, for a perfect sensor."""
    settings = RenderSettings(
        sweep=replace(rendering.sweep, far_to_near=0.0), sensor=PERFECT_SENSOR, device=device
    )
    photographs = read_photographs(rendering.textures)
    if rendering.scenes == "rooms":
        return RayTracedSource(rendering.size, 1, photographs, settings=settings)
    if rendering.scenes == "reliefs":
        return ReliefSource(rendering.size, 1, photographs, settings=settings)
    covers = Photographs(photographs, device)
    return SimulatedSource(rendering.size, 1, covers, settings=settings)


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.npz"
