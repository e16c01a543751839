"""The demo prints a comparison and ten films, and refuses a user that is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recbole_attnseq.cli import main


def test_the_demo_compares_and_recommends(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--epochs=1", "--user=1"]) == 0
    assert Path(os.getcwd()) == workdir
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line[:1].isalpha() and len(line.split()) == 6}
    assert {"Pop", "ItemKNN", "BPR", "AttnSeq"} <= set(rows)
    assert 0 < float(rows["AttnSeq"][2]) < 1
    films = [line for line in lines if line.strip()[:2].rstrip(".").isdigit() and "(" in line]
    assert len(films) == 10
    saved = next(line for line in lines if line.startswith("model saved")).split(": ")[1]
    assert Path(saved).is_file()


def test_an_unknown_user_is_refused(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--user=nobody"]) == 2
    assert "no user 'nobody'" in capsys.readouterr().err
