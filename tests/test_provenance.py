"""Where a result comes from."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from recbole_attnseq.training.provenance import commit


def test_a_run_keeps_the_commit_of_its_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["a" * 12, "", "b" * 12, " M recbole_attnseq/model.py"])

    def git(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout=next(answers) + "\n")

    monkeypatch.setattr(subprocess, "run", git)
    commit.cache_clear()
    try:
        assert commit() == "a" * 12
        assert commit() == "a" * 12, "whatever is checked out by the time of the record"
        commit.cache_clear()
        assert commit() == "b" * 12 + "+changes", "another run is of another one"
    finally:
        commit.cache_clear()
