"""Which calibration of a bag is that of the camera, and what can be done without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import run

pytest.importorskip("rosbags")

from bag_copies import SLICES
from rosbags.rosbag2 import Reader, Writer

from focdepth_ros.bags import message_types as types
from focdepth_ros.bags.sweeps import find_sweeps
from focdepth_ros.bags.writing import GROUND_TRUTH, IMAGES, INFOS, STATES
from focdepth_ros.simulation import SimulatedStack
from focdepth_ros.stack_folder.reading import StackFolder


def renamed(source: Path, path: Path, names: dict[str, str]) -> Path:
    """A copy in which some topics have other names, and those without one are left out."""
    store = types.message_types()
    with Reader(source) as reader, Writer(path, version=8) as writer:
        connections = {
            c.topic: writer.add_connection(names[c.topic], c.msgtype, typestore=store)
            for c in reader.connections
            if c.topic in names
        }
        for connection, stamp, data in reader.messages():
            if connection.topic in names:
                writer.write(connections[connection.topic], stamp, data)
    return path


@pytest.mark.parametrize("info", ["/camera/camera_info", "/camera_info", "/elsewhere/info"])
def test_the_calibration_is_beside_the_images_or_the_states_or_the_only_one(
    whole: Path, simulated: SimulatedStack, tmp_path: Path, info: str
) -> None:
    names = {IMAGES: "/camera/image_raw", STATES: "/focus_state", INFOS: info}
    contents = find_sweeps(renamed(whole, tmp_path / "bag", names))
    stack, _ = contents.load(contents.sweeps[0])
    assert stack.intrinsics is not None
    assert stack.intrinsics.fx == simulated.stack.intrinsics.fx


def test_without_calibration_stacks_are_written_and_clouds_named(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = renamed(whole, tmp_path / "bag", {name: name for name in (IMAGES, STATES)})
    arguments = ("--clouds", "--backend", "argmax")
    assert run("bag", "convert", bag, tmp_path / "out", *arguments) == 1
    said = capsys.readouterr()
    assert "2 of 2 sweeps of" in said.out
    assert "sweep_0001/cloud.ply: neither camera intrinsics nor lens are known" in said.err
    assert len(StackFolder.open(tmp_path / "out" / "sweep_0001").images) == SLICES
    assert not (tmp_path / "out" / "sweep_0001" / "cloud.ply").exists()


@pytest.mark.parametrize("picture", ["image_raw", "depth"])
def test_that_of_another_camera_is_not_taken(whole: Path, tmp_path: Path, picture: str) -> None:
    """It would be wrong in silence, where its images are as large."""
    names = {IMAGES: "/camera/image_raw", STATES: "/camera/focus_state", INFOS: "/other/info"}
    bag = renamed(whole, tmp_path / "bag", {**names, GROUND_TRUTH: f"/other/{picture}"})
    contents = find_sweeps(bag)
    stack, _ = contents.load(contents.sweeps[0])
    assert stack.intrinsics is None
