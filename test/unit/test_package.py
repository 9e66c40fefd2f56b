import subprocess
import sys

import pytest

import focdepth_ros


@pytest.mark.parametrize("name", focdepth_ros.__all__)
def test_gives_what_it_promises(name: str) -> None:
    assert getattr(focdepth_ros, name).__name__ == name


def test_says_what_it_has_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'load_stacks'"):
        _ = focdepth_ros.load_stacks  # type: ignore[attr-defined]


def test_alone_imports_nothing_heavy() -> None:
    code = "import sys, focdepth_ros; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
