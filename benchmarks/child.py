"""A measurement in a process of its own, with a limit on its time and its memory, and the peak it reached."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def measured(arguments: Sequence[str], *, folder: Path, minutes: float, gigabytes: float | None = None) -> Any:
    """The JSON value on the last line that ``python ARGUMENTS`` prints, or {"failed": why}.

    Args:
        arguments: of this interpreter.
        folder: to work in.
        minutes: after which the process is ended.
        gigabytes: address space that it may take; without a limit the whole machine's memory.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment,
            timeout=minutes * 60,
            preexec_fn=_limited(gigabytes) if gigabytes else None,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {minutes:g} min"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit {done.returncode}"
        memory = "MemoryError" in reason or "alloc" in reason or done.returncode < 0
        return {"failed": f"more than {gigabytes:.0f} GB" if memory and gigabytes else reason[:120]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def _limited(gigabytes: float) -> Callable[[], None]:
    size = int(gigabytes * 2**30)
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


def peak_gigabytes() -> float:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 30 if sys.platform == "darwin" else 1 << 20)
