"""Fusing a focal stack on disk: its images are read one after the other, and only once.

The pipeline keeps what the backend needs of them, the pictures on one pixel grid. What was read
goes, so that a stack of large photographs is not in memory twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from focdepth_ros.backends.base import SweepSpec
from focdepth_ros.errors import StackError, StackFileError
from focdepth_ros.estimate import DepthEstimate
from focdepth_ros.pipeline import DepthPipeline, SweepRun
from focdepth_ros.stack import Slice
from focdepth_ros.stack_folder.reading import StackFolder

#: Backends that fuse, best first: of the first two, whose images are as good, the cheaper one.
FUSION_BACKENDS = ("graph_cut", "stackmff_v2", "argmax")


def fuse_folder(
    folder: StackFolder, pipeline: DepthPipeline, advance: Callable[[], None] = lambda: None
) -> DepthEstimate:
    """All-in-focus image, slice index and depth of a focal stack on disk.

    Parameters
    ----------
    folder : StackFolder
        Put in order by `StackFolder.near_to_far`.
    pipeline : DepthPipeline
    advance : callable
        Called after each slice.

    Returns
    -------
    DepthEstimate
        On the pixel grid of the folder's reference slice.

    Raises
    ------
    StackFileError
        If an image cannot be read or does not fit the others, or too few could be aligned.
    BackendError
        If no backend could answer.
    """
    run: SweepRun | None = None
    reference: Slice | None = None
    read_seconds, started = 0.0, time.perf_counter()
    for number, item in enumerate(folder.slices()):
        read_seconds += time.perf_counter() - started
        if run is None:
            run = pipeline.start(_spec(folder, item))
        run.add(item)
        if number == folder.reference:
            reference = item
        advance()
        started = time.perf_counter()
    assert run is not None  # a folder has images
    try:
        answer = run.finish(reference=reference)
    except StackError as error:
        raise StackFileError(
            f"{folder.path}: {error}; if the camera stood still, do without alignment: --align none"
        ) from error
    return replace(answer, timings={"read": read_seconds, **answer.timings})


def _spec(folder: StackFolder, item: Slice) -> SweepSpec:
    height, width = item.size
    return SweepSpec(
        height=height,
        width=width,
        metric=folder.focus_distances is not None,
        intrinsics=folder.intrinsics,
        lens=folder.lens,
    )
