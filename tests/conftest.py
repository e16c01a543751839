"""What all tests share: an empty folder to work in, RecBole kept from pytest's arguments, tiny data sets."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import recbole_attnseq  # noqa: F401  (before any test module imports RecBole, which fails without it)
from tests.atomic_files import write_cycle, write_tiny


@pytest.fixture(autouse=True)
def _clean_argv(monkeypatch: pytest.MonkeyPatch) -> None:
    """RecBole's Config reads sys.argv, which holds pytest's own arguments here."""
    monkeypatch.setattr(sys, "argv", ["pytest"])


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """No test leaves a process behind, nor handlers on the root logger that write into its folder."""
    handlers = list(logging.getLogger().handlers)
    yield
    for handler in logging.getLogger().handlers[:]:
        if handler not in handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()
    assert multiprocessing.active_children() == []


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary current folder: RecBole writes log/, saved/ and log_tensorboard/ where it stands."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    return tmp_path


@pytest.fixture
def cycle(workdir: Path) -> str:
    """The name of the cycle data set, written under dataset/."""
    return write_cycle(workdir / "dataset")


@pytest.fixture
def tiny(workdir: Path) -> str:
    """The name of the tiny data set with features, written under dataset/."""
    return write_tiny(workdir / "dataset")


@pytest.fixture
def quiet() -> dict[str, Any]:
    """Settings that every run in a test has: no progress bars, warnings only, all columns loaded."""
    return {"show_progress": False, "state": "WARNING", "load_col": None}
