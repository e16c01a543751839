"""What a configuration comes to on its data: two may say it in other words, one may come to something else today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole_attnseq.data_rules import FOLLOWING, what_auto_means
from recbole_attnseq.leaderboard.records import RunRecord
from recbole_attnseq.registration import BEFORE


def same_computation(record: RunRecord, config: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Whether a record is of what ``config`` computes, though it may say so in other words.

    It is where the one leaves out what the other says, and where the one says auto and the other what auto comes to.

    Args:
        record: of the model and the data set that the configuration is for.
        config: what identifies a computation, see :func:`~recbole_attnseq.leaderboard.records.config_identity`.
        counts: what the rules of auto go by, as far as it is known of the record's split.
    """
    then, now = {**BEFORE, **record.config}, {**BEFORE, **config}
    resolved = record.notes.get("resolved") or {}
    computed = {key: resolved[key] for key in FOLLOWING if then.get(key) == "auto" and key in resolved}
    differing = {key for key in {*then, *now} if then.get(key) != now.get(key)}
    known = {**counts, **(record.notes.get("counts") or {})}
    if not known or not (differing or computed):
        return not differing
    if not differing <= {*FOLLOWING}:
        return False
    then.update(computed)
    for settings in (then, now):
        settings.update(what_auto_means(settings, record.protocol["exclude_history"], **known))
    differing |= computed.keys()  # a rule may have changed since: both say auto, and mean another value
    return all(then.get(key) == now.get(key) for key in differing)


def changed_rules(record: RunRecord) -> list[tuple[str, Any, Any]]:
    """Settings that say auto and have another meaning today: key, meaning then, meaning now.

    A configuration's hash holds the word alone. Records of before runs kept their counts cannot be told.
    """
    counts, then = record.notes.get("counts"), record.notes.get("resolved")
    if not counts or not then:
        return []
    now = what_auto_means(record.config, record.protocol["exclude_history"], **counts)
    return [(key, then[key], value) for key, value in now.items() if then.get(key, value) != value]
