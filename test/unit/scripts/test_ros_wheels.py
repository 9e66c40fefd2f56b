import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import ros_wheels

CMAKE = """\
set(python "/opt/python/cp312-cp312/bin/python3")
set(headers "/opt/python/cp312-cp312/include/python3.12")
set(modules "/opt/python/cp312-cp312/lib/python3.12/site-packages/rosidl_generator_py")
set(numpy "/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include")
set(other "/opt/something/else")
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    (tmp_path / "share/some_msgs/cmake").mkdir(parents=True)
    (tmp_path / "lib/python3.12/site-packages").mkdir(parents=True)
    return tmp_path


class TestRelocate:
    def test_points_to_this_machine(self, prefix: Path) -> None:
        file = prefix / "share/some_msgs/cmake/export.cmake"
        file.write_text(CMAKE)
        ros_wheels.relocate(prefix, "/numpy/include")
        assert file.read_text().splitlines() == [
            f'set(python "{prefix}/bin/python3")',
            f'set(headers "{sysconfig.get_path("include")}")',
            f'set(modules "{prefix}/lib/python3.12/site-packages/rosidl_generator_py")',
            'set(numpy "/numpy/include")',
            'set(other "/opt/something/else")',
        ]

    def test_twice_is_once(self, prefix: Path) -> None:
        file = prefix / "share/some_msgs/cmake/export.cmake"
        file.write_text(CMAKE)
        ros_wheels.relocate(prefix, "/numpy/include")
        once = file.read_text()
        ros_wheels.relocate(prefix, "/numpy/include")
        assert file.read_text() == once

    def test_leaves_a_cached_original_alone(self, prefix: Path) -> None:
        cached = prefix / "cached.cmake"
        cached.write_text(CMAKE)
        (prefix / "share/some_msgs/cmake/export.cmake").hardlink_to(cached)
        ros_wheels.relocate(prefix, "/numpy/include")
        assert cached.read_text() == CMAKE


def test_local_setup_names_the_prefix_once(tmp_path: Path) -> None:
    ros_wheels.write_local_setup(tmp_path)
    script = f". {tmp_path}/local_setup.bash; . {tmp_path}/local_setup.bash; env"
    environ = {"PATH": "/usr/bin:/bin", "AMENT_PREFIX_PATH": "/opt/ros/jazzy"}
    answer = subprocess.run(
        ["bash", "-euc", script], env=environ, capture_output=True, text=True, check=True
    )
    lines = answer.stdout.splitlines()
    assert f"AMENT_PREFIX_PATH={tmp_path}:/opt/ros/jazzy" in lines
    assert f"CMAKE_PREFIX_PATH={tmp_path}" in lines


def test_environment_of_other_wheels_is_left_behind() -> None:
    inherited = {
        "HOME": "/home/somebody",
        "PATH": "/usr/bin",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
        "LD_LIBRARY_PATH": "/other/.venv/lib",
        "PYTHONPATH": "/other/modules",
        "AMENT_PREFIX_PATH": "/other/.venv",
    }
    environ = ros_wheels.environment(Path("/mine"), inherited)
    assert environ == {
        "HOME": "/home/somebody",
        "PATH": "/mine/bin:/usr/bin",
        "AMENT_PREFIX_PATH": "/mine",
        "CMAKE_PREFIX_PATH": "/mine",
    }


def test_library_path_of_the_user_stays() -> None:
    inherited = {"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}
    environ = ros_wheels.environment(Path("/mine"), inherited)
    assert environ["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64"


@pytest.mark.parametrize(
    ("machine", "version", "lack"),
    [
        ("x86_64", (3, 10), None),
        ("x86_64", (3, 13), None),
        ("x86_64", (3, 14), "not for 3.14"),
        ("x86_64", (3, 9), "not for 3.9"),
        ("aarch64", (3, 12), "not for aarch64"),
    ],
)
def test_where_there_are_wheels(machine: str, version: tuple[int, int], lack: str | None) -> None:
    answer = ros_wheels.lack_of_wheels(machine, version)
    assert answer is None if lack is None else lack in str(answer)


def test_runs_on_the_standard_library_alone() -> None:
    scripts = Path(ros_wheels.__file__).parent
    code = f"import sys; sys.path.insert(0, {str(scripts)!r}); import setup_environment"
    subprocess.run([sys.executable, "-S", "-I", "-c", code], check=True, cwd="/")
