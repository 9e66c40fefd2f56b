"""What a machine is, for figures that depend on it."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

import focdepth_ros
from focdepth_ros.torch_device import cuda_missing_because

_PROCESSORS = Path("/proc/cpuinfo")
_BOARD = Path("/proc/device-tree/model")  # of computers without a BIOS, such as a Jetson
_GIGABYTE = 1e9
_BUSY = 0.3  # load per core


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def is_busy() -> bool:
    """Whether so much else is going on that times say little."""
    return os.getloadavg()[0] > _BUSY * usable_cores()


def describe_machine() -> dict[str, str]:
    """Processor, GPU, how busy it is, and versions of what computes; by what each is called."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = usable_cores()
    return {
        "processor": f"{_processor()}, {cores} core{'s' * (cores != 1)}",
        "memory": f"{pages / _GIGABYTE:.0f} GB",
        "GPU": _gpu(),
        "load when it began": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()}, {platform.machine()}",
        "Python": platform.python_version(),
        "focdepth_ros": focdepth_ros.__version__,
        "NumPy": np.__version__,
        "OpenCV": cv2.__version__,
        "torch": _torch_version(),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", _PROCESSORS.read_text(), re.MULTILINE)
        if found:
            return found.group(1).strip()
        return _BOARD.read_text().strip("\0\n")
    except OSError:
        return platform.processor() or platform.machine()


def _gpu() -> str:
    if cuda_missing_because() is not None:
        return "none that can be used"
    import torch

    return str(torch.cuda.get_device_name())


def _torch_version() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return "not installed"
