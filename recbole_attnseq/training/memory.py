"""How much memory this process has held at its peak."""

from __future__ import annotations

import sys
from contextlib import suppress

import psutil


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
