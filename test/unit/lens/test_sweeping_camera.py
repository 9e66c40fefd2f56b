"""What is done to a camera, frame by frame, and what its frames are said to be."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest
from simulated_uvc_device import LENS_MAP, SimulatedUvcDevice

from focdepth_ros.errors import CameraDeviceError
from focdepth_ros.lens.camera_device import Control, DeviceSettings
from focdepth_ros.lens.focus_schedule import LensUnit, PositionGrid, plan_focus
from focdepth_ros.lens.sweeping_camera import SweepingCamera, SweepTiming, SweptFrame

POSITIONS = (200.0, 150.0, 100.0, 50.0)
FAST = DeviceSettings("simulated", frame_rate=1e6)
TIMING = SweepTiming(settle_frames=4, jump_settle_frames=7, adapt_period=0.0)

Report = tuple[str, str]


def camera_on(
    device: SimulatedUvcDevice, reports: list[Report] | None = None, **options: object
) -> SweepingCamera:
    device.open()
    arguments: dict[str, object] = {
        "positions": POSITIONS, "mode": "ping_pong", "timing": TIMING, **options,
    }  # fmt: skip
    collected = [] if reports is None else reports

    def report(reason: str, text: str) -> None:
        collected.append((reason, text))

    return SweepingCamera(device, report=report, **arguments)  # type: ignore[arg-type]


def settled(camera: SweepingCamera, count: int) -> list[SweptFrame]:
    return list(islice((frame for frame in camera.frames() if frame.settled), count))


def steps(frames: list[SweptFrame]) -> list[tuple[int, int, float]]:
    return [(frame.sweep_id, frame.sweep_step, frame.position) for frame in frames]


def test_to_and_fro() -> None:
    frames = settled(camera_on(SimulatedUvcDevice(FAST)), 9)
    assert steps(frames) == [
        *[(1, i, position) for i, position in enumerate(POSITIONS)],
        *[(2, i, position) for i, position in enumerate(POSITIONS[::-1])],
        (3, 0, 200.0),
    ]
    assert {frame.sweep_size for frame in frames} == {4}


def test_always_from_near_to_far() -> None:
    frames = settled(camera_on(SimulatedUvcDevice(FAST), mode="saw_tooth", first_id=7), 8)
    assert steps(frames) == [
        (number, i, position) for number in (7, 8) for i, position in enumerate(POSITIONS)
    ]


@pytest.mark.parametrize("mode", ["ping_pong", "saw_tooth"])
def test_the_lens_stands_where_the_frame_says(mode: str) -> None:
    device = SimulatedUvcDevice(FAST, delay=2, slew=40.0)
    frames = camera_on(device, mode=mode).frames()
    seen = 0
    while seen < 12:
        frame = next(frames)
        if frame.settled:
            assert device.lens == frame.position
            seen += 1


def test_a_camera_whose_focus_goes_in_steps_stands_at_every_stop() -> None:
    device = SimulatedUvcDevice(FAST, step=5.0)
    plan = plan_focus(LensUnit(LENS_MAP.range, PositionGrid(5.0), LENS_MAP), 0.5, 4.0, 10)
    reports: list[Report] = []
    frames = settled(camera_on(device, reports, positions=plan.positions, mode="saw_tooth"), 20)
    assert {frame.sweep_id for frame in frames} == {1, 2}
    assert tuple(frame.position for frame in frames[:10]) == plan.positions
    assert len(set(plan.positions)) == 10
    assert not reports


def test_too_few_settle_frames_show() -> None:
    """The test above can fail: here the lens takes longer than it is given."""
    device = SimulatedUvcDevice(FAST, delay=5, slew=40.0)
    frames = camera_on(device).frames()
    assert any(frame.settled and device.lens != frame.position for frame in islice(frames, 40))


def test_a_turn_needs_no_settling() -> None:
    frames = list(islice(camera_on(SimulatedUvcDevice(FAST)).frames(), 8 + 3 * 5 + 1))
    assert [frame.settled for frame in frames[-2:]] == [True, True]  # both at 50


def test_automatics_are_off_in_sweeps_and_given_back() -> None:
    device = SimulatedUvcDevice(FAST)
    before = dict(device.controls)
    frames = camera_on(device).frames()
    next(frames)
    automatics = (Control.AUTO_FOCUS, Control.AUTO_EXPOSURE, Control.AUTO_WHITE_BALANCE)
    assert [device.controls[control] for control in automatics] == [0.0, 0.0, 0.0]
    frames.close()
    assert [device.controls[control] for control in automatics] == [
        before[control] for control in automatics
    ]


def test_what_was_off_before_stays_off() -> None:
    device = SimulatedUvcDevice(FAST)
    device.controls[Control.AUTO_EXPOSURE] = 0.0
    frames = camera_on(device).frames()
    next(frames)
    frames.close()
    assert device.controls[Control.AUTO_EXPOSURE] == 0.0
    assert (Control.AUTO_EXPOSURE, 0.0) not in device.history


def test_exposure_is_left_alone_on_request() -> None:
    device = SimulatedUvcDevice(FAST)
    frames = camera_on(device, lock=False).frames()
    next(frames)
    assert device.controls[Control.AUTO_EXPOSURE] == 3.0
    assert device.controls[Control.AUTO_FOCUS] == 0.0


def test_exposure_adapts_now_and_then() -> None:
    device = SimulatedUvcDevice(FAST)
    timing = SweepTiming(settle_frames=0, jump_settle_frames=0, adapt_period=1e-9, adapt_frames=3)
    frames = list(islice(camera_on(device, timing=timing).frames(), 4 + 3 + 4))
    assert [frame.settled for frame in frames] == [True] * 4 + [False] * 3 + [True] * 4
    exposures = [value for control, value in device.history if control is Control.AUTO_EXPOSURE]
    assert exposures[:3] == [0.0, 3.0, 0.0]


def test_the_mode_changes_in_the_middle_of_a_sweep() -> None:
    device = SimulatedUvcDevice(FAST)
    camera = camera_on(device)
    frames = camera.frames()
    first = next(frame for frame in frames if frame.sweep_step == 2)
    camera.mode = "paused"
    still = [next(frames) for _ in range(5)]
    assert [(frame.sweep_id, frame.settled) for frame in still] == [(0, False)] * 5
    assert {frame.position for frame in still} == {first.position}
    assert device.controls[Control.AUTO_EXPOSURE] == 3.0
    camera.mode = "saw_tooth"
    again = next(frame for frame in frames if frame.settled)
    assert (again.sweep_id, again.sweep_step, again.position) == (2, 0, 200.0)
    assert device.controls[Control.AUTO_EXPOSURE] == 0.0


def test_a_camera_without_a_focus_motor() -> None:
    device = SimulatedUvcDevice(FAST)
    device.set = lambda control, value: control is not Control.FOCUS  # type: ignore[method-assign]
    with pytest.raises(CameraDeviceError, match="refuses focus position 200; does it have a focus"):
        next(camera_on(device).frames())


@pytest.mark.parametrize(
    ("told", "is_settled", "complaints"),
    [
        (lambda position: float("nan"), True, 0),  # it tells nothing
        (lambda position: position + 10.0, True, 0),  # rounded to its own steps
        (lambda position: 0.0, False, 1),
    ],
)
def test_read_back(told: Callable[[float], float], is_settled: bool, complaints: int) -> None:
    device = SimulatedUvcDevice(FAST)
    get = device.get

    def read_back(control: Control) -> float:
        return told(get(control)) if control is Control.FOCUS else get(control)

    device.get = read_back  # type: ignore[method-assign]
    reports: list[Report] = []
    frames = camera_on(device, reports).frames()
    arrived = next(islice(frames, TIMING.jump_settle_frames, None))
    assert arrived.settled == is_settled
    assert arrived.position == (200.0 if told(1.0) != told(1.0) else told(200.0))
    assert len(reports) == complaints
    assert all("set to 200 and the camera says 0" in text for _, text in reports)
