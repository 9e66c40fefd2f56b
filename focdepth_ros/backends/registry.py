"""Backends by name. A backend's module is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from focdepth_ros.backends.base import Backend
from focdepth_ros.errors import BackendUnavailableError, OptionError, UnknownBackendError

AUTO = "auto"

# Best first: "auto" takes the first that is usable and does not step back. Last are those that one
# has to ask for.
_BACKENDS = {
    "focdepthformer": "focdepth_ros.backends.focdepthformer:FocDepthFormerBackend",
    "stackmff_v2": "focdepth_ros.backends.stackmff_v2:StackMffV2Backend",
    "graph_cut": "focdepth_ros.backends.graph_cut:GraphCutBackend",
    "argmax": "focdepth_ros.backends.argmax:ArgmaxBackend",
    "defocus": "focdepth_ros.backends.defocus:DefocusBackend",
}


@dataclass(frozen=True)
class BackendInfo:
    """One line of ``focdepth backends``.

    Parameters
    ----------
    name, summary : str
    unusable_because : str or None
        Why it cannot be used here, if so.
    passed_over_because : str or None
        Why ``auto`` does not take it all the same, if so; None where it cannot be used.
    on_request : bool
        Whether only those get it who ask for it by name.
    """

    name: str
    summary: str
    unusable_because: str | None
    passed_over_because: str | None = None
    on_request: bool = False

    @property
    def is_usual(self) -> bool:
        """Whether it is among the backends that are compared where none are named."""
        return self.unusable_because is None and not self.on_request


def backend_names() -> tuple[str, ...]:
    """Names of all backends, best first."""
    return tuple(_BACKENDS)


def list_backends() -> Iterator[BackendInfo]:
    """All backends, best first, with what keeps each from being used on this machine."""
    for name in _BACKENDS:
        backend = _backend_class(name)
        unusable = backend.unusable_because()
        passed_over = backend.passed_over_because() if unusable is None else None
        yield BackendInfo(name, backend.summary, unusable, passed_over, backend.on_request)


def backend_config(name: str) -> type:
    """The dataclass whose fields are the settings of a backend, usable here or not.

    Raises
    ------
    UnknownBackendError
        If there is no backend of that name.
    """
    return _backend_class(name).config_class


def choose_backend(name: str = AUTO) -> str:
    """The name of the backend to use: `name` itself, or the best usable one for ``auto``.

    Raises
    ------
    UnknownBackendError
        If there is no backend of that name.
    BackendUnavailableError
        If for ``auto`` none can be used on this machine.
    """
    if name != AUTO:
        _backend_class(name)  # whether there is one
        return name
    for info in list_backends():
        if info.unusable_because is None and info.passed_over_because is None:
            return info.name
    raise BackendUnavailableError("no backend can be used here; see `focdepth backends`")


def first_usable(names: Sequence[str]) -> str:
    """The first of some backends that there is and that can be used on this machine.

    Names of backends that do not exist are passed over.

    Raises
    ------
    BackendUnavailableError
        If there is none.
    """
    for name in names:
        if name in _BACKENDS and _backend_class(name).unusable_because() is None:
            return name
    raise BackendUnavailableError(
        f"none of {', '.join(names)} can be used here; see `focdepth backends`"
    )


def create_backend(name: str = AUTO, **options: Any) -> Backend:
    """Make a backend by name.

    Parameters
    ----------
    name : str
        One of `backend_names`, or ``auto`` for the best that is usable on this machine.
    **options
        Fields of the backend's config.

    Raises
    ------
    UnknownBackendError
        If there is no backend of that name.
    BackendUnavailableError
        If it, or for ``auto`` every one of them, cannot be used on this machine.
    WeightsError
        If it is a network whose weights are missing, damaged, or of another network.
    OptionError
        If the backend has no such option, or the value is out of range.
    DeviceError
        If the device fails at once, or has too little memory for the weights.
    """
    name = choose_backend(name)
    config = check_options(name, **options)
    backend_class = _backend_class(name)
    reason = backend_class.unusable_because(config)
    if reason is not None:
        raise BackendUnavailableError(
            f"backend '{backend_class.name}' cannot be used here: {reason}"
        )
    return backend_class(config)


def check_options(name: str, **options: Any) -> Any:
    """The config of a backend, usable here or not, with some options.

    Raises
    ------
    UnknownBackendError
        If there is no backend of that name.
    OptionError
        If the backend has no such option, or the value is out of range.
    """
    backend_class = _backend_class(name)
    known = [item.name for item in fields(backend_class.config_class)]
    for option in options:
        if option not in known:
            raise OptionError(
                f"backend '{backend_class.name}' has no option '{option}'; "
                f"it has {', '.join(known)}"
            )
    try:
        return backend_class.config_class(**options)
    except TypeError as error:  # a value of another type does not compare with its limits
        raise OptionError(
            f"backend '{backend_class.name}' with options {options}: {error}"
        ) from error


def _backend_class(name: str) -> type[Backend]:
    if name not in _BACKENDS:
        known = ", ".join(_BACKENDS)
        if name == AUTO:
            raise UnknownBackendError(f"'{AUTO}' stands for one of the backends; name it: {known}")
        raise UnknownBackendError(f"there is no backend '{name}'; choose one of {known}, or {AUTO}")
    module, _, attribute = _BACKENDS[name].partition(":")
    backend_class: type[Backend] = getattr(import_module(module), attribute)
    return backend_class
