"""What the backend `defocus` says when something goes wrong, and when it gives up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from defocus_scenes import FOCUS_DISTANCES, LENS, focal_stack, slanted_dioptres, textured_image

from focdepth_ros.backends.cooldown import Cooldown
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.colour import srgb_from_linear
from focdepth_ros.defocus import solver
from focdepth_ros.errors import BackendError, DeviceError
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import FocalStack, Slice

SIZE = (32, 40)
OPTIONS = {"device": "cpu", "epochs": 1, "depths": 30, "median_radius": 0, "outliers": "keep"}


@pytest.fixture(scope="module")
def stack() -> FocalStack:
    light = focal_stack(textured_image(*SIZE), slanted_dioptres(*SIZE), psf="disc")
    images = [srgb_from_linear(image) for image in light.numpy()]
    return FocalStack(
        [Slice(image, at) for image, at in zip(images, FOCUS_DISTANCES, strict=True)], lens=LENS
    )


def test_work_that_nobody_waits_for_ends(stack: FocalStack) -> None:
    backend = create_backend("defocus", **{**OPTIONS, "epochs": 1000, "tolerance": 0.0})
    told = []

    def follow(words: str) -> None:
        told.append(words)
        backend.interrupt()

    backend.on_step = follow
    with pytest.raises(BackendError, match="interrupted before it had an answer"):
        backend.estimate(stack)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to"),
            "too little memory: CUDA out of memory; use smaller images",
        ),
        (
            RuntimeError("CUDA error: unspecified launch failure\nSearch"),
            "device 'cpu' failed: CUDA error: unspecified launch failure$",
        ),
    ],
)
def test_a_gpu_that_fails_is_left_alone_for_a_while(
    stack: FocalStack, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def solve(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(solver, "solve", solve)
    backend = create_backend("defocus", **OPTIONS)
    with pytest.raises(DeviceError, match=words):
        backend.estimate(stack)
    pipeline = DepthPipeline(backend)
    assert isinstance(pipeline.cooldown, Cooldown)
    assert pipeline.estimate(stack).backend == "graph_cut"
    assert "not tried for another" in pipeline.estimate(stack).warnings[0]


def test_distances_may_be_those_of_numpy(stack: FocalStack) -> None:
    slices = [
        replace(item, focus_distance=np.float64(at))
        for item, at in zip(stack.slices, FOCUS_DISTANCES, strict=True)
    ]
    backend = create_backend("defocus", **OPTIONS)
    expected = backend.estimate(stack).depth
    np.testing.assert_array_equal(backend.estimate(replace(stack, slices=slices)).depth, expected)


@pytest.mark.parametrize("median_radius", [0, 5])
def test_slice_index_and_depth_are_of_the_same_place(stack: FocalStack, median_radius: int) -> None:
    options = {**OPTIONS, "median_radius": median_radius}
    answer = create_backend("defocus", **options).estimate(stack)
    inside = (answer.depth > FOCUS_DISTANCES[0]) & (answer.depth < FOCUS_DISTANCES[-1])
    assert inside.mean() > 0.5
    dioptre = np.interp(answer.slice_index, np.arange(5), 1.0 / np.array(FOCUS_DISTANCES))
    np.testing.assert_allclose(answer.depth[inside], 1.0 / dioptre[inside], rtol=1e-4)
