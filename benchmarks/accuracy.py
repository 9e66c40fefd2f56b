"""`focdepth benchmark` with the plain classic pipeline as one more method.

Run ``python benchmarks/accuracy.py``; with ``--middlebury DIR`` also on stacks rendered from the
Middlebury stereo scenes (see rgbd_stacks.py). Simulated scenes with seeds from 1000 on and
the Middlebury scenes of 2005 and 2006 are held out; those of 2001 and 2003 were looked at during
development and make a table of their own.

``log+gco`` is the plain classic pipeline: exp(-LoG²) of 5 px kernels, blurred over 9 px, scaled to
[0, 2^22], |Δlabel| times 2^12, alpha-expansion in 5 cycles at full resolution, whole slices. It
does not tell how sure it is.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from rich.progress import Progress

from focdepth_ros.backends.base import Accumulator, Backend, SweepSpec
from focdepth_ros.backends.registry import list_backends
from focdepth_ros.classical.focus_measure import grey_image
from focdepth_ros.classical.graph_cut import alpha_expansion
from focdepth_ros.datasets.registry import open_dataset
from focdepth_ros.estimate import DepthEstimate, depth_from_slice_index
from focdepth_ros.evaluation.benchmark.process import Contender
from focdepth_ros.evaluation.benchmark.report import terminal_lines
from focdepth_ros.evaluation.benchmark.run import Benchmark
from focdepth_ros.evaluation.benchmark.stacks import DatasetStacks, SimulatedStacks, StackSource
from focdepth_ros.evaluation.job import make_pipeline
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FloatImage, Slice

_CLASSIC = "log+gco"
_UNARY_SCALE, _PAIR_SCALE = float(2**22), float(2**12)
_WHOLE = 1024.0  # how finely alpha_expansion resolves costs; then its numbers are those of gco
_SPLITS = {"Middlebury 2001/03": ("2001", "2003"), "Middlebury 2005/06": ("2005", "2006")}


class ClassicBackend(Backend):
    """LoG and graph cut with the settings of the published classic pipeline."""

    name = _CLASSIC
    summary = "the plain classic pipeline"
    config_class = object

    def __init__(self, config: object = None) -> None: ...

    def start(self, spec: SweepSpec) -> Accumulator:
        return _ClassicAccumulator()


class _ClassicAccumulator(Accumulator):
    def __init__(self) -> None:
        self._layers: list[FloatImage] = []
        self._dioptres: list[float] = []

    def add(self, item: Slice) -> None:
        grey = grey_image(item.image).astype(np.float32) / np.float32(255.0)
        response = cv2.Laplacian(cv2.GaussianBlur(grey, (5, 5), 0), cv2.CV_32F, ksize=5)
        self._layers.append(cv2.GaussianBlur(np.exp(-(response**2)), (9, 9), 0))
        self._dioptres.append(item.dioptre)

    def finish(self) -> DepthEstimate:
        unary = np.stack(self._layers)  # near to far, as stacks are
        unary -= unary.min()
        unary *= np.float32(_UNARY_SCALE / _WHOLE / unary.max())
        weight = np.full(unary.shape[1:], _PAIR_SCALE / _WHOLE, np.float32)
        labels, _ = alpha_expansion(unary, weight, weight, truncation=len(unary), max_cycles=5)
        index = labels.astype(np.float32)
        return DepthEstimate(
            depth=depth_from_slice_index(index, np.array(self._dioptres)),
            confidence=np.zeros_like(index),
            slice_index=index,
            backend=_CLASSIC,
            metric=True,
        )


def classic_pipeline() -> DepthPipeline:
    """The classic pipeline on slices as they are."""
    return DepthPipeline(ClassicBackend(), min_confidence=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=20, help="number of simulated scenes")
    parser.add_argument("--middlebury", type=Path, metavar="DIR", help="folder of the scenes")
    arguments = parser.parse_args()
    if arguments.scenes < 1:
        parser.error(f"--scenes is {arguments.scenes}; it must be at least 1")

    usual = [info.name for info in list_backends() if info.is_usual]
    contenders = [Contender(name, partial(make_pipeline, name, {}, align="none")) for name in usual]
    contenders.append(Contender(_CLASSIC, classic_pipeline))
    sources: dict[str, StackSource] = {"simulated": SimulatedStacks(arguments.scenes)}
    if arguments.middlebury:
        for title, splits in _SPLITS.items():
            datasets = [open_dataset("middlebury", arguments.middlebury, s) for s in splits]
            sources[title] = DatasetStacks(datasets)
    for title, source in sources.items():
        benchmark = Benchmark(contenders, source, [None], repeat=1)
        with Progress(transient=True) as bar:
            task = bar.add_task(title, total=benchmark.steps)
            benchmark.run(lambda bar=bar, task=task: bar.advance(task))
        print(f"\n{title}, {len(source.names)} stacks")
        print("\n".join([*terminal_lines(benchmark), *benchmark.left_out]))


if __name__ == "__main__":
    main()
