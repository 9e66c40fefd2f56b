"""Where the classical stages run: on the CPU with NumPy, or on a GPU with torch."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

from focdepth_ros.errors import BackendUnavailableError, OptionError

DEVICES = ("auto", "cpu", "cuda")

_LIBRARY = "torch"
_DRIVER = "libcuda.so.1"


def choose_device(name: str = "auto") -> str:
    """``cuda`` or ``cpu``, whichever of them a setting means on this machine.

    torch is imported only where a driver of NVIDIA is installed, since that takes seconds.

    Parameters
    ----------
    name : str
        ``cuda``, ``cpu``, or ``auto``: a GPU if there is one that torch can use.

    Raises
    ------
    OptionError
        If it is none of them.
    BackendUnavailableError
        If ``cuda`` is asked for and cannot be used.
    """
    if name not in DEVICES:
        raise OptionError(f"there is no device '{name}'; choose one of {', '.join(DEVICES)}")
    if name == "cpu":
        return "cpu"
    reason = cuda_missing_because()
    if reason is None:
        return "cuda"
    if name == "cuda":
        raise BackendUnavailableError(f"device 'cuda' cannot be used here: {reason}")
    return "cpu"


def cuda_missing_because() -> str | None:
    """Why torch cannot use a GPU here and what to do, or None if it can."""
    if find_spec(_LIBRARY) is None:
        return "torch is not installed; install focdepth_ros[torch]"
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_DRIVER} is missing); use the device 'cpu'"
    import torch

    if not torch.cuda.is_available():
        return "torch finds no CUDA device; install a torch that is built for your driver"
    return None
