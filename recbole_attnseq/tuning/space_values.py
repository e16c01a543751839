"""Values of a space that no run could have, found before the search."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Mapping
from typing import Any

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning.spaces import Parameter, Space


def check_values(space: Space, defaults: Mapping[str, Any]) -> None:
    """Refuse a value that would be tried and cannot be, as far as the key's name and default tell.

    Its trials would fail one after the other, and the rest would pass for the whole of the space.

    Args:
        space: what is searched.
        defaults: the configuration without the search.

    Raises:
        UserError: names the space, the key and the value.
    """
    for parameter in space.parameters:
        for value in _tried(parameter):
            wanted = _wanted(parameter.name, value, defaults.get(parameter.name))
            if wanted:
                raise UserError(f"{space.source}: {parameter.name} would be tried as {value!r}; it takes {wanted}.")


def _tried(parameter: Parameter) -> tuple[Any, ...]:
    """The values of a choice, or the ends of a range."""
    if parameter.kind == "choice":
        return parameter.values
    ends = (parameter.low, parameter.high)
    return tuple(int(end) for end in ends) if parameter.kind == "int" else ends


def _wanted(key: str, value: Any, default: Any) -> str:
    """What a key takes, where ``value`` is no such thing; empty where it may be, or nothing is known of the key."""
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        return ""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, SyntaxError):
            value = ast.literal_eval(value)  # RecBole reads numbers out of words
    if value is None or isinstance(value, bool):  # what a number switches on, these may switch off
        return ""
    if not isinstance(value, (int, float)):
        return f"a number (default {default})"
    if key.endswith(("_size", "_heads")) and default > 0 and not (isinstance(value, int) and value > 0):
        return "a whole number above 0"
    if key == "learning_rate" and value <= 0:
        return "a number above 0"
    if "dropout" in key and not 0 <= value <= 1:
        return "a probability, from 0 to 1"
    return ""
