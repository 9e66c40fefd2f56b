"""`sweep_node` on simulated drivers: what it does to them, and what it says of the frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros_harness import Peer
from simulated_drivers import DRIVERS, dioptres_of_raw
from sweep_rig import FAR, NEAR, STEPS, SweepRig, sweep_rig

from focdepth_ros.messages.reading import stamp_of

# Settings as the simulated cameras have them at first.
OWN_SETTINGS = {
    "camera_ros": {"AfMode": 2, "ExposureTimeMode": 0, "AnalogueGainMode": 0},
    "v4l2_camera": {
        "focus_automatic_continuous": True, "auto_exposure": 3, "white_balance_automatic": True,
    },
    "usb_cam": {"autofocus": True, "autoexposure": True, "auto_white_balance": True},
}  # fmt: skip
SWEEP_SETTINGS = {
    "camera_ros": {"AfMode": 0, "ExposureTimeMode": 1, "AnalogueGainMode": 1},
    "v4l2_camera": {
        "focus_automatic_continuous": False, "auto_exposure": 1, "white_balance_automatic": False,
    },
    "usb_cam": {"autofocus": False, "autoexposure": False, "auto_white_balance": False},
}  # fmt: skip


def settings(rig: SweepRig) -> dict[str, Any]:
    names = list(OWN_SETTINGS[rig.driver])
    return dict(zip(names, rig.get(*names), strict=True))


@pytest.fixture(scope="module", params=list(DRIVERS))
def swept(
    request: pytest.FixtureRequest, peer: Peer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SweepRig, dict[str, Any], int]]:
    """Sweeps there and back, the settings in the midst of them, and the exit code."""
    with sweep_rig(peer, request.param, tmp_path_factory.mktemp("rig")) as rig:
        rig.wait_for_whole_sweeps(STEPS)
        during = settings(rig)
        code = rig.node.stop()
        rig.wait(lambda: settings(rig) == OWN_SETTINGS[rig.driver], "the settings to be back")
        yield rig, during, code


Swept = tuple[SweepRig, dict[str, Any], int]


def test_frames_that_count_show_what_is_said_of_them(swept: Swept) -> None:
    rig, _, _ = swept
    pairs = rig.settled_with_truth()
    assert len(pairs) >= 2 * STEPS
    said = np.array([1.0 / state.focus_distance for state, _ in pairs])
    true = np.array([1.0 / truth.focus_distance for _, truth in pairs])
    np.testing.assert_allclose(said, true, atol=0.003)


def test_other_frames_are_said_to_be_moving(swept: Swept) -> None:
    rig, _, _ = swept
    counted = sum(state.settled for state in rig.states)
    assert 0 < counted < len(rig.states) / 2
    assert len({(s.header.stamp.sec, s.header.stamp.nanosec) for s in rig.states}) == len(
        rig.states
    )


def test_sweeps_are_whole_uniform_and_go_there_and_back(swept: Swept) -> None:
    rig, _, _ = swept
    expected = np.linspace(1.0 / NEAR, 1.0 / FAR, STEPS)
    # The step of a raw position is 0.008 dioptres.
    for sweep_id in rig.wait_for_whole_sweeps(STEPS):
        wanted = expected if sweep_id % 2 else expected[::-1]
        sweep = rig.settled(sweep_id)
        assert [state.sweep_step for state in sweep] == list(range(STEPS))
        assert {state.sweep_size for state in sweep} == {STEPS}
        np.testing.assert_allclose([1.0 / s.focus_distance for s in sweep], wanted, atol=0.005)
        assert {state.header.frame_id for state in sweep} == {"driver_optical_frame"}


def test_positions_are_in_the_unit_of_the_driver(swept: Swept) -> None:
    rig, _, _ = swept
    state = rig.settled(rig.wait_for_whole_sweeps(STEPS)[0])[3]
    if rig.driver == "camera_ros":
        assert state.lens_position_unit == "dioptre"
        assert state.lens_position == pytest.approx(1.0 / state.focus_distance)
    else:
        assert state.lens_position_unit == "raw"
        dioptres = dioptres_of_raw(state.lens_position)
        assert dioptres == pytest.approx(1.0 / state.focus_distance, abs=0.002)


def test_exposure_stands_still_during_the_sweep(swept: Swept) -> None:
    rig, during, _ = swept
    assert during == SWEEP_SETTINGS[rig.driver]
    # The automatic of the simulated cameras wanders by 30 %.
    gains = [truth.lens_position for state, truth in rig.settled_with_truth() if state.sweep_id > 1]
    assert np.ptp(gains) < 0.001


def test_interrupt_gives_the_settings_back(swept: Swept) -> None:
    rig, _, code = swept
    assert code == 0
    log = rig.node.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert "WARN" not in log
    assert "previous parameters" not in rig.driver_process.log.read_text(encoding="utf-8")


def test_without_settling_it_would_be_wrong(peer: Peer, tmp_path: Path) -> None:
    """So that the tests above are known to see a frame taken too early."""
    with sweep_rig(
        peer, "v4l2_camera", tmp_path, settle_time=0.0, settle_frames=0, mode="saw_tooth"
    ) as rig:
        rig.wait(
            lambda: any(
                abs(1.0 / state.focus_distance - 1.0 / truth.focus_distance) > 0.05
                for state, truth in rig.settled_with_truth()
            ),
            "a frame that was taken too early",
        )


def test_modes_change_while_it_runs(peer: Peer, tmp_path: Path) -> None:
    with sweep_rig(peer, "v4l2_camera", tmp_path, mode="saw_tooth", steps=4) as rig:
        for sweep_id in rig.wait_for_whole_sweeps(4):  # always near to far
            distances = [state.focus_distance for state in rig.settled(sweep_id)]
            assert distances == sorted(distances)
            assert len(distances) == 4
        assert rig.set("sweep_node", mode="paused")[0].successful
        rig.wait(lambda: settings(rig) == OWN_SETTINGS["v4l2_camera"], "the settings to be back")
        rig.wait(lambda: rig.diagnostics.value("stage") == "idle", "the end of the sweep")
        made = rig.diagnostics.count("sweeps made")
        now = time.time_ns()  # states that were sent earlier may come still

        def since_then() -> list[Any]:
            return [state for state in rig.states if stamp_of(state.header) > now]

        rig.wait(lambda: len(since_then()) > 20, "frames")
        assert not any(state.settled for state in since_then())
        assert {state.sweep_id for state in since_then()} == {0}
        assert rig.diagnostics.count("sweeps made") == made
        assert rig.set("sweep_node", mode="ping_pong", steps=3)[0].successful
        settled = rig.wait(
            lambda: [s for s in since_then() if s.settled][3:], "frames of a second sweep"
        )
        assert {state.sweep_size for state in settled} == {3}
        refused = rig.set("sweep_node", mode="sometimes")[0]
        assert not refused.successful
        assert "must be one of ping_pong, saw_tooth, on_demand, paused" in refused.reason
        assert not rig.set("sweep_node", near=5.0)[0].successful  # beyond far


def test_sweep_on_demand(peer: Peer, tmp_path: Path) -> None:
    with sweep_rig(
        peer, "camera_ros", tmp_path, mode="on_demand", steps=3, frames_per_step=2
    ) as rig:
        rig.wait(lambda: len(rig.states) > 5, "frames")
        assert settings(rig) == OWN_SETTINGS["camera_ros"]
        assert not any(state.settled for state in rig.states)
        first, second = rig.ask_for_sweep(), rig.ask_for_sweep()
        rig.wait(lambda: first.done() and second.done(), "both answers")
        assert first.result().success
        assert first.result().message.startswith("sweep 1: 3 focus distances from 0.5 m to 3 m in")
        sweep = rig.wait(lambda: rig.settled(1)[5:] and rig.settled(1), "all its frames")
        assert [state.sweep_step for state in sweep] == list(range(6))
        assert {state.sweep_size for state in sweep} == {6}
        positions = [round(state.lens_position, 2) for state in sweep]
        assert [len(list(same)) for _, same in groupby(positions)] == [2, 2, 2]
        rig.wait(lambda: settings(rig) == OWN_SETTINGS["camera_ros"], "the settings to be back")
        assert rig.set("sweep_node", mode="paused")[0].successful
        refused = rig.ask_for_sweep()
        rig.wait(refused.done, "an answer")
        assert not refused.result().success
        assert refused.result().message.startswith("the mode is paused; set the parameter mode")


def test_request_is_answered_when_the_mode_is_paused(peer: Peer, tmp_path: Path) -> None:
    with sweep_rig(peer, "v4l2_camera", tmp_path, mode="on_demand", steps=50) as rig:
        rig.wait(lambda: rig.states, "frames")
        answer = rig.ask_for_sweep()
        rig.wait(lambda: any(state.settled for state in rig.states), "the sweep to begin")
        rig.set("sweep_node", mode="paused")
        rig.wait(answer.done, "an answer")
        assert (answer.result().success, answer.result().message) == (
            False,
            "the mode was set to paused",
        )
        rig.wait(lambda: rig.diagnostics.count("sweeps broken off") == 1, "the sweep to end")


def test_settings_of_the_user_are_left_alone(peer: Peer, tmp_path: Path) -> None:
    """A position that was set by hand comes back, an exposure that was locked stays so."""
    with sweep_rig(
        peer, "v4l2_camera", tmp_path, mode="paused", steps=3, lock_white_balance=False
    ) as rig:
        rig.set(focus_automatic_continuous=False)
        rig.set(focus_absolute=123, auto_exposure=1)
        rig.set("sweep_node", mode="saw_tooth")
        rig.wait_for_sweeps(1)
        assert rig.get("auto_exposure", "white_balance_automatic") == [1, True]
        assert rig.get("focus_absolute") != [123]
        rig.node.stop()
        names = ("focus_absolute", "focus_automatic_continuous", "auto_exposure")
        assert rig.get(*names) == [123, False, 1]


def test_without_lens_map_it_sweeps_over_all_positions(peer: Peer, tmp_path: Path) -> None:
    """The sweeps that a lens map is measured from, and all-in-focus images are made of."""
    with sweep_rig(
        peer, "v4l2_camera", tmp_path, lens_map="", mode="saw_tooth", near=0.0, far=0.0
    ) as rig:
        for sweep_id in rig.wait_for_whole_sweeps(STEPS):
            sweep = rig.settled(sweep_id)
            assert [state.lens_position for state in sweep] == [255.0, 170.0, 85.0, 0.0]
            assert {state.lens_position_unit for state in sweep} == {"raw"}
            assert all(np.isnan(state.focus_distance) for state in sweep)
        rig.wait(lambda: "there is no lens_map" in rig.diagnostics.message, "the warning")
        assert rig.diagnostics.value("sweep") == "lens positions from 255 to 0 raw"


def test_a_focus_that_goes_in_steps(peer: Peer, tmp_path: Path) -> None:
    """As that of many webcams; the driver refuses what is between."""
    with sweep_rig(
        peer, "v4l2_camera", tmp_path, faults={"focus_step": 5}, mode="saw_tooth"
    ) as rig:
        for sweep_id in rig.wait_for_whole_sweeps(STEPS):
            positions = [state.lens_position for state in rig.settled(sweep_id)]
            assert len(set(positions)) == STEPS
            assert all(position % 5.0 == 0.0 for position in positions)
        assert rig.diagnostics.count("failures") == 0


@pytest.mark.parametrize("frames", ["camera_info", pytest.param("image", marks=pytest.mark.slow)])
def test_frames_from_another_topic(peer: Peer, tmp_path: Path, frames: str) -> None:
    """As for a camera_ros without diagnostics, by time alone."""
    with sweep_rig(
        peer,
        "camera_ros",
        tmp_path,
        remappings={"image_raw": "/camera/image_raw", "camera_info": "/camera/camera_info"},
        frames=frames,
        settle_time=0.5,
        steps=3,
    ) as rig:
        for state, truth in rig.wait(lambda: rig.settled_with_truth()[3:], "two sweeps"):
            assert state.focus_distance == pytest.approx(truth.focus_distance, rel=0.003)
