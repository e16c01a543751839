"""What the C library does with freed memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recbole_attnseq.training.memory import keep_freed_memory

_COUNT = """
import resource, sys
from recbole_attnseq.training.memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
def touch():
    block = bytearray(48 << 20)  # above what glibc ever adapts to by itself
    del block
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    touch()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> tuple[bool, int]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, how], capture_output=True, text=True, env=environment, check=True
    )
    kept, faults = done.stdout.split()
    return bool(int(kept)), int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_freed_memory_is_given_out_again_without_a_page_fault() -> None:
    kept, faults = _faults("keep")
    if not kept:
        pytest.skip("not glibc")
    # By pages of 4 KiB or, where the system hands out huge ones by itself, of 2 MiB.
    assert 4 * faults < _faults("leave")[1]


@pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_"])
def test_the_users_own_choice_stands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert keep_freed_memory() is False
