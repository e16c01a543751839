"""How long what is missing will take, from records of the same model."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_attnseq.leaderboard.cells import Cell, Inventory
from recbole_attnseq.leaderboard.facts import SplitFacts
from recbole_attnseq.leaderboard.records import RunRecord, is_sequential
from recbole_attnseq.nn.user_encoders import USER_ENCODERS, Transformer
from recbole_attnseq.registration import MODEL


def seconds_for(cell: Cell, inventory: Inventory, facts: Mapping[str, SplitFacts]) -> float | None:
    """Seconds a cell will take: the mean of its row's other runs on the data set, else of its model's runs there,
    else of its model's runs elsewhere, scaled as the times of models of its sort are between there and here, else on
    the data set that is nearest in the work of an epoch, scaled by it. All a network's, so that a row of several takes
    as many times as long. None where there are none.

    Args:
        cell: which.
        inventory: the records there are.
        facts: split hash to the split's facts, as far as they are known.
    """
    alone = _seconds_of_one(cell, inventory, facts)
    return None if alone is None else alone * _members(cell.config)


def _seconds_of_one(cell: Cell, inventory: Inventory, facts: Mapping[str, SplitFacts]) -> float | None:
    """:func:`seconds_for`, of one network of the cell's."""
    kind = _kind(cell.row.model, cell.config)
    here = [
        record
        for _, record in inventory.records.get(cell.row.dataset, [])
        if _kind(record.model, record.config) == kind
    ]
    row = [record for record in here if record.config_hash == cell.config_hash]
    row = row or [record for record in here if record.row == cell.row.name] or here
    if row:
        return statistics.mean(_seconds(record) for record in row)
    companions = _as_companions_say(cell, inventory)
    if companions is not None:
        return companions
    split = next((each for each in facts.values() if each.dataset == cell.row.dataset), None)
    if split is None:
        return None
    work = _work(cell.row.model, cell.config, split)
    known = [
        (_work(record.model, record.config, facts[record.split_hash]), record)
        for records in inventory.records.values()
        for _, record in records
        if _kind(record.model, record.config) == kind and record.split_hash in facts
    ]
    if not known:
        return None
    # Long histories cost less a token than short ones, and large data are learned in fewer epochs: what is alike says
    # most.
    near = min(known, key=lambda pair: abs(math.log(work / pair[0])))[1].dataset
    return statistics.mean(_seconds(record) * work / there for there, record in known if record.dataset == near)


def _kind(model: str, config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What takes alike long: a model; of AttnSeq an encoder and an attention, which differ a hundredfold. What is made
    of the transformer takes about as long as it does."""
    if model != MODEL:
        return (model,)
    encoder = str(config.get("user_encoder"))
    if encoder == "auto" or (encoder in USER_ENCODERS and issubclass(USER_ENCODERS[encoder], Transformer)):
        encoder = "transformer"
    return (model, encoder, config.get("attention"))


def _seconds(record: RunRecord) -> float:
    return record.seconds / _members(record.config)


def _members(config: Mapping[str, Any]) -> int:
    """Networks that train together: each adds as much time as the first takes."""
    members = config.get("members")
    return members if isinstance(members, int) and members > 0 else 1  # the run itself refuses others


def _as_companions_say(cell: Cell, inventory: Inventory) -> float | None:
    """The median, over the data sets where the cell's model has run and the models of its sort that have run both
    there and here, of its seconds there times theirs here over theirs there; None of fewer than two such figures.

    Of the committed records, each estimated from all others, half are within a factor of 1.5 this way and of 2.7 by
    the work of an epoch: how many epochs a data set takes is in the first alone.
    """
    runs: dict[tuple[tuple[Any, ...], str], list[float]] = {}
    sort = _sort(cell.row.model, cell.config)
    kind = _kind(cell.row.model, cell.config)
    for dataset, records in inventory.records.items():
        for _, record in records:
            if _sort(record.model, record.config) == sort:
                runs.setdefault((_kind(record.model, record.config), dataset), []).append(_seconds(record))
    times = {place: statistics.median(seconds) for place, seconds in runs.items()}
    here, there = cell.row.dataset, [dataset for theirs, dataset in times if theirs == kind]
    companions = {theirs for theirs, dataset in times if dataset == here}
    estimates = [
        times[kind, dataset] * times[each, here] / times[each, dataset]
        for dataset in there
        for each in companions
        if (each, dataset) in times
    ]
    return statistics.median(estimates) if len(estimates) > 1 else None


def _sort(model: str, config: Mapping[str, Any]) -> str:
    """``histories`` where each target brings its own into a step (RecBole's sequential models, and encoders that look
    both ways), ``windows`` where a step takes each token once (AttnSeq otherwise), else ``pairs``."""
    encoder = str(config.get("user_encoder"))
    if model == MODEL and (encoder not in USER_ENCODERS or USER_ENCODERS[encoder].causal):
        return "windows"
    return "histories" if is_sequential(model) and config.get("MAX_ITEM_LIST_LENGTH") else "pairs"


def _work(model: str, config: Mapping[str, Any], facts: SplitFacts) -> float:
    """What an epoch costs, up to a factor of the model's own: its targets, times the mean length of their histories
    where each target brings its own."""
    if _sort(model, config) != "histories":
        return facts.train_count
    longest = config["MAX_ITEM_LIST_LENGTH"]
    # A user's h interactions are histories of 1 to h of them, each cut at the longest.
    whole = np.asarray(facts.history, dtype=np.float64)
    cut = np.minimum(whole, longest)
    tokens = cut * (cut + 1) / 2 + (whole - cut) * longest
    return facts.train_count * float(tokens.sum() / max(1.0, whole.sum()))


def duration(seconds: float) -> str:
    """For a person: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
