"""How much memory this process has held at its peak, and how it is held."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

import psutil

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# The older limit of a threshold, in bytes, is the second.
_LARGE = (1 << 30, 1 << 25)


def keep_freed_memory() -> bool:
    """Let this process keep what it frees and give it out again, as far as its C library is glibc.

    A training step allocates the same few tensors of megabytes each time. Handed back to the system in between, every
    page of them is cleared and mapped anew: at width 128 on a CPU a sixth of an epoch. This changes the whole process,
    so it is for those who own it: a command, a benchmark, a user's script. A ``GLIBC_TUNABLES`` or ``MALLOC_...`` in
    the environment stands.

    Returns:
        True where it is in force.
    """
    if sys.platform != "linux" or any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    return any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGE) and bool(mallopt(_TRIM_THRESHOLD, _LARGE[0]))


def reset_peak() -> None:
    """Begin to measure anew, where the system allows it (Linux); elsewhere the peak is the process's whole life's."""
    with suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak_resident_mib() -> float:
    """Peak resident memory of this process in MiB, since the last :func:`reset_peak` where the system has one."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows, which keeps the peak elsewhere
        return float(getattr(psutil.Process().memory_info(), "peak_wset", 0)) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)
