import os
import shutil
import venv
from pathlib import Path

import pytest
import virtual_environment
from setup_tools import SetupError

MADE_FOR = {"place": "here", "python": "/usr/bin/python3", "version": "python3.12", "ros": []}
STAMP = {**MADE_FOR, "contents": "abc", "distributions": ["thing"]}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment with one package in it that pip could have installed."""
    place = tmp_path / ".venv"
    venv.create(place, symlinks=True)
    site_packages = next(place.glob("lib/python3*/site-packages"))
    (site_packages / "thing-1.0.dist-info").mkdir()
    (site_packages / "thing.py").touch()
    (place / "share").mkdir()
    (place / "share/thing.cmake").touch()
    record = "thing.py,sha256=x,0\n../../../share/thing.cmake,,\n__pycache__/thing.pyc,,\n"
    (site_packages / "thing-1.0.dist-info/RECORD").write_text(record)
    monkeypatch.setattr(virtual_environment, "VENV", place)
    monkeypatch.setattr(virtual_environment, "PYTHON", place / "bin/python3")
    return place


def problem(stamp: dict[str, object], made_for: dict[str, object] = MADE_FOR) -> str | None:
    return virtual_environment._problem(stamp, made_for, os.environ)


def test_whole_one_is_kept(made: Path) -> None:
    assert problem(STAMP) is None


def test_lost_module_is_noticed(made: Path) -> None:
    next(made.glob("lib/python3*/site-packages/thing.py")).unlink()
    assert "is damaged (1 of its packages or files are lost, thing.py" in str(problem(STAMP))


def test_lost_data_file_is_noticed(made: Path) -> None:
    (made / "share/thing.cmake").unlink()
    assert "share/thing.cmake" in str(problem(STAMP))


def test_lost_package_is_noticed(made: Path) -> None:
    next(made.glob("lib/python3*/site-packages/thing-1.0.dist-info/RECORD")).unlink()
    next(made.glob("lib/python3*/site-packages/thing-1.0.dist-info")).rmdir()
    assert "lost, thing for one" in str(problem(STAMP))


def test_lost_library_is_noticed(made: Path) -> None:
    shutil.rmtree(made / "lib")
    assert "is damaged" in str(problem(STAMP))


def test_lost_interpreter_is_noticed(made: Path) -> None:
    (made / "bin/python3").unlink()
    assert problem(STAMP) == "is damaged (its interpreter does not run)"


def test_interrupted_one_is_noticed(made: Path) -> None:
    assert problem(dict(MADE_FOR)) == "was not finished"


@pytest.mark.parametrize(
    "change",
    [{"place": "there"}, {"python": "/opt/python3"}, {"version": "python3.13"}, {"ros": ["/opt"]}],
)
def test_one_for_something_else_is_noticed(made: Path, change: dict[str, object]) -> None:
    assert "was made for another" in str(problem(STAMP, {**MADE_FOR, **change}))


def test_one_of_somebody_else_is_not_touched(made: Path) -> None:
    with pytest.raises(SetupError, match="was not made by make setup") as caught:
        problem({})
    assert f"rm -r {made}" in str(caught.value)


def test_remains_without_interpreter_are_nobodys(made: Path) -> None:
    (made / "bin/python3").unlink()
    assert problem({}) == "is damaged (no interpreter in it runs)"


def test_numpy_and_opencv_of_the_system_are_kept(made: Path) -> None:
    site_packages = next(made.glob("lib/python3*/site-packages"))
    (site_packages / "cv2.py").touch()
    (site_packages / "numpy.py").write_text("__version__ = '1.21.5'")
    asked = ["numpy>=1.26", "opencv-python-headless>=4.8", "rich>=13.0"]
    kept = virtual_environment._not_of_system(asked, {"PATH": os.environ["PATH"]})
    assert kept == ["rich>=13.0", "numpy==1.21.5"]
    (site_packages / "cv2.py").unlink()
    kept = virtual_environment._not_of_system(asked, {"PATH": os.environ["PATH"]})
    assert kept == ["opencv-python-headless>=4.8", "rich>=13.0", "numpy==1.21.5"]
