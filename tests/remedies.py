"""RecBole as it would be without one of our remedies, in this process, for as long as a test needs it."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

import recbole_attnseq

_OURS = ("recbole", "recbole_attnseq")


def _take(modules: dict[str, types.ModuleType]) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in _OURS]:
        modules[name] = sys.modules.pop(name)


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Import RecBole and the package anew with all remedies but those named; put everything back afterwards.

    Inside, import by hand what is needed: modules imported outside belong to the mended RecBole.
    """
    kept: dict[str, types.ModuleType] = {}
    finders = list(sys.meta_path)
    _take(kept)
    sys.meta_path[:] = [finder for finder in finders if type(finder).__module__ != "recbole_attnseq.compat"]
    try:
        # The package activates the remedies when it is imported, so its module of remedies has to come first.
        package = types.ModuleType("recbole_attnseq")
        package.__path__ = list(recbole_attnseq.__path__)
        sys.modules["recbole_attnseq"] = package
        compat = importlib.import_module("recbole_attnseq.compat")
        known = {remedy.name for remedy in compat.REMEDIES}
        assert known >= set(names), f"no such remedy: {set(names) - known}"
        compat.REMEDIES = tuple(remedy for remedy in compat.REMEDIES if remedy.name not in names)
        compat.activate()
        del sys.modules["recbole_attnseq"]
        importlib.import_module("recbole_attnseq")
        yield
    finally:
        _take({})
        for name in [name for name in sys.modules if name.split(".")[0] == "ray"]:
            del sys.modules[name]  # half of it, where it could not be imported
        sys.modules.update(kept)
        sys.meta_path[:] = finders
