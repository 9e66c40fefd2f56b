"""Makes everything that running and testing from a checkout needs; run by ``make setup``.

On top of the sourced ROS 2 if there is one, else on ROS 2 wheels, this makes a virtual
environment in ``.venv`` and builds the package with colcon into ``build`` and ``install``.
What is there and unchanged stays; what is damaged is made anew.

Runs on the bare interpreter, before anything is installed.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import time

import system_packages
import virtual_environment
import workspace
from interpreters import choose_python, hint_at_installed_ros, sourced_ros
from setup_tools import ROOT, SetupError, say


def main() -> int:
    """Set up, and say how to go on."""
    started = time.monotonic()
    os.chdir(ROOT)
    directory = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)  # two at a time would spoil each other's work
    try:
        _check_place()
        ros = sourced_ros()
        python = choose_python(ros, virtual_environment.previous_python(ros))
        if ros:
            system_packages.ensure_ros_packages(ros)
        else:
            hint_at_installed_ros()
        system_packages.ensure_compiler_and_headers(python)
        environ = virtual_environment.ensure(python, ros)
        workspace.ensure(environ)
    except (SetupError, OSError) as error:
        print(f"[setup] error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\n[setup] interrupted; the next run finishes it", file=sys.stderr)
        return 130
    say(f"ready after {time.monotonic() - started:.1f} s; to enter: source env.sh")
    return 0


def _check_place() -> None:
    if re.fullmatch(r"[\w./+@,=~%-]+", str(ROOT)) is None:
        raise SetupError(
            f"the scripts of ROS 2 fail in a directory of this name: {ROOT}",
            "move the checkout to a path without spaces and special characters",
        )


if __name__ == "__main__":
    sys.exit(main())
