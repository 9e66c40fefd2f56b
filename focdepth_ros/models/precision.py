"""The precision that a network calculates in."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import nn

from focdepth_ros.errors import BackendUnavailableError
from focdepth_ros.torch_device import without_tf32

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")

_MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FIRST_WITH_BF16 = 8  # compute capability
_VARIANTS = 64  # of a compiled function
# The modules whose weights autocast would cast for every slice.
_CAST_ONCE = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.LSTMCell)


def chosen_precision(name: str, device: torch.device) -> str:
    """The precision that a setting means on a device.

    Raises
    ------
    BackendUnavailableError
        If the device cannot calculate in it.
    """
    if device.type == "cpu":
        if name == "fp16":
            raise BackendUnavailableError(
                "precision 'fp16' needs a GPU; use fp32 or bf16 on the device 'cpu'"
            )
        return "fp32" if name == "auto" else name
    has_bf16 = torch.cuda.get_device_capability(device)[0] >= _FIRST_WITH_BF16
    if name == "bf16" and not has_bf16:
        raise BackendUnavailableError(
            f"precision 'bf16' is not known to {torch.cuda.get_device_name(device)}; use fp16 or "
            "fp32"
        )
    if name == "auto":
        return "bf16" if has_bf16 else "fp16"
    return name


def cast_once(network: nn.Module, precision: str) -> None:
    """Give the weights that autocast uses in 16 bits to it in 16 bits."""
    kind = _MIXED.get(precision)
    for part in network.modules() if kind else ():
        if isinstance(part, _CAST_ONCE):
            part.to(kind)


def compile_many_variants() -> None:
    """Have torch compile a function for more shapes than it would, before it gives up on it.

    Sweeps have many lengths, images several sizes, and each is a variant.
    """
    from torch._dynamo import config

    name = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
    setattr(config, name, max(getattr(config, name), _VARIANTS))


def at_precision(
    function: Callable[_Given, _Found], device: str, precision: str
) -> Callable[_Given, _Found]:
    """The function with its matrix products and convolutions at a precision.

    Parameters
    ----------
    function : callable
    device : str
        Kind of device.
    precision : {"fp32", "bf16", "fp16"}
    """

    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        # Ten bits would do for the network, but not for the focus measure.
        exact = without_tf32()
        # A cast that autocast keeps would not outlive a CUDA graph.
        mixed = torch.autocast(
            device, _MIXED.get(precision), precision != "fp32", cache_enabled=False
        )
        with exact, mixed:
            return function(*args, **kwargs)

    return call
