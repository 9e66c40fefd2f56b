"""Alignment by what is given: a calibration of focus breathing, flow fields from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_motion import SIZE, interior_difference, moving_sweep, seen, similarity

from focdepth_ros.alignment import Aligner, AlignmentRun
from focdepth_ros.errors import AlignmentError
from focdepth_ros.registration.config import AlignmentConfig
from focdepth_ros.registration.scale import scaling
from focdepth_ros.stack import CameraIntrinsics, Slice

STILL = [np.eye(3)] * 6
SHIFTS = [(0.0, 0.0), (4.0, 2.0), (8.0, 4.0), (12.0, 6.0)]


def run_with(method: str, **options: Any) -> AlignmentRun:
    return Aligner(AlignmentConfig(method=method, **options)).start()


def constant_flow(shift: tuple[float, float]) -> NDArray[np.float32]:
    return np.full((*SIZE, 2), shift, np.float32)


@pytest.mark.parametrize("by_table", [False, True])
def test_breathing_is_undone_by_calibration(by_table: bool) -> None:
    camera = CameraIntrinsics(SIZE[1], SIZE[0], 300.0, 300.0, 120.0, 100.0)
    options: dict[str, Any] = {"breathing": 0.05}
    if by_table:
        options = {"breathing_table": "0:1,2:1.1"}
    run = Aligner(AlignmentConfig(method="scale", **options)).start(camera)
    first = Slice(seen(np.eye(3)), 1.0, lens_position=1.0)
    grown = scaling(1.1 / 1.05, (120.0, 100.0))
    second = Slice(seen(grown), 0.5, lens_position=2.0)
    assert run.add(first) is first
    assert interior_difference(run.add(second), first) < 2.0
    matrix = run.motion_of(second).matrix
    assert matrix[0, 0] == pytest.approx(1.1 / 1.05)
    np.testing.assert_allclose(matrix @ (120.0, 100.0, 1.0), (120.0, 100.0, 1.0))


@pytest.mark.parametrize(
    ("options", "item", "message"),
    [
        ({"breathing": 0.05}, Slice(seen(np.eye(3)), None), "has no focus distance"),
        ({"breathing": -2.0}, Slice(seen(np.eye(3)), 0.5), "gives the image scale -3"),
        ({"breathing_table": "0:1"}, Slice(seen(np.eye(3)), 1.0), "lens position None"),
    ],
)
def test_what_scale_cannot_do_is_named(options: Any, item: Slice, message: str) -> None:
    run = run_with("scale", **options)
    run.add(Slice(seen(np.eye(3)), 4.0, lens_position=1.0))
    with pytest.raises(AlignmentError, match=message):
        run.add(item)


def test_external_flow_is_applied_and_its_holes_do_not_vote(tmp_path: Path) -> None:
    slices = moving_sweep([np.eye(3), similarity(shift=(4.0, 2.0)), np.eye(3)])
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[...] = 4.0, 2.0
    flow[50:60, 70:90] = np.nan
    np.save(tmp_path / "flow_1.npy", flow)
    run = run_with("external", flow_path=str(tmp_path))
    assert run.add(slices[0]) is slices[0]
    aligned = run.add(slices[1])
    assert interior_difference(aligned, moving_sweep(STILL)[1]) < 2.0
    assert aligned.valid_mask is not None
    assert not aligned.valid_mask[50:60, 70:90].any()
    assert aligned.valid_mask[:45, :-10].all()
    with pytest.raises(AlignmentError, match="holds 1 flow fields, this slice needs number 2"):
        run.add(slices[2])


def test_external_flow_of_another_size_leaves_the_slice_out(tmp_path: Path) -> None:
    slices = moving_sweep(STILL)
    np.save(tmp_path / "1.npy", np.zeros((10, 20, 2), np.float32))
    np.save(tmp_path / "2.npy", np.zeros((*SIZE, 2), np.float32))
    run = run_with("external", flow_path=str(tmp_path))
    run.add(slices[0])
    with pytest.raises(AlignmentError, match=r"1.npy has shape \(10, 20, 2\)"):
        run.add(slices[1])
    assert run.add(slices[2]).valid_mask is None


@pytest.mark.parametrize("breathing", [0.4, -0.3])
def test_a_wrong_calibration_leaves_slices_out_rather_than_warped(breathing: float) -> None:
    run = run_with("scale", breathing=breathing)
    first, second = Slice(seen(np.eye(3)), 1.0), Slice(seen(np.eye(3)), 0.8)
    run.add(first)
    with pytest.raises(AlignmentError, match=r"after alignment by scale only \d+ % of what can"):
        run.add(second)


@pytest.mark.parametrize("first_is_black", [False, True])
def test_flow_leads_to_the_grid_of_the_first_slice_also_without_it(
    tmp_path: Path, first_is_black: bool
) -> None:
    slices = moving_sweep([similarity(shift=shift) for shift in SHIFTS])
    for number, shift in enumerate(SHIFTS[1:], start=1):
        np.save(tmp_path / f"{number}.npy", constant_flow(shift))
    run = run_with("external", flow_path=str(tmp_path))
    if first_is_black:
        with pytest.raises(AlignmentError, match="black"):
            run.add(Slice(np.zeros_like(slices[0].image), 0.5))
    else:
        run.add(slices[0])
    for item, still in zip(slices[1:], moving_sweep([np.eye(3)] * 4)[1:], strict=True):
        assert interior_difference(run.add(item), still) < 2.0
    assert run.remarks == ()


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (constant_flow((0.0, 30.0)), "only . % of what can be seen matches the slice before"),
        (constant_flow((1e4, 0.0)), "leaves 0 % of the image in view"),
    ],
)
def test_flow_that_does_not_fit_leaves_its_slice_out(
    tmp_path: Path, flow: NDArray[np.float32], message: str
) -> None:
    slices = moving_sweep(STILL)
    np.save(tmp_path / "1.npy", flow)
    np.save(tmp_path / "2.npy", constant_flow((0.0, 0.0)))
    np.save(tmp_path / "3.npy", constant_flow((0.0, 0.0)))
    run = run_with("external", flow_path=str(tmp_path))
    run.add(slices[0])
    with pytest.raises(AlignmentError, match=message):
        run.add(slices[1])
    np.testing.assert_array_equal(run.add(slices[2]).image, slices[2].image)
    assert len(run.remarks) == 1
    assert "holds 3 flow fields for 3 slices" in run.remarks[0]


def test_what_a_flo_file_marks_as_unknown_is_not_known(tmp_path: Path) -> None:
    flow = constant_flow((0.0, 0.0))
    flow[:20] = 1.666666752e9
    header = np.float32(202021.25).tobytes() + np.array(SIZE[::-1], "<i4").tobytes()
    (tmp_path / "1.flo").write_bytes(header + flow.tobytes())
    slices = moving_sweep(STILL)
    run = run_with("external", flow_path=str(tmp_path))
    run.add(slices[0])
    mask = run.add(slices[1]).valid_mask
    assert mask is not None
    assert not mask[:20].any()
    assert mask[20:].all()
