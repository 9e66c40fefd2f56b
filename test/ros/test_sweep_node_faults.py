"""Drivers that refuse, hang, lie, die and come back: `sweep_node` says so and goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import QoSProfile
from ros_harness import Peer
from simulated_drivers import DRIVERS
from sweep_rig import FAR, NEAR, SweepRig, sweep_rig

ERROR = 2
SHORT = {"move_timeout": 1.0, "response_timeout": 1.0}


@pytest.fixture(scope="module")
def rig(
    request: pytest.FixtureRequest, peer: Peer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SweepRig]:
    """One for all faults of a driver that pass; by default v4l2_camera."""
    driver = getattr(request, "param", "v4l2_camera")
    with sweep_rig(peer, driver, tmp_path_factory.mktemp("rig"), steps=4, **SHORT) as rig:
        rig.wait_for_sweeps(1)
        yield rig


def wait_for_error(rig: SweepRig, words: str) -> None:
    rig.wait(
        lambda: rig.diagnostics.level == ERROR and words in rig.diagnostics.message,
        f"an error with the words '{words}'",
    )


def wait_for_recovery(rig: SweepRig) -> None:
    rig.wait_for_sweeps(1)
    rig.wait(lambda: rig.diagnostics.level < ERROR, "the error to be over")
    assert rig.node.exit_code is None


@pytest.mark.parametrize("rig", ["v4l2_camera"], indirect=True)
def test_a_quick_restart_is_seen_by_the_lost_settings(rig: SweepRig) -> None:
    """Or somebody else sets them: either way the camera is set up anew."""
    rig.set(auto_exposure=3)
    wait_for_error(rig, "auto_exposure of /v4l2_camera is 3, it was set to 1: the driver was")
    wait_for_recovery(rig)
    assert rig.get("auto_exposure") == [1]


@pytest.mark.parametrize("rig", ["v4l2_camera"], indirect=True)
def test_limits_that_the_lens_has_not(rig: SweepRig) -> None:
    rig.set("sweep_node", near=0.1)
    rig.wait(
        lambda: "near is 0.1 m, but the lens goes to 0.413 m only" in rig.diagnostics.message,
        "a warning",
    )
    rig.wait_for_sweeps(1)
    assert rig.diagnostics.level == 1
    rig.set("sweep_node", near=NEAR)
    rig.wait(lambda: rig.diagnostics.level == 0, "the warning to be over")
    rig.set("sweep_node", near=0.2, far=0.3)
    wait_for_error(rig, "asked for are 0.2 m to 0.3 m; set near and far within its range")
    rig.set("sweep_node", far=FAR, near=NEAR)
    wait_for_recovery(rig)


@pytest.mark.parametrize(
    ("rig", "fault", "words"),
    [
        pytest.param(
            "v4l2_camera",
            {"sim_refuses": True},
            "/v4l2_camera refuses",
            marks=pytest.mark.slow,  # the same as for usb_cam below
        ),
        ("v4l2_camera", {"sim_reverts": True}, "focus_absolute of /v4l2_camera is 77 after it was"),
        ("usb_cam", {"sim_hangs": 1.5}, "has not answered set_parameters_atomically within 1 s"),
        ("camera_ros", {"sim_stuck": True}, "3 times, but by the frames it is at"),
        pytest.param(
            "camera_ros",
            {"sim_mute": True},
            "no frames on /diagnostics for 1 s",
            marks=pytest.mark.slow,
        ),
    ],
    indirect=["rig"],
)
def test_a_fault_that_passes(rig: SweepRig, fault: dict[str, Any], words: str) -> None:
    rig.set(**fault)
    wait_for_error(rig, words)
    assert words in rig.node.log.read_text(encoding="utf-8")
    rig.set(**{name: type(value)() for name, value in fault.items()})
    wait_for_recovery(rig)


def test_refusals_are_told_with_the_reason_of_the_driver_and_not_too_often(
    peer: Peer, tmp_path: Path
) -> None:
    with sweep_rig(peer, "usb_cam", tmp_path, faults={"refuses": True}, retry_delay=0.05) as rig:
        wait_for_error(rig, "autoexposure = False, auto_white_balance = False: the lens is broken")
        rig.wait(lambda: rig.diagnostics.count("failures") >= 4, "some tries")
        assert rig.node.log.read_text(encoding="utf-8").count("the lens is broken") == 1
        rig.set(sim_refuses=False)
        wait_for_recovery(rig)


@pytest.mark.faults
@pytest.mark.parametrize("driver", list(DRIVERS))
def test_a_driver_killed_in_mid_sweep_and_started_anew(
    peer: Peer, tmp_path: Path, driver: str
) -> None:
    switch = {"camera_ros": "AfMode", "v4l2_camera": "focus_automatic_continuous"}
    with sweep_rig(peer, driver, tmp_path, steps=6, **SHORT) as rig:
        rig.wait(lambda: "3 of 6" in rig.diagnostics.value("stage"), "the middle of a sweep")
        os.kill(rig.driver_process.pid, signal.SIGKILL)
        wait_for_error(rig, "")
        rig.restart_driver()
        wait_for_recovery(rig)
        assert rig.get(switch.get(driver, "autofocus"))[0] in (0, False)
        rig.states.clear()
        rig.wait(lambda: any(state.settled for state in rig.states), "frames that count")
        newest = max(state.sweep_id for state in rig.states if state.settled)
        rig.wait(lambda: len(rig.settled(newest + 1)) >= 6, "one more whole sweep")


def test_no_driver(peer: Peer, tmp_path: Path) -> None:
    with sweep_rig(
        peer,
        "v4l2_camera",
        tmp_path,
        mode="on_demand",
        driver_node="elsewhere",
        response_timeout=1.0,
    ) as rig:
        rig.wait(lambda: rig.states, "frames")
        answer = rig.ask_for_sweep()
        rig.wait(answer.done, "an answer")
        assert not answer.result().success
        assert answer.result().message.startswith("there is no node /elsewhere with parameters")
        wait_for_error(rig, "or set the parameter driver_node to its name")


def test_another_kind_of_driver(peer: Peer, tmp_path: Path) -> None:
    with sweep_rig(peer, "usb_cam", tmp_path, driver="v4l2_camera", driver_node="usb_cam") as rig:
        wait_for_error(rig, "/usb_cam has no parameter focus_absolute; is it the driver that")


@pytest.mark.slow
def test_diagnostics_of_another_camera(peer: Peer, tmp_path: Path) -> None:
    """Two drivers of one kind tell both there."""
    publisher = peer.node.create_publisher(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
    other = DiagnosticStatus(
        level=DiagnosticStatus.OK,
        hardware_id="other",
        values=[KeyValue(key="LensPosition", value="3.0")],
    )

    def send_too(condition: Any) -> Any:
        publisher.publish(DiagnosticArray(status=[other]))
        return condition()

    with sweep_rig(peer, "camera_ros", tmp_path, steps=3) as rig:
        rig.wait(
            lambda: send_too(lambda: "several cameras tell their" in rig.diagnostics.message),
            "an error",
        )
        assert rig.diagnostics.level == ERROR
        assert "/base/i2c/imx708@1a, other; set the parameter hardware_id" in (
            rig.diagnostics.message
        )
    with sweep_rig(peer, "camera_ros", tmp_path, steps=3, hardware_id="/base/i2c/imx708@1a") as rig:
        rig.wait(lambda: send_too(lambda: rig.diagnostics.count("sweeps made") > 1), "sweeps")
        assert rig.diagnostics.level == 0
        assert all(state.header.frame_id == "driver_optical_frame" for state in rig.states)
    peer.node.destroy_publisher(publisher)


def test_interrupt_while_the_driver_is_dead(peer: Peer, tmp_path: Path) -> None:
    with sweep_rig(peer, "v4l2_camera", tmp_path, release_timeout=0.5) as rig:
        rig.wait_for_sweeps(1)
        os.kill(rig.driver_process.pid, signal.SIGSTOP)
        try:
            os.kill(rig.node.pid, signal.SIGINT)
            rig.wait(lambda: rig.node.exit_code is not None, "the node to end")
        finally:
            os.kill(rig.driver_process.pid, signal.SIGCONT)
        assert rig.node.exit_code == 0
        assert "the camera keeps the settings of the sweep" in rig.node.last_words()
