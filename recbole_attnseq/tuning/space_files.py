"""Reads space files: our YAML, and RecBole's ``hyper.test`` as its own tuning reads it."""

from __future__ import annotations

import ast
import math
import os
from pathlib import Path
from typing import Any

from recbole_attnseq.errors import UserError
from recbole_attnseq.shipped import shipped
from recbole_attnseq.tuning.spaces import Parameter, Space, numeric, parse_space
from recbole_attnseq.yaml_files import read_yaml

_HYPER_TYPES = ("choice", "uniform", "quniform", "loguniform")


def load_space(path: str) -> Space:
    """The space in a file: YAML by the ending ``.yaml`` or ``.yml``, RecBole's format otherwise.

    Args:
        path: of the file, or the name of a space that comes with the project (``AttnSeq-parts``).

    Raises:
        UserError: no such file, or what is wrong in it, with the line or key.
    """
    if not os.path.isfile(path):
        named = shipped_space(path) if os.path.basename(path) == path else None
        if named is None:
            raise UserError(f"space file {path} does not exist; check the path, or leave --space out.")
        path = named
    if path.endswith((".yaml", ".yml")):
        return parse_space(read_yaml(path, "space file"), path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"space file {path} cannot be read ({error}).") from error
    return parse_hyper_test(text, path)


def shipped_space(name: str) -> str | None:
    """Path of the space that comes with the project for a model, or under another name, or None."""
    here = Path("configs/space") / f"{name}.yaml"
    path = here if here.is_file() else shipped("space", name)
    return None if path is None else str(path)


def parse_hyper_test(text: str, source: str) -> Space:
    """A space in RecBole's format: ``name type values`` a line.

    As in RecBole, lines of fewer than three words are skipped; ``uniform low,high``; ``quniform low,high,step``;
    ``loguniform low,high`` with the bounds given as natural logarithms; ``choice [a,b]``.

    Raises:
        UserError: names the line that cannot be read.
    """
    parameters = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if len(words) < 3 or words[0].startswith("#"):
            continue
        name, kind, value = words[0], words[1], "".join(words[2:])
        where = f"{source}:{number}: {name}"
        if kind == "choice":
            parameters.append(_choice(where, name, value))
        elif kind in _HYPER_TYPES:
            parameters.append(_range(where, name, kind, value))
        else:
            raise UserError(f"{where} has the unknown type '{kind}'; known: {', '.join(_HYPER_TYPES)}.")
    if not parameters:
        raise UserError(f"{source} holds no parameter; write lines such as: learning_rate loguniform -8,-4")
    return Space(tuple(parameters), source=source)


def _choice(where: str, name: str, text: str) -> Parameter:
    try:
        values: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise UserError(f"{where}: {text} is no list; write it as ['a','b'] or [1,2].") from None
    if not isinstance(values, (list, tuple)) or not values:
        raise UserError(f"{where} has no values to choose from.")
    # RecBole quotes lists inside a list, for hyperopt's sake, and its Config reads them back.
    return Parameter(name, "choice", values=tuple(values))


def _range(where: str, name: str, kind: str, text: str) -> Parameter:
    parts = text.split(",")
    if len(parts) != (3 if kind == "quniform" else 2):
        raise UserError(f"{where}: {kind} takes {'low,high,step' if kind == 'quniform' else 'low,high'}; found {text}.")
    spec: dict[str, Any] = dict(zip(("low", "high", "step"), parts, strict=False))
    if kind == "loguniform":
        checked = numeric(where, name, "float", spec, {})
        return Parameter(name, "float", math.exp(checked.low), math.exp(checked.high), log=True)
    if kind == "quniform":
        # hyperopt tries the multiples of the step that lie in the range.
        checked = numeric(where, name, "float", spec, {})
        step = checked.step or 1.0
        low, high = math.ceil(checked.low / step - 1e-9) * step, math.floor(checked.high / step + 1e-9) * step
        whole = all("." not in part and "e" not in part.lower() for part in parts)
        return numeric(where, name, "int" if whole else "float", {"low": low, "high": high, "step": step}, {})
    return numeric(where, name, "float", spec, {})
