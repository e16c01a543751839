"""What each of several workers may take of this machine: its threads, its memory, its GPUs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from recbole_attnseq.errors import UserError

# The system and the process that waits for the workers need some, too.
_FOR_WORKERS = 0.9


def threads_for(jobs: int) -> int:
    """CPU threads for each of ``jobs`` workers on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(1, jobs))


def memory_for(jobs: int) -> int:
    """Bytes for each of ``jobs`` workers on this machine, or in this container."""
    whole = int(psutil.virtual_memory().total)
    with suppress(OSError, ValueError):  # "max" where the container has no limit
        whole = min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return int(whole * _FOR_WORKERS / max(1, jobs))


def limit_memory(size: int) -> None:
    """Let this process fail where it asks for more than ``size`` bytes.

    Linux grants memory that it does not have, and later kills whoever uses it. A trial that is refused memory fails
    with that reason, and its worker goes on; one that is killed takes its worker with it.
    """
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (size, hard))


def check_gpus(gpus: Sequence[str]) -> None:
    """Refuse GPUs that are not there: RecBole would quietly train on the CPU instead.

    Raises:
        UserError: names them.
    """
    count = torch.cuda.device_count()
    if gpus and not count:
        raise UserError(f"--gpus {','.join(gpus)}: no CUDA GPU is visible here; use --jobs for workers on the CPU.")
    # Names such as GPU-8932f937 are CUDA's to judge, and numbers too where the environment has renamed the devices.
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        missing = [gpu for gpu in gpus if gpu.isdigit() and int(gpu) >= count]
        if missing:
            raise UserError(f"--gpus: there is no GPU {', '.join(missing)} here; there are 0 to {count - 1}.")
