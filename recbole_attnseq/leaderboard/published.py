"""Figures that others reported, shown beside ours where data and protocol are the same.

The file names for each data set the data's size and the protocol; a table shows the figures only where both are its
own, which it checks. A row whose authors depart from them says in what (``differs``), and is shown with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.measures import split_name
from recbole_attnseq.training.checks import read_files

PUBLISHED = "published.yaml"
_WORDS = ("model", "from", "differs")  # keys of a row that are no metrics


def read_published(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Data set to its reported rows; nothing where there is no such file.

    Raises:
        UserError: a data set lacks its size or protocol, or a row its model or source, or a metric is unknown.
    """
    if not path.is_file():
        return {}
    result: dict[str, list[dict[str, Any]]] = {}
    for dataset, about in read_files([str(path)]).items():
        if not isinstance(about, dict) or not {"data", "protocol", "rows"} <= set(about):
            raise UserError(f"{path}: '{dataset}' needs data, protocol and rows.")
        if not isinstance(about["data"], dict) or set(about["data"]) != {"users", "items", "interactions"}:
            raise UserError(f"{path}: '{dataset}': data needs users, items and interactions.")
        if not isinstance(about["protocol"], dict) or not isinstance(about["rows"], list):
            raise UserError(f"{path}: '{dataset}': protocol is a mapping, rows are a list.")
        for row in about["rows"]:
            if not isinstance(row, dict) or not {"model", "from"} <= set(row):
                raise UserError(f"{path}: '{dataset}': a row lacks its model or where it is from: {row}.")
            given = {str(key).lower(): value for key, value in row.items() if key not in _WORDS}
            for metric, value in given.items():
                try:
                    split_name(metric)
                except UserError as error:
                    raise UserError(f"{path}: '{dataset}', {row['model']}: {error}") from None
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise UserError(f"{path}: '{dataset}', {row['model']}: {metric} is {value!r}, no number.")
            metrics = {metric: float(value) for metric, value in given.items()}
            differs = f"; differs: {row['differs']}" if "differs" in row else ""
            entry = {"model": str(row["model"]), "from": f"{row['from']}{differs}", "metrics": metrics}
            result.setdefault(str(dataset), []).append({**entry, "data": about["data"], "protocol": about["protocol"]})
    return result
