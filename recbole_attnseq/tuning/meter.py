"""What a run costs: seconds an epoch and peak memory."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from recbole_attnseq.training.memory import peak_resident_mib, reset_peak


class Meter:
    """Measures one training run; :meth:`lap` after every evaluation, :meth:`figures` at the end.

    On a GPU the memory is the allocator's peak on that device. On a CPU it is the process's peak resident set,
    which :func:`~recbole_attnseq.training.memory.reset_peak` resets where it can.

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
            reset_peak()
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
