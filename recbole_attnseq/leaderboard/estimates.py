"""How long what is missing will take, from records of the same model."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from recbole_attnseq.leaderboard.cells import Cell, Inventory
from recbole_attnseq.leaderboard.facts import SplitFacts


def seconds_for(cell: Cell, inventory: Inventory, facts: Mapping[str, SplitFacts]) -> float | None:
    """Seconds a cell will take: the mean of its row's other runs on the data set, else of its model's runs there,
    else of its model's runs elsewhere, scaled by the number of training targets. None where there are none.

    Args:
        cell: which.
        inventory: the records there are.
        facts: split hash to the split's facts, as far as they are known.
    """
    here = [record for _, record in inventory.records.get(cell.row.dataset, []) if record.model == cell.row.model]
    row = [record.seconds for record in here if record.config_hash == cell.config_hash]
    row = row or [record.seconds for record in here if record.row == cell.row.name]
    if row or here:
        return statistics.mean(row or [record.seconds for record in here])
    target = next((known.train_count for known in facts.values() if known.dataset == cell.row.dataset), None)
    pace = [
        record.seconds / facts[record.split_hash].train_count
        for records in inventory.records.values()
        for _, record in records
        if record.model == cell.row.model and record.split_hash in facts
    ]
    return statistics.mean(pace) * target if pace and target is not None else None


def duration(seconds: float) -> str:
    """For a person: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
