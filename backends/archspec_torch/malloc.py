"""Keep the memory that a training step frees on a CPU for the next step, as PyTorch does on GPUs.

PyTorch takes each tensor from the C library. glibc returns large blocks to the kernel as they are
freed, and the kernel zeroes pages that it hands out again, which takes a part of every step.
"""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD = -1
"""Glibc's M_TRIM_THRESHOLD: how much free memory is kept."""
MMAP_THRESHOLD = -3
"""Glibc's M_MMAP_THRESHOLD: blocks of this size are returned to the kernel when freed."""
MAX_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory from now on, in the whole process; return False if the C library cannot."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(parameter, MAX_INT) for parameter in (TRIM_THRESHOLD, MMAP_THRESHOLD))
