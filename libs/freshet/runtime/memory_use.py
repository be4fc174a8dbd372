"""What this process uses of the machine."""

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Final

_STATM = Path("/proc/self/statm")
_M_TRIM_THRESHOLD: Final = -1  # glibc's numbers, malloc.h
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 64 << 20
_LARGEST_BYTES: Final = 32 << 20  # glibc takes no more


def resident_bytes() -> int:
    """Resident memory of this process now; where the system does not say, its largest so far."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def keep_freed_memory() -> None:
    """Let the allocator keep up to 64 MiB of freed memory, not hand it back at once (glibc; elsewhere nothing).

    A batch of 5,000 rows takes and frees some megabytes, which glibc gives back after each batch: the next one then
    waits for about 700 page faults, a third of the time that inference spends outside the client. `malloc_trim`, which
    closing a model calls, still gives everything back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
