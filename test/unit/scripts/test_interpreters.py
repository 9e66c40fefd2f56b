import os
import sys
from pathlib import Path

import pytest
from interpreters import choose_python, sourced_ros
from setup_tools import ROOT, SetupError


def make_ros(prefix: Path) -> Path:
    """What an installed ROS 2 looks like to ament."""
    index = prefix / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    (index / "rclpy").touch()
    return prefix


class TestSourcedRos:
    def test_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
        assert sourced_ros() == []

    def test_installed_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        ros = make_ros(tmp_path / "jazzy")
        monkeypatch.setenv("AMENT_PREFIX_PATH", f"/home/somebody/install/more:{ros}")
        assert sourced_ros() == [Path("/home/somebody/install/more"), ros]

    def test_this_checkout_does_not_count(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ros = make_ros(tmp_path / "jazzy")
        own = f"{ROOT}/install/focdepth_ros:{ROOT}/.venv"
        monkeypatch.setenv("AMENT_PREFIX_PATH", own)
        assert sourced_ros() == []
        monkeypatch.setenv("AMENT_PREFIX_PATH", f"{own}:{ros}")
        assert sourced_ros() == [ros]

    def test_wheels_of_another_environment_do_not_count(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ros = make_ros(tmp_path / "venv")
        (ros / "pyvenv.cfg").touch()
        monkeypatch.setenv("AMENT_PREFIX_PATH", str(ros))
        assert sourced_ros() == []


class TestChoosePython:
    @pytest.fixture(autouse=True)
    def _asked_for_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PYTHON", raising=False)

    def test_previous_one_is_kept(self) -> None:
        base = getattr(sys, "_base_executable", sys.executable)
        python = choose_python([], previous=base)
        assert os.path.samefile(python.path, base)
        assert python.version == sys.version_info[:2]

    def test_environment_gives_what_it_was_made_from(self) -> None:
        python = choose_python([], previous=sys.executable)
        assert os.path.samefile(python.path, getattr(sys, "_base_executable", sys.executable))

    def test_one_that_does_not_run_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHON", "/no/such/python")
        with pytest.raises(SetupError, match="PYTHON=/no/such/python does not run") as caught:
            choose_python([], previous=None)
        assert "to do: name one (make setup PYTHON=" in str(caught.value)

    def test_one_without_wheels_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = tmp_path / "python3"
        facts = (
            '{"path": "/old/python3", "version": [3, 9], "machine": "x86_64",'
            ' "has_ensurepip": true, "has_headers": true, "has_rclpy": false}'
        )
        old.write_text(f"#!/bin/sh\necho '{facts}'\n")
        old.chmod(0o755)
        monkeypatch.setenv("PYTHON", str(old))
        with pytest.raises(SetupError, match=f"{old}: ROS 2 wheels exist for .*, not for 3.9"):
            choose_python([], previous=None)

    def test_one_that_lacks_the_rclpy_of_the_sourced_ros_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = tmp_path / "python3"
        facts = (
            '{"path": "/other/python3", "version": [3, 12], "machine": "aarch64",'
            ' "has_ensurepip": true, "has_headers": true, "has_rclpy": false}'
        )
        other.write_text(f"#!/bin/sh\necho '{facts}'\n")
        other.chmod(0o755)
        monkeypatch.setenv("PYTHON", str(other))
        with pytest.raises(SetupError, match=f"{other} cannot import the rclpy of the sourced"):
            choose_python([make_ros(tmp_path / "jazzy")], previous=None)
