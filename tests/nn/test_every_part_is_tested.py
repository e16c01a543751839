"""A registered part without a test class fails here."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import recbole_attnseq.nn
from recbole_attnseq.nn.user_encoders import USER_ENCODERS
from recbole_attnseq.registry import Registry
from tests.contracts import REGISTRIES, untested


def classes() -> list[type]:
    """All classes of the test modules beside this one."""
    found: list[type] = []
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.nn.{path.stem}")
        found += [value for value in vars(module).values() if isinstance(value, type)]
    return found


def test_every_part_has_a_test_class() -> None:
    assert untested(classes()) == []


def test_a_part_without_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USER_ENCODERS._parts, "mamba", USER_ENCODERS["gru"])
    assert untested(classes()) == ["user_encoder: mamba"]


def test_every_registry_of_the_network_is_watched() -> None:
    watched = {id(registry) for registry in REGISTRIES.values()}
    for info in pkgutil.iter_modules(recbole_attnseq.nn.__path__):
        module = importlib.import_module(f"recbole_attnseq.nn.{info.name}")
        for name, value in vars(module).items():
            assert not isinstance(value, Registry) or id(value) in watched, f"{info.name}.{name}"
