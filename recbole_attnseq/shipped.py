"""The YAML files under configs/, wherever they lie: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

import json
import os
from logging import getLogger
from pathlib import Path
from typing import Any

import yaml

from recbole_attnseq.errors import UserError

_PACKAGE = Path(__file__).resolve().parent
_SAID: set[str] = set()


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
    """The settings of ``configs/dataset/NAME.yaml`` where they apply; empty where they do not.

    They fit what ``attnseq prepare NAME`` writes, so they apply to such a folder and to no other of that name: a
    RecBole user's own files keep the meaning that they had. Where RecBole has a file for the name (ml-100k), it rules.

    Args:
        name: the data set's name.
        data_path: the folder that holds the data set's folder.
        wanted: ``auto`` (or None) as above; True applies them to any folder, False to none.
        recboles_own: whether RecBole has ``properties/dataset/NAME.yaml``.
        loader: the YAML loader.

    Raises:
        UserError: True for a data set that has no such settings, or has RecBole's.
    """
    if wanted not in (None, "auto", True, False):
        raise UserError(f"dataset_config is {wanted!r}; choose auto, True or False.")
    path = shipped("dataset", name)
    if wanted is True:
        if recboles_own:
            raise UserError(
                f"dataset_config: RecBole has settings of its own for '{name}'; give others with config_files."
            )
        if path is None:
            raise UserError(f"dataset_config: there are no settings for a data set '{name}'; see `attnseq datasets`.")
    elif wanted is False or recboles_own or path is None or not _prepared(name, data_path):
        return {}
    if name not in _SAID:
        _SAID.add(name)
        getLogger().warning(f"data set settings: {os.path.relpath(path)} (dataset_config=False leaves them out)")
    values: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return values


def _prepared(name: str, data_path: str) -> bool:
    """Whether ``attnseq prepare NAME`` made the folder, by its record."""
    try:
        record = json.loads((Path(data_path) / name / f"{name}.meta.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("source") == name
