"""The device that torch works on: which it is on this machine, and errors that name its failures.

Nothing here loads torch before it is needed.
"""

from __future__ import annotations

import ctypes
import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.util import find_spec

from focdepth_ros.errors import BackendUnavailableError, DeviceError, OptionError
from focdepth_ros.libraries import how_to_install

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
        return f"torch is not installed; {how_to_install('torch')}"
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_DRIVER} is missing); use the device 'cpu'"
    import torch

    if not torch.cuda.is_available():
        return "torch finds no CUDA device; install a torch that is built for your driver"
    return None


def without_tf32() -> AbstractContextManager[None]:
    """Convolutions of cuDNN with all bits of float32; all else of it stays as it is set."""
    import torch

    cudnn = torch.backends.cudnn
    flags: AbstractContextManager[None] = cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    )
    return flags


@contextmanager
def device_failures_named(
    device: str, remedy: str, let_go: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Turn what torch raises into a `DeviceError`, with the memory of the device given back.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``, for the message.
    remedy : str
        What to do where its memory is too small.
    let_go : callable, optional
        Frees what else can be calculated anew.

    Raises
    ------
    DeviceError
    """
    import torch

    try:
        yield
    except RuntimeError as error:
        if error.__traceback__ is not None:  # of the failed step, which holds its arrays
            traceback.clear_frames(error.__traceback__)
        let_go()
        gc.collect()
        if device.startswith("cuda"):
            with suppress(RuntimeError):  # a lost device cannot do that, either
                torch.cuda.empty_cache()
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        if isinstance(error, torch.cuda.OutOfMemoryError):
            raise DeviceError(f"the GPU has too little memory: {reason}; {remedy}") from error
        raise DeviceError(f"device '{device}' failed: {reason}") from error
