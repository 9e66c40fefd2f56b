"""Weights of the networks as files: safetensors with the network's configuration in them.

Nothing in such a file is ever run. Loading is strict: a file that lacks a tensor, or has one too
many, is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from focdepth_ros.errors import OptionError, WeightsError
from focdepth_ros.models.architectures import ARCHITECTURES, Architecture

_FORMAT_KEY = "focdepth_ros_weights"
_FORMAT = "1"
_ARCHITECTURE_KEY = "architecture"
_CONFIG_KEY = "config"
_OWN_KEYS = (_FORMAT_KEY, _ARCHITECTURE_KEY, _CONFIG_KEY)

_NAMES_SHOWN = 8

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """What a file of weights holds.

    Parameters
    ----------
    source : str
        The file, for messages.
    architecture : str
        Name of the kind of network.
    config : dict of str to plain values
        What its configuration is made from.
    metadata : dict of str to str
        What was written down beside it, such as facts of the training.
    tensors : dict of str to Tensor
    """

    source: str
    architecture: str
    config: dict[str, Any]
    metadata: dict[str, str]
    tensors: dict[str, Tensor]

    def network(self) -> nn.Module:
        """The network with these weights, in float32, for inference.

        Raises
        ------
        WeightsError
            If they are not those of a network with this configuration, or not finite.
        """
        architecture = _architecture(self.architecture, self.source)
        try:
            config = architecture.config_class().from_dict(self.config).without_download()
            network: nn.Module = architecture.network_class()(config)
        except OptionError as error:
            raise WeightsError(
                f"{self.source} has a configuration of '{self.architecture}' that cannot be used: "
                f"{error}; it may be of a newer version"
            ) from error
        _check_tensors(self.source, network.state_dict(), self.tensors)
        network.load_state_dict(self.tensors, strict=True)
        return network.eval().requires_grad_(False)

    def network_as(self, kind: type[_Network]) -> _Network:
        """`network`, which must be of one class.

        Raises
        ------
        WeightsError
            As `network`, or if it is of another class.
        """
        network = self.network()
        if not isinstance(network, kind):
            raise WeightsError(
                f"{self.source} holds weights of a network '{self.architecture}', those of a "
                f"{kind.__name__} are needed; `focdepth weights` lists what is shipped"
            )
        return network


def save_weights(
    path: Path | str,
    network: nn.Module,
    metadata: Mapping[str, str] | None = None,
    *,
    half: bool = True,
) -> None:
    """Write the weights of a network; whoever reads the file sees the old one or the new one.

    Parameters
    ----------
    path : Path or str
        Ends in ``.safetensors``.
    network : nn.Module
        One of those that `load_weights` knows.
    metadata : mapping of str to str, optional
        Facts to keep with them.
    half : bool
        Whether weights are stored in 16 bits; statistics of normalisation never are.

    Raises
    ------
    WeightsError
        If a weight is not finite, or too large for 16 bits, or `metadata` has a name that is
        taken.
    """
    path = Path(path)
    architecture = _architecture_of(network)
    facts = dict(metadata or {})
    taken = [name for name in _OWN_KEYS if name in facts]
    if taken:
        raise WeightsError(f"metadata of {path} has {_listed(taken)}; choose other names for it")
    weights = dict(network.named_parameters())
    tensors = {
        name: _stored(path, name, tensor.detach(), half=half and name in weights)
        for name, tensor in network.state_dict().items()
    }
    config: Any = network.config
    header = {
        _FORMAT_KEY: _FORMAT,
        _ARCHITECTURE_KEY: architecture,
        _CONFIG_KEY: json.dumps(config.without_download().to_dict()),
        **facts,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(_in_order(save(tensors, header)))
        unfinished.chmod(0o644)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_weights(path: Path | str, *, sha256: str | None = None) -> nn.Module:
    """The network whose weights a file holds, in float32, for inference.

    Parameters
    ----------
    path : Path or str
    sha256 : str, optional
        What the checksum of the file must be, in hexadecimal.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or of another kind, or its weights are not those of a
        network with the configuration in it, or not finite.
    """
    return read_weights(path, sha256=sha256).network()


def read_weights(path: Path | str, *, sha256: str | None = None) -> StoredWeights:
    """What a file of weights holds, without making the network.

    Parameters
    ----------
    path, sha256
        As for `load_weights`.

    Raises
    ------
    WeightsError
        If the file is missing, damaged or of another kind.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(
            f"there are no weights at {path}; `focdepth weights` lists what is shipped"
        ) from error
    except OSError as error:
        raise WeightsError(f"weights {path} cannot be read: {error.strerror or error}") from error
    if sha256 is not None:
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise WeightsError(
                f"weights {path} are damaged or not those that were shipped: their sha256 is "
                f"{found}, it should be {sha256}; install the package again"
            )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file ({error}); copy or download it again"
        ) from error
    header = _metadata_of(content)
    if _FORMAT_KEY not in header or not header.keys() >= set(_OWN_KEYS):
        raise WeightsError(
            f"{path} holds weights without the configuration of their network; give a file "
            "written by `focdepth train`"
        )
    if header[_FORMAT_KEY] != _FORMAT:
        raise WeightsError(
            f"{path} has format {header[_FORMAT_KEY]} of a newer version; this one reads {_FORMAT}"
        )
    try:
        config = json.loads(header[_CONFIG_KEY])
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path} has a configuration that is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path} has a configuration that is {config!r}; it must be a mapping")
    metadata = {name: value for name, value in header.items() if name not in _OWN_KEYS}
    return StoredWeights(str(path), header[_ARCHITECTURE_KEY], config, metadata, tensors)


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata sorted, which the library writes in any order."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[end:]


def _metadata_of(content: bytes) -> dict[str, str]:
    """The metadata in a safetensors file that has been loaded, so that it is known to be whole."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return dict(header.get("__metadata__") or {})


def _stored(path: Path, name: str, tensor: Tensor, *, half: bool) -> Tensor:
    """A tensor as it is written, in memory of its own."""
    if not tensor.is_floating_point():
        return tensor.to("cpu", copy=True).contiguous()
    if not bool(torch.isfinite(tensor).all()):
        raise WeightsError(f"{name} for {path} has NaN or infinite values; the training diverged")
    kept = tensor.to("cpu", torch.float16 if half else torch.float32, copy=True).contiguous()
    if not bool(torch.isfinite(kept).all()):
        raise WeightsError(
            f"{name} for {path} has values up to {float(tensor.abs().max()):g}, too large for 16 "
            "bits; write it with half=False"
        )
    return kept


def _check_tensors(
    source: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    missing = [name for name in expected if name not in found]
    unexpected = sorted(name for name in found if name not in expected)
    faults = []
    if missing:
        faults.append(f"missing: {_listed(missing)}")
    if unexpected:
        faults.append(f"not known: {_listed(unexpected)}")
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if shapes:
        faults.append(f"of another shape: {_listed(shapes)}")
    if faults:
        raise WeightsError(
            f"{source} does not hold the weights of the network that its configuration "
            f"describes; {'; '.join(faults)}"
        )
    broken = [name for name in expected if not bool(torch.isfinite(found[name]).all())]
    if broken:
        raise WeightsError(
            f"{source} has NaN or infinite weights: {_listed(broken)}; train again, or copy an "
            "undamaged file"
        )


def _architecture_of(network: nn.Module) -> str:
    kind = (type(network).__module__, type(network).__qualname__)
    for name, architecture in ARCHITECTURES.items():
        if (architecture.network_module, architecture.network_name) == kind:
            return name
    raise WeightsError(
        f"weights of {':'.join(kind)} cannot be written; the networks are "
        f"{', '.join(ARCHITECTURES)}"
    )


def _architecture(name: str, source: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise WeightsError(
            f"{source} holds weights of a network '{name}', which this version does not "
            f"know; it knows {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


def _listed(names: Iterable[str]) -> str:
    """Names in one line, the first few of many."""
    every = list(names)
    shown = ", ".join(every[:_NAMES_SHOWN])
    more = len(every) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
