"""Memory allocator settings of glibc: keep freed memory instead of returning it to the system."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # parameters of glibc's mallopt(3)
_MIB = 1 << 20


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, and use it again; False where the C library is not glibc.

    glibc gives large blocks back to the system at once, so that every feature map of a training step is cleared by
    the kernel before it can be written: up to a third of the time on CPUs. For programs of our own that compute for
    long; it holds for the whole process, whose size stays at its peak."""
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    for threshold in (1024 * _MIB, 32 * _MIB):  # older versions take no more than 32 MiB
        if adjust(_MMAP_THRESHOLD, threshold):
            return bool(adjust(_TRIM_THRESHOLD, 2047 * _MIB) and adjust(_TOP_PAD, 64 * _MIB))
    return False
