"""What torch raises of a device, as an error that the pipeline knows."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from focdepth_ros.errors import DeviceError


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
