"""What is known of a data set without being told: the YAML files under configs/, and what ``attnseq prepare`` writes.

The files lie beside the package in a checkout, inside it when installed.
"""

from __future__ import annotations

import copy
import json
import os
from logging import getLogger
from pathlib import Path
from typing import Any

import yaml

from recbole_attnseq.errors import UserError

_PACKAGE = Path(__file__).resolve().parent
_SAID: set[str] = set()
# The columns that every prepared .inter file begins with.
_COLUMNS: dict[str, Any] = {
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "TIME_FIELD": "timestamp",
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
}


def shipped(kind: str, name: str) -> Path | None:
    """``configs/KIND/NAME.yaml`` as it comes with this package, or None.

    Args:
        kind: ``dataset``, ``model`` or ``space``.
        name: file name without its ending.
    """
    for root in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        path = root / kind / f"{name}.yaml"
        if path.is_file():
            return path
    return None


def dataset_settings(name: str, data_path: str, wanted: Any, recboles_own: bool, loader: Any) -> dict[str, Any]:
    """The settings of ``configs/dataset/NAME.yaml`` where they apply, else of a prepared folder its columns.

    The file fits what ``attnseq prepare NAME`` writes, so it applies to such a folder and to no other of that name: a
    RecBole user's own files keep the meaning that they had. What ``attnseq prepare`` made of other data has the same
    three columns, which are loaded, so that a person need not say which has the times. Where RecBole has a file for the
    name (ml-100k), it rules.

    Args:
        name: the data set's name.
        data_path: the folder that holds the data set's folder.
        wanted: ``auto`` (or None) as above; True applies the file to any folder, False leaves all out.
        recboles_own: whether RecBole has ``properties/dataset/NAME.yaml``.
        loader: the YAML loader.

    Raises:
        UserError: True for a data set that has no such settings, or has RecBole's.
    """
    if wanted not in (None, "auto", True, False):
        raise UserError(f"dataset_config is {wanted!r}; choose auto, True or False.")
    if wanted is True and recboles_own:
        raise UserError(f"dataset_config: RecBole has settings of its own for '{name}'; give others with config_files.")
    if wanted is False or recboles_own:
        return {}
    path, source = shipped("dataset", name), _source(name, data_path)
    if path is not None and (wanted is True or source == name):
        _say(name, os.path.relpath(path))
        values: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
        return values
    if source is None:
        if wanted is True:
            raise UserError(f"dataset_config: there are no settings for a data set '{name}'; see `attnseq datasets`.")
        return {}
    _say(name, "the columns that attnseq prepare wrote")
    return copy.deepcopy(_COLUMNS)


def _say(name: str, what: str) -> None:
    """Once a process, since RecBole makes several configurations on its way."""
    if name not in _SAID:
        _SAID.add(name)
        getLogger().warning(f"data set settings: {what} (dataset_config=False leaves them out)")


def _source(name: str, data_path: str) -> str | None:
    """Of which download ``attnseq prepare`` made the folder, by its record; None where it did not."""
    try:
        record = json.loads((Path(data_path) / name / f"{name}.meta.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    source = record.get("source") if isinstance(record, dict) else None
    return source if isinstance(source, str) else None
