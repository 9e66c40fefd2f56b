"""Keeps freed memory in the process, for nodes that take in and make images by the second."""

from __future__ import annotations

import ctypes

# Numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

_KEPT = 256 << 20  # bytes at the top of the heap
_LARGEST = (
    64 << 20,
    32 << 20,
)  # bytes of one block: more than an image; older C libraries allow less


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed instead of giving it back to the system at once.

    An image passes through several blocks of its size from the network to NumPy. As it comes, each
    of them is fresh memory: the system clears every page of it when it is touched first, which
    takes longer than all the copying. With this call the blocks of the last image are used again.
    The process never takes more than it had in use at some time, but gives back less of it.

    Returns
    -------
    bool
        False if the C library cannot do it; then nothing is changed.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt  # of glibc
    except (AttributeError, OSError, TypeError):
        return False
    is_set = any(set_option(_MMAP_THRESHOLD, size) for size in _LARGEST)
    return bool(is_set and set_option(_TRIM_THRESHOLD, _KEPT))
