"""What a step frees on a CPU is kept for the next one, as PyTorch does it on GPUs.

PyTorch takes each tensor from the C library. glibc hands large ones back to Linux as they are freed, and pages that are
taken anew are zeroed first, which costs a step whose activations are large a part of its time.
"""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What glibc's malloc.h calls how much of what is freed is kept, and above what size nothing is."""
MOST = 2**31 - 1


def keep_freed() -> bool:
    """For the whole process, from now on; false where the C library has no such choice."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(parameter, MOST) for parameter in (TRIM_THRESHOLD, MMAP_THRESHOLD))
