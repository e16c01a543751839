"""Time and memory at size, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_memory_hardly_grows_with_the_rows() -> None:
    def measured(rows: int) -> dict[str, float]:
        words = [sys.executable, "-m", "benchmarks.prepare", "--rows", str(rows), "--users", "100000"]
        done = subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))

    few, many = measured(2_000_000), measured(10_000_000)
    # Five times the rows. Memory-mapped columns, 24 bytes a row and at most two copies at a time, count as
    # resident while there is room; nothing else may grow.
    assert many["peak_gb"] - few["peak_gb"] < 8_000_000 * 24 * 2 / 2**30 + 0.3
    assert many["peak_gb"] < 2
    assert many["seconds"] < 90
    assert many["k_core_seconds"] < 60
