"""The compiled library of the classical methods, plain C functions called through ctypes."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path

import focdepth_ros
from focdepth_ros.errors import BackendUnavailableError

LIBRARY_NAME = "lib_focdepth_graph_cut.so"


@lru_cache(maxsize=1)
def compiled_library() -> ctypes.CDLL:
    """The library, loaded.

    Raises
    ------
    BackendUnavailableError
        If it has not been built or cannot be loaded.
    """
    # The package can be spread over a source tree and an installed one that holds what was
    # compiled; all its places are on __path__.
    for root in focdepth_ros.__path__:
        path = Path(root) / "classical" / LIBRARY_NAME
        if path.is_file():
            break
    else:
        raise BackendUnavailableError(
            f"{LIBRARY_NAME} has not been built; install a C++ compiler and install the "
            "package again"
        )
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BackendUnavailableError(f"{path} cannot be loaded: {error}") from error
