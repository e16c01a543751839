"""Where a result comes from: packages, machine, commit."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("recbole-attnseq", "recbole", "torch", "numpy", "pandas", "scipy", "pyarrow", "optuna")


def versions() -> dict[str, str]:
    """The packages that shape a result, and Python."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The processor, its cores, PyTorch's threads, and the GPU if there is one."""
    model = platform.processor() or platform.machine()
    try:
        lines: Sequence[str] = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"processor": model, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


@functools.cache
def commit() -> str:
    """The commit of the checkout that ran, with a mark where it was changed; ``unknown`` outside of one.

    Asked for when a run begins, it is still that commit when the run ends, whatever was checked out meanwhile.
    """
    package = Path(__file__).parents[1]
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=package, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", str(package)],
            cwd=package, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if changed else "")
