"""YAML files that people write: read whole, with every fault named by file and line."""

from __future__ import annotations

import os
from typing import Any

import yaml

from recbole_attnseq.errors import UserError


class _Loader(yaml.SafeLoader):
    """YAML's plain types; refuses a key given twice, of which YAML would keep the last without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here, not where values are made: by then a merge (<<) has put in keys that those beside it may repeat.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                line, same = key.start_mark.line + 1, (key.tag, key.value)
                if same in lines:
                    raise _Twice(line, f"'{key.value}' is given twice, first in line {lines[same]}; keep one.")
                lines[same] = line
        return node


class _Twice(Exception):
    """A key given twice: the line, and what to say."""


def read_yaml(path: str | os.PathLike[str], what: str) -> Any:
    """What a YAML file holds.

    Args:
        path: the file.
        what: what it is to a person, e.g. ``"space file"``.

    Raises:
        UserError: the file cannot be read, is no YAML, or gives a key twice; named with its line.
    """
    place = os.fspath(path)
    try:
        with open(place, encoding="utf-8") as file:
            return yaml.load(file, Loader=_Loader)
    except _Twice as twice:
        raise UserError(f"{place}:{twice.args[0]}: {twice.args[1]}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{place}:{mark.line + 1}" if mark else place
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise UserError(f"{where}: not valid YAML ({problem}); correct that line.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {place} cannot be read ({error}); store it as UTF-8 text.") from error
    except ValueError as error:  # a date that is none, for instance
        raise UserError(f"{place}: not valid YAML ({error}); correct that value.") from error
