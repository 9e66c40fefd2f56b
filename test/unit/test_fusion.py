"""Fusing a stack from disk: what is kept of it, and what its positions count."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from synthetic_motion import moving_sweep, seen, similarity

from focdepth_ros.backends.argmax import ArgmaxBackend
from focdepth_ros.errors import StackFileError
from focdepth_ros.fusion import fuse_folder
from focdepth_ros.pipeline import DepthPipeline
from focdepth_ros.stack import CameraIntrinsics, FocalStack, Slice
from focdepth_ros.stack_folder.reading import StackFolder
from focdepth_ros.stack_folder.saving import save_stack

HANDHELD = [similarity(1.0 + 0.005 * i, 0.2 * i, (1.5 * i, -1.0 * i)) for i in range(9)]


def opened(path: Path, slices: list[Slice], reference: int = 0) -> StackFolder:
    save_stack(path, FocalStack(slices, reference=reference))
    return StackFolder.open(path).near_to_far()


def pipeline() -> DepthPipeline:
    return DepthPipeline(ArgmaxBackend(), min_confidence=0.0)


@pytest.mark.parametrize("reference", [0, 8])
def test_is_what_the_pipeline_makes_of_the_whole_stack(tmp_path: Path, reference: int) -> None:
    slices = moving_sweep(HANDHELD)
    answer = fuse_folder(opened(tmp_path, slices, reference), pipeline())
    expected = pipeline().estimate(FocalStack(slices, reference=reference))
    np.testing.assert_array_equal(answer.all_in_focus, expected.all_in_focus)
    np.testing.assert_array_equal(answer.slice_index, expected.slice_index)
    np.testing.assert_array_equal(answer.depth, expected.depth)
    assert answer.timings["read"] > 0.0


def test_of_a_moving_camera_the_images_as_read_do_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = opened(tmp_path, moving_sweep(HANDHELD))
    alive: list[weakref.ReferenceType[Slice]] = []
    most = 0

    def watched(self: StackFolder) -> Iterator[Slice]:
        nonlocal most
        for item, _ in self._slices(None):
            alive.append(weakref.ref(item))
            yield item
            most = max(most, sum(one() is not None for one in alive))

    monkeypatch.setattr(StackFolder, "slices", watched)
    fuse_folder(folder, pipeline())
    assert len(alive) == len(HANDHELD)
    # The first, on whose grid all are brought, and the last few, against which the next is.
    assert most <= 5


def test_each_slice_is_told(tmp_path: Path) -> None:
    told: list[None] = []
    fuse_folder(opened(tmp_path, moving_sweep(HANDHELD)), pipeline(), lambda: told.append(None))
    assert len(told) == len(HANDHELD)


@pytest.mark.parametrize("metric", [False, True])
def test_positions_count_the_images_that_were_left_out(tmp_path: Path, metric: bool) -> None:
    still = moving_sweep([np.eye(3)] * 6)
    if not metric:
        still = [Slice(item.image, None) for item in still]
    black = Slice(np.zeros_like(still[0].image), 0.75 if metric else None)  # between 2 and 3
    expected = fuse_folder(opened(tmp_path / "a", still), pipeline())
    answer = fuse_folder(opened(tmp_path / "b", [*still[:3], black, *still[3:]]), pipeline())
    assert answer.left_out == 1
    index = expected.slice_index
    np.testing.assert_allclose(
        answer.slice_index, np.interp(index, range(6), (0, 1, 2, 4, 5, 6)), atol=1e-5
    )
    if metric:
        np.testing.assert_allclose(answer.depth, expected.depth, rtol=1e-5)


def test_too_few_that_fit_are_too_few(tmp_path: Path) -> None:
    slices = [Slice(seen(np.eye(3)), 1.0), Slice(np.zeros_like(seen(np.eye(3))), 2.0)]
    with pytest.raises(StackFileError, match=r"slice 2 at 2 m left out: .*--align none"):
        fuse_folder(opened(tmp_path, slices), pipeline())


def test_intrinsics_of_another_size_are_refused(tmp_path: Path) -> None:
    slices = moving_sweep(HANDHELD[:3])
    height, width = slices[0].size
    camera = CameraIntrinsics(width, height, 300.0, 300.0, width / 2, height / 2)
    save_stack(tmp_path, FocalStack(slices, camera))
    text = (tmp_path / "stack.yaml").read_text()
    (tmp_path / "stack.yaml").write_text(text.replace(f"width: {width}", f"width: {width + 2}"))
    with pytest.raises(StackFileError, match="intrinsics are for 258x192 px, 000.png is 256x192"):
        fuse_folder(StackFolder.open(tmp_path).near_to_far(), pipeline())
