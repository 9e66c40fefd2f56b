"""Memory that a network has freed is kept for its next tensor."""

from __future__ import annotations

import ctypes
import platform

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2  # of mallopt(3)
_LARGEST_KEPT = 32 * 2**20  # bytes; the most that the allocator can be told
_KEPT = 2**30  # bytes
_TAKEN_AT_ONCE = 64 * 2**20  # bytes


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, where it is glibc; elsewhere nothing is done.

    It gives blocks as large as a feature map back to the system at once, and the system clears
    every page anew when the next one is asked for: a large part of the time of the lighter
    operators on a CPU. Up to 1 GB of what was in use at the peak stays with the process.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    library.mallopt(_TRIM_THRESHOLD, _KEPT)
    library.mallopt(_TOP_PAD, _TAKEN_AT_ONCE)


def give_back_freed_memory() -> None:
    """Give what was kept back to the system: before much memory is asked for in large blocks.

    Blocks above the largest size that can be kept do not come out of what is kept.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
