"""What a run costs: seconds an epoch and peak memory."""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import suppress
from typing import Any

import psutil
import torch


class Meter:
    """Measures one training run; :meth:`lap` after every evaluation, :meth:`figures` at the end.

    On a GPU the memory is the allocator's peak on that device. On a CPU it is the process's peak resident set,
    which Linux lets us reset; elsewhere it is the peak since the process began.

    Args:
        device: where the model is.
        epochs_per_lap: epochs between two evaluations.
    """

    def __init__(self, device: Any, epochs_per_lap: int = 1) -> None:
        self.device = torch.device(device)
        self.epochs_per_lap = max(1, epochs_per_lap)
        self.laps: list[float] = []
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            with suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        self._start = self._last = time.perf_counter()

    def lap(self) -> None:
        """An evaluation is over, and the epochs before it."""
        now = time.perf_counter()
        self.laps.append(now - self._last)
        self._last = now

    def figures(self) -> dict[str, float | None]:
        """``seconds``, ``seconds_per_epoch`` (median), ``epochs``, ``peak_memory_mib`` and ``gpu_memory_mib``."""
        gpu = None
        if self.device.type == "cuda":
            gpu = torch.cuda.max_memory_allocated(self.device) / 2**20
        return {
            "seconds": round(time.perf_counter() - self._start, 3),
            "seconds_per_epoch": round(statistics.median(self.laps) / self.epochs_per_lap, 4) if self.laps else None,
            "epochs": len(self.laps) * self.epochs_per_lap,
            "peak_memory_mib": round(peak_resident_mib(), 1),
            "gpu_memory_mib": None if gpu is None else round(gpu, 1),
        }


def peak_resident_mib() -> float:
    """Peak resident memory of this process in MiB, since the last reset where the system has one."""
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


def threads_for(jobs: int) -> int:
    """CPU threads for each of ``jobs`` workers on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, jobs))
