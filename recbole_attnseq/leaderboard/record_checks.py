"""What a record's values must be: a file that is JSON may still have been spoilt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# The annotations of RunRecord's fields, as text, and what JSON gives for them.
_KINDS = {"int": (int,), "float": (int, float), "str": (str,), "list": (list,), "dict": (dict,)}
_POINT = ("epoch", "valid", "processor_seconds")


def fault_of(values: Mapping[str, Any], kinds: Mapping[str, str]) -> str | None:
    """What is wrong with the values of a record, in words; None where nothing is.

    Args:
        values: field to value, no field missing.
        kinds: field to its annotation.
    """
    for name, kind in kinds.items():
        if not _is(values[name], kind.partition("[")[0]):
            return f"{name} is no {kind}"
    for name in ("valid", "test", "beyond"):
        if not all(_is(value, "float") for value in values[name].values()):
            return f"{name} holds what is no number"
    ranks = values["ranks"]
    if not ranks or len(values["users"]) != len(ranks):
        return "it needs a rank for each user"
    bad = next((rank for rank in ranks if not _is(rank, "int") or rank < 1), None)
    if bad is not None or None in ranks:
        return f"rank {bad!r} is no place from 1 on"
    if not all(isinstance(user, str) for user in values["users"]):
        return "a user is no text"
    for point in values["curve"]:
        if not isinstance(point, dict) or not all(_is(point.get(key), "float") for key in _POINT):
            return f"a point of its curve lacks one of {', '.join(_POINT)}"
    return None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, _KINDS[kind]):
        return False
    return not isinstance(value, float) or math.isfinite(value)
