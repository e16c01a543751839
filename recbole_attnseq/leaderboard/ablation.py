"""Trials that informed a choice, beside the default that came of them: what one change does, and all else tried."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_attnseq.data_rules import what_auto_means
from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.facts import SplitFacts
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.records import RunRecord, read_record

METRIC = "ndcg@10"
# The bars of what is the default and of what was: the transformer alone, and without waits. Trials changed one of them.
DEFAULT, TRANSFORMER, BEFORE = "the default", "the transformer", "the default before"
DEFAULTS = (DEFAULT, TRANSFORMER, BEFORE)
# What a configuration that says nothing of these keys means; of other keys that it lacks, it is too old to tell.
# ``experiment`` is written into the records of changed code that did not stay.
_UNSAID: Mapping[str, Any] = {
    "members": 1, "experiment": "none", "history_negatives": True, "time_gaps": False, "mean_dropout_prob": 0.0,
}  # fmt: skip
# What does not make two trials differ: repetitions, and how long they might have gone on.
_NO_DIFFERENCE = {"seed", "epochs", "stopping_step", "dataset", "data_path", "topk", "metrics"}
_NOTHING: tuple[Any, ...] = (None, [], {}, "")
# A trial that differs from the default in no more keys than these is one change: some changes take two.
_ONE_CHANGE = 2
_SEED = re.compile(r"_(19|20)\d\d$")

# Data set and candidates, as the report's groups are.
Place = tuple[str, str]
# A record's path and the record.
Run = tuple[str, RunRecord]


def candidates_of(record: RunRecord) -> str:
    """What a record's targets were ranked among."""
    return "new items" if record.protocol["exclude_history"] else "all items"


def read_trials(
    folder: Path, defaults: Mapping[Place, Mapping[str, Sequence[Run]]], facts: Mapping[str, SplitFacts]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The trials of a folder by data set and candidates; selected on validation, so that is what they are ordered by.

    Seeds of one trial are one bar. Each says by which settings it differs from the default, or, where the default has
    not run, from the best of its group. A setting that a trial does not know is none that it differs in. Where there is
    a row of what was the default before, a trial is told from whichever it is nearest to.

    Args:
        folder: holds a folder of records for each data set; a file's name says what the trial is, then its seed.
        defaults: records with their paths, from where ``folder`` lies, of the default and of what was it before, each
            under the name of its bar.
        facts: split hash to the split's facts, as far as they are known: they tell what auto means.

    Returns:
        The groups, and a line for each record that cannot be drawn.
    """
    groups: dict[Place, dict[str, list[Run]]] = {}
    skipped: list[str] = []
    for path in sorted(folder.glob("*/*.json")):
        try:
            record = read_record(path)
        except UserError as error:
            skipped.append(str(error))
            continue
        if METRIC not in record.valid:
            skipped.append(f"record {path} has no validation {METRIC}; it is not drawn.")
            continue
        trials = groups.setdefault((path.parent.name, candidates_of(record)), {})
        key = json.dumps([record.split_hash, _settings(record, facts)], sort_keys=True)
        if not any((other.seed, other.ranks) == (record.seed, record.ranks) for _, other in trials.get(key, [])):
            trials.setdefault(key, []).append((path.relative_to(folder.parent).as_posix(), record))
    found = []
    for (dataset, candidates), trials in groups.items():
        bars = _bars(_one_code(trials.values()), defaults.get((dataset, candidates), {}), facts)
        found.append({"dataset": dataset, "candidates": candidates, "metric": METRIC, "bars": bars})
    return found, skipped


def _one_code(trials: Iterable[Sequence[Run]]) -> list[list[Run]]:
    """Seeds in order; where code made two things of the same settings and seed, its commits are apart."""
    found: list[list[Run]] = []
    for runs in trials:
        seeds = [record.seed for _, record in runs]
        apart: dict[str, list[Run]] = {}
        for run in sorted(runs, key=lambda run: run[1].seed):
            apart.setdefault(run[1].commit if len(set(seeds)) < len(seeds) else "", []).append(run)
        found += apart.values()
    return found


def _bars(
    trials: Sequence[Sequence[Run]],
    defaults: Mapping[str, Sequence[Run]],
    facts: Mapping[str, SplitFacts],
) -> list[dict[str, Any]]:
    ordered = sorted(trials, key=_mean, reverse=True)
    bases = {name: _settings(runs[0][1], facts) for name, runs in defaults.items()}
    # Where no default has run: the best.
    first = next((bases[name] for name in DEFAULTS if name in bases), None) or _settings(ordered[0][0][1], facts)
    bars = []
    for runs in ordered:
        records = [record for _, record in runs]
        own = _settings(records[0], facts)
        name = min(bases, key=lambda name: len(_changed(own, bases[name])), default="")
        default = defaults.get(name, [])
        comparable = bool(default) and records[0].split_hash == default[0][1].split_hash
        bars.append({
            **_bar(_SEED.sub("", Path(runs[0][0]).stem), runs),
            "differs": _differences(own, first),
            "against": _against(records, [record for _, record in default]) if comparable else None,
            "near": comparable and _near(own, bases[name]),
        })  # fmt: skip
    if not defaults:
        bars[0]["differs"] = _differences(first, {**first, **_UNSAID})  # nothing stands above it to differ from
        return bars
    for name, runs in defaults.items():
        against = _against([record for _, record in runs], [record for _, record in defaults.get(DEFAULT, runs)])
        bars.append({**_bar(name, runs), "differs": _differences(bases[name], first), "against": against, "near": True})
    return sorted(bars, key=lambda bar: -bar["valid"])


def _mean(runs: Sequence[Run]) -> float:
    return statistics.mean(record.valid[METRIC] for _, record in runs)


def _bar(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    valid = [record.valid[METRIC] for _, record in runs]
    test = [float(per_target(METRIC, record.ranks).mean()) for _, record in runs]
    return {
        "name": name,
        "files": [[record.seed, file] for file, record in runs],
        "valid": round(statistics.mean(valid), 6),
        "low": round(min(valid), 6),
        "high": round(max(valid), 6),
        "test": round(statistics.mean(test), 6),
    }


def _against(trial: Sequence[RunRecord], default: Sequence[RunRecord]) -> float:
    """Difference of validation means, over the seeds that both have, if they share any: seeds differ by much."""
    by_seed = {record.seed: record.valid[METRIC] for record in default}
    shared = [record for record in trial if record.seed in by_seed]
    if not shared:
        return round(statistics.mean(r.valid[METRIC] for r in trial) - statistics.mean(by_seed.values()), 6)
    return round(statistics.mean(record.valid[METRIC] - by_seed[record.seed] for record in shared), 6)


def _settings(record: RunRecord, facts: Mapping[str, SplitFacts]) -> dict[str, Any]:
    """What decides the computation, with what auto meant on the data."""
    settings = {key: value for key, value in {**_UNSAID, **record.config}.items() if key not in _NO_DIFFERENCE}
    if _cut(record):
        settings["epochs"] = int(record.curve[-1]["epoch"]) + 1
    then: Mapping[str, Any] = record.notes.get("resolved", {})
    settings |= {key: then[key] for key in settings.keys() & then.keys() if settings[key] == "auto"}
    split = facts.get(record.split_hash)
    if split is not None:  # records of before that was kept: what auto means today
        settings |= what_auto_means(settings, record.protocol["exclude_history"], **split.counts())
    return settings


def _cut(record: RunRecord) -> bool:
    """Whether a run ended before it stopped by itself: by its number of epochs, or by hand."""
    if not record.curve:
        return False
    epochs, patience = record.config.get("epochs"), record.config.get("stopping_step")
    after = sum(point["epoch"] > record.best_epoch for point in record.curve)
    # RecBole stops at the first evaluation beyond its patience.
    by_hand = patience is not None and patience > 0 and after <= patience
    return by_hand or (epochs is not None and record.curve[-1]["epoch"] + 1 >= epochs)


def _changed(settings: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    known = settings.keys() & other.keys()
    added = {key for key in settings.keys() - other.keys() if settings[key] not in _NOTHING}
    # What still says auto is of a record that did not keep what it came to.
    apart = {key for key in known if settings[key] != other[key] and "auto" not in (settings[key], other[key])}
    return sorted(apart | added)


def _differences(settings: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """``key=value`` of a trial's settings where others have another value or none."""
    return ", ".join(f"{key}={settings[key]}" for key in _changed(settings, other))


def _near(settings: Mapping[str, Any], default: Mapping[str, Any]) -> bool:
    """Whether a trial is the default but for one change, of settings alone; one cut short tells of its cut."""
    known = default.keys() <= settings.keys() and settings["experiment"] == _UNSAID["experiment"]
    cut = settings.get("epochs") != default.get("epochs")
    return known and not cut and 0 < len(_changed(settings, default)) <= _ONE_CHANGE
