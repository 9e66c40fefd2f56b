"""The launch files, run by the real launch system where there is one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from ros_harness import Peer
from sensor_msgs.msg import Image
from simulated_drivers import raw_lens_map
from std_msgs.msg import Float32

from focdepth_ros.bags.writing import record_camera
from focdepth_ros.lens.lens_map import LensMap, write_lens_map
from focdepth_ros.ros.parameters.sim_camera import SimCameraParameters
from focdepth_ros.simulation import SimulatedCamera, render_random_sweep

ROOT = Path(__file__).parents[2]
RUN_LAUNCH_FILE = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

path, *arguments = sys.argv[1:]
source = PythonLaunchDescriptionSource(path)
given = [argument.split(":=", 1) for argument in arguments]
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given)])
)
sys.exit(service.run())
"""


@pytest.fixture
def peer(domain: int) -> Iterator[Peer]:
    peer = Peer("launch_observer")
    yield peer
    peer.close()


@contextmanager
def launched(file: str, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A launch file at work; ended as by Ctrl-C, with all that it has started."""
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    try:
        path = Path(get_package_share_directory("focdepth_ros"), "launch", file)
    except PackageNotFoundError:
        pytest.skip("focdepth_ros is not installed: launch finds no executables")
    command = [sys.executable, "-c", RUN_LAUNCH_FILE, str(path), *arguments]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            try:
                process.wait(30.0)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def test_simulation_is_launched_in_a_namespace(peer: Peer, tmp_path: Path) -> None:
    small = tmp_path / "camera.yaml"
    settings = {"width": 160, "height": 120, "slices": 5, "seed": 1002}
    small.write_text(yaml.safe_dump({"/**": {"ros__parameters": settings}}), encoding="utf-8")
    depths = peer.collect(Image, "/robot/depth/image")
    log = tmp_path / "launch.log"
    with launched(
        "simulate.launch.py",
        "namespace:=robot",
        f"camera_params_file:={small}",
        "pattern:=ping_pong",
        "image_topic:=eye/image",
        "backend:=argmax",
        log=log,
    ) as process:
        peer.wait_for(lambda: depths or process.poll() is not None, "depth from the nodes")
        assert depths, log.read_text(encoding="utf-8")
        assert (depths[0].width, depths[0].height) == (160, 120)
        peer.wait_for(lambda: peer.node.count_publishers("/robot/eye/image"), "/robot/eye/image")
        camera = peer.get_parameters("/robot/sim_camera_node", "seed", "pattern", "slices")
        assert camera == [1002, "ping_pong", 5]  # from the file, the argument, the file
        depth = peer.get_parameters("/robot/depth_node", "backend", "use_sim_time")
        assert depth == ["argmax", False]
    assert log.read_text(encoding="utf-8").count("process has finished cleanly") == 2


def test_depth_node_is_launched_alone(peer: Peer, tmp_path: Path) -> None:
    log = tmp_path / "launch.log"
    given = ("focus_topic:=/lens/focus", "use_sim_time:=true", "aif_only:=true")
    with launched("depth.launch.py", *given, log=log):
        values = peer.get_parameters("/depth_node", "backend", "use_sim_time", "aif_only")
        assert values == ["auto", True, True]
        peer.wait_for(
            lambda: peer.node.count_subscribers("/lens/focus"), "the node to listen to /lens/focus"
        )
    assert log.read_text(encoding="utf-8").count("process has finished cleanly") == 1


def test_cameras_by_namespace(peer: Peer, tmp_path: Path) -> None:
    small = tmp_path / "camera.yaml"
    settings = {"width": 160, "height": 120, "slices": 5}
    small.write_text(yaml.safe_dump({"/**": {"ros__parameters": settings}}), encoding="utf-8")
    names, log = ("front", "rear"), tmp_path / "launch.log"
    depths = {name: peer.collect(Image, f"/{name}/depth/image") for name in names}
    with launched(
        "two_cameras.launch.py",
        "cameras:=front,rear",
        "simulate:=true",
        "backend:=argmax",
        f"camera_params_file:={small}",
        log=log,
    ):
        # One after the other: four processes have to start, which takes a busy computer a while.
        for name in names:
            peer.wait_for(lambda name=name: depths[name], f"depth of {name}")
    for name in names:
        assert {depth.header.frame_id for depth in depths[name]} == {f"{name}_optical_frame"}
    assert log.read_text(encoding="utf-8").count("process has finished cleanly") == 4


def test_usb_camera_is_launched_with_what_is_given(peer: Peer, tmp_path: Path) -> None:
    log = tmp_path / "launch.log"
    with launched(
        "uvc_camera.launch.py",
        "device:=/dev/video97",
        "mode:=saw_tooth",
        "namespace:=eye",
        log=log,
    ):
        names = ("device", "mode", "slices")
        values = peer.get_parameters("/eye/uvc_camera_node", *names)
        assert values == ["/dev/video97", "saw_tooth", 10]
        peer.wait_for(
            lambda: "'/dev/video97' does not exist" in log.read_text(encoding="utf-8"),
            "the camera to be missed",
        )
    assert log.read_text(encoding="utf-8").count("process has finished cleanly") == 2


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("sensor:=sonar", "sensor is 'sonar'; it must be one of points, scan"),
        ("simulate:=maybe", "simulate is 'maybe'; it must be true or false"),
    ],
)
def test_a_navigation_example_that_cannot_be(tmp_path: Path, argument: str, words: str) -> None:
    pytest.importorskip("tf2_ros", reason="tf2_ros is not installed")
    log = tmp_path / "launch.log"
    with launched("navigation_example.launch.py", argument, log=log) as process:
        assert process.wait(30.0) == 1
    assert words in log.read_text(encoding="utf-8")


def test_missing_packages_are_named(tmp_path: Path) -> None:
    pytest.importorskip("tf2_ros", reason="tf2_ros is not installed")
    with suppress(PackageNotFoundError):
        get_package_share_directory("depthimage_to_laserscan")
        pytest.skip("depthimage_to_laserscan is installed")
    log = tmp_path / "launch.log"
    with launched("navigation_example.launch.py", "sensor:=scan", log=log) as process:
        assert process.wait(30.0) == 1
    assert "package 'depthimage_to_laserscan' is not installed; sudo apt install ros-" in (
        log.read_text(encoding="utf-8")
    )


def test_depth_node_is_launched_for_lens_positions(peer: Peer, tmp_path: Path) -> None:
    log, lens_map = tmp_path / "launch.log", tmp_path / "lens.yaml"
    write_lens_map(lens_map, LensMap((0.0, 255.0), (0.0, 5.0)))
    arguments = ["focus_source:=lens_position", f"lens_map:={lens_map}", "focus_topic:=/lens/raw"]
    positions = peer.node.create_publisher(Float32, "/lens/raw", 10)
    with launched("depth.launch.py", *arguments, log=log):
        values = peer.get_parameters("/depth_node", "focus.source", "focus.lens_map")
        assert values == ["lens_position", str(lens_map)]
        peer.wait_for(positions.get_subscription_count, "the node to listen to /lens/raw")
    assert log.read_text(encoding="utf-8").count("process has finished cleanly") == 1


def recorded(folder: Path) -> Path:
    """A bag of two small sweeps."""
    simulated = render_random_sweep(1003, slices=5, width=160, height=120)
    camera = SimulatedCamera(simulated, frame_rate=15.0)
    record_camera(folder / "bag", camera, depth=simulated.depth, sweeps=2)
    return folder / "bag"


def test_a_replay_ends_by_itself_with_a_report(peer: Peer, tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    log, results = tmp_path / "launch.log", tmp_path / "results"
    with launched(
        "replay.launch.py",
        f"bag:={recorded(tmp_path)}",
        f"output:={results}",
        "namespace:=robot",
        "player:=bag_player_node",
        "backend:=argmax",
        "rate:=0.5",
        "clock:=true",
        log=log,
    ) as process:
        values = peer.get_parameters(
            "/robot/depth_node", "use_sim_time", "min_confidence", "sweep.timeout"
        )
        assert values == [True, 0.0, 2.0]
        process.wait(90.0)
    words = log.read_text(encoding="utf-8")
    assert process.returncode == 0, words
    assert words.count("process has finished cleanly") == 3, words
    assert "2 of 2 evaluated: argmax" in words
    assert f"report: {results / 'report.html'}" in words
    assert (results / "report.html").is_file()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("bag:=/no/such/bag", "/no/such/bag: no such bag"),
        ("rate:=fast", "rate is 'fast'; it must be a number above 0"),
        ("clock:=maybe", "clock is 'maybe'; it must be true or false"),
        ("depth_topic:=/other", "has no messages on /other; it has /camera_info"),
    ],
)
def test_a_replay_that_cannot_be(tmp_path: Path, argument: str, words: str) -> None:
    pytest.importorskip("rosbags")
    log = tmp_path / "launch.log"
    given = {"bag": str(recorded(tmp_path)), "output": str(tmp_path / "results")}
    name, value = argument.split(":=")
    arguments = [f"{key}:={text}" for key, text in {**given, name: value}.items()]
    with launched("replay.launch.py", *arguments, log=log) as process:
        assert process.wait(30.0) == 1
    assert words in log.read_text(encoding="utf-8")


def test_rviz_shows_what_there_is() -> None:
    view = yaml.safe_load((ROOT / "config" / "depth.rviz").read_text(encoding="utf-8"))
    manager = view["Visualization Manager"]
    topics = {item["Topic"]["Value"] for item in manager["Displays"] if "Topic" in item}
    assert topics == {"depth/image", "confidence/image", "all_in_focus/image", "points"}
    assert manager["Global Options"]["Fixed Frame"] == SimCameraParameters().frame_id


DRIVER_PACKAGES = {
    "camera_ros": ("camera_ros", "camera_node", "camera_ros"),
    "v4l2_camera": ("v4l2_camera", "v4l2_camera_node", "v4l2_camera"),
    "usb_cam": ("usb_cam", "usb_cam_node_exe", "usb_cam"),
}


def installed_driver(prefix: Path, package: str, executable: str, simulated: str) -> None:
    """A package with the name of a real driver, whose executable is the simulated one."""
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / package
    program = prefix / "lib" / package / executable
    for path in (marker, program):
        path.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, runpy, sys\n"
        f"os.environ['SIMULATED_DRIVER'] = '{simulated}'\n"
        f"sys.path.insert(0, '{ROOT / 'test' / 'ros'}')\n"
        "runpy.run_module('simulated_drivers', run_name='__main__')\n",
        encoding="utf-8",
    )
    program.chmod(0o755)


@pytest.mark.parametrize("name", list(DRIVER_PACKAGES))
def test_a_driver_is_launched_with_a_sweep_and_depth(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    installed_driver(tmp_path / "prefix", *DRIVER_PACKAGES[name])
    write_lens_map(tmp_path / "lens.yaml", raw_lens_map())
    prefixes = f"{tmp_path / 'prefix'}{os.pathsep}{os.environ.get('AMENT_PREFIX_PATH', '')}"
    monkeypatch.setenv("AMENT_PREFIX_PATH", prefixes)
    depths = peer.collect(Image, "/eye/depth/image")
    log = tmp_path / "launch.log"
    arguments = ["namespace:=eye", "near:=0.5", "far:=3.0", "steps:=5", "backend:=argmax"]
    if name != "camera_ros":
        arguments.append(f"lens_map:={tmp_path / 'lens.yaml'}")
    with launched(f"{name}.launch.py", *arguments, log=log) as process:
        peer.wait_for(lambda: depths or process.poll() is not None, "depth from the nodes")
        assert depths, log.read_text(encoding="utf-8")
        sweep = peer.get_parameters("/eye/sweep_node", "driver", "near", "steps", "mode")
        assert sweep == [name, 0.5, 5, "ping_pong"]
    words = log.read_text(encoding="utf-8")
    assert words.count("process has finished cleanly") == 3, words


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("camera_ros", "camera_ros"),
        ("depthai", "depthai_ros_driver"),
        ("depth", "rviz2"),
        ("navigation_example", "nav2_costmap_2d"),
    ],
)
def test_a_package_that_is_not_installed_is_named_before_anything_is_started(
    tmp_path: Path, file: str, package: str
) -> None:
    with suppress(PackageNotFoundError):
        get_package_share_directory(package)
        pytest.skip(f"{package} is installed")
    if file == "navigation_example":
        pytest.importorskip("tf2_ros", reason="tf2_ros is not installed")
    log = tmp_path / "launch.log"
    arguments = ("rviz:=true",) if file == "depth" else ()
    with launched(f"{file}.launch.py", *arguments, log=log) as process:
        assert process.wait(30.0) == 1
    words = log.read_text(encoding="utf-8")
    assert f"package '{package}' is not installed; sudo apt install ros-" in words
    assert "process started" not in words
