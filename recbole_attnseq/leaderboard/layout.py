"""How the files among the records are laid out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def json_text(values: Mapping[str, Any], long: Sequence[str]) -> str:
    """A JSON object with a line for each value; the ``long`` lists come last, each on one line of its own.

    So a file stays readable, and so does its diff.
    """
    text = json.dumps({key: value for key, value in values.items() if key not in long}, indent=1)
    return text[:-2] + "".join(f',\n "{key}": {json.dumps(values[key])}' for key in long) + "\n}\n"
