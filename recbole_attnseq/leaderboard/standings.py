"""One data set's table: every row's figures from its records, and each row against the best other."""

from __future__ import annotations

import json
import re
import shlex
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_attnseq.data.prepare.source import RECBOLES_OWN
from recbole_attnseq.leaderboard.board import Board
from recbole_attnseq.leaderboard.cells import DONE, Cell, Inventory, State, flags_of, state_of
from recbole_attnseq.leaderboard.facts import HISTORY_GROUPS, POPULARITY_GROUPS, SplitFacts
from recbole_attnseq.leaderboard.meanings import changed_rules
from recbole_attnseq.leaderboard.measures import ACCURACY, BEYOND, CUTOFFS, Floats, per_target
from recbole_attnseq.leaderboard.records import RunRecord, aligned_seeds
from recbole_attnseq.leaderboard.significance import (
    LEVEL,
    Comparison,
    compare,
    holm,
    mean_and_deviation,
    per_user,
)
from recbole_attnseq.registration import MODEL, SINCE

METRICS = tuple(f"{name.lower()}@{k}" for name in ACCURACY for k in CUTOFFS)
BEYOND_METRICS = tuple(f"{name.lower()}@{k}" for name in BEYOND for k in CUTOFFS)
# Of makers, in the names of their processors.
_DECORATION = re.compile(r"\(R\)|\(TM\)|\bCPU\b|\bProcessor\b|@.*")


@dataclass
class TableRow:
    """A row and its finished runs.

    Attributes:
        name: what the table calls it.
        model: RecBole's name.
        tune: what the search of its settings may take, or None where there is none.
        runs: path and record of each finished seed.
        empty: (seed, why) of each cell without a result.
        versus: compared metric to the best other row's name, the comparison, and its Holm-corrected p-value.
    """

    name: str
    model: str
    tune: Mapping[str, float] | None = None
    runs: list[tuple[Path, RunRecord]] = field(default_factory=list)
    empty: list[tuple[int, str]] = field(default_factory=list)
    versus: dict[str, tuple[str, Comparison, float]] = field(default_factory=dict)

    def values(self, metric: str, users: Sequence[str] | None = None) -> Floats:
        """(R,) the metric of every target, averaged over seeds; in the order of ``users``."""
        order = self.runs[0][1].users if users is None else users
        mean: Floats = self.each_seed(metric, order).mean(axis=0)
        return mean

    def each_seed(self, metric: str, users: Sequence[str]) -> Floats:
        """(S, R) the metric of every target at every seed, in the order of ``users``."""
        return per_target(metric, aligned_seeds([record for _, record in self.runs], users))

    def score(self, metric: str) -> tuple[float, float | None]:
        """Mean and standard deviation over seeds of a metric that follows from ranks."""
        return mean_and_deviation([float(per_target(metric, record.ranks).mean()) for _, record in self.runs])

    def as_dict(self, facts: SplitFacts | None, compared: Sequence[str], root: Path) -> dict[str, Any]:
        """Everything that a page shows of the row, as JSON values."""
        records = [record for _, record in self.runs]
        beyond = {key: [r.beyond[key] for r in records if key in r.beyond] for key in BEYOND_METRICS}
        result: dict[str, Any] = {
            "name": self.name,
            "model": self.model,
            "empty": [[seed, why] for seed, why in self.empty],
            "runs": [run_as_dict(path, record, self.name, root) for path, record in self.runs],
        }
        if not records:
            return result
        result["metrics"] = {metric: rounded(self.score(metric)) for metric in METRICS} | {
            key: rounded(mean_and_deviation(values)) for key, values in beyond.items() if values
        }
        result["cost"] = cost(records)
        result["bucketed"] = any(record.bucketed for record in records)
        result["coarse"] = any(record.coarse for record in records)
        result["versus"] = {
            metric: {
                "other": other,
                "difference": round(found.difference, 6),
                "low": round(found.low, 6),
                "high": round(found.high, 6),
                "p": round(found.p, 6),
                "holm": round(corrected, 6),
                "significant": corrected < LEVEL,
            }
            for metric, (other, found, corrected) in self.versus.items()
        }
        if facts is not None:
            result["history"] = self._split(compared, facts, facts.history_group(), len(HISTORY_GROUPS))
            result["popularity"] = self._split(compared, facts, facts.popularity_group(), len(POPULARITY_GROUPS))
        return result

    def _split(
        self, metrics: Sequence[str], facts: SplitFacts, group: Any, count: int
    ) -> dict[str, list[float | None]]:
        """Each metric's mean within each group of targets; None for a group without any."""
        result = {}
        for metric in metrics:
            values = self.values(metric, facts.users)
            result[metric] = [
                round(float(values[group == part].mean()), 6) if (group == part).any() else None
                for part in range(count)
            ]
        return result


@dataclass
class Table:
    """One data set's leaderboard.

    Attributes:
        board: name of the configuration.
        dataset: its name.
        compared: metrics that are tested, the first one orders the rows.
        planned: names of the rows whose best AttnSeq was meant to meet before any had run.
        rows: those with results, best first, then the empty ones.
        facts: of the split; None where their file is missing.
        notes: what the board says of it, and what was left out, and why.
    """

    board: str
    dataset: str
    compared: tuple[str, ...]
    planned: tuple[str, ...]
    rows: list[TableRow]
    facts: SplitFacts | None
    notes: list[str]

    @property
    def full(self) -> list[TableRow]:
        """The rows that have results."""
        return [row for row in self.rows if row.runs]


def make_table(
    board: Board,
    dataset: str,
    cells: Sequence[Cell],
    inventory: Inventory,
    facts: Mapping[str, SplitFacts],
    runs: Path,
    split_hash: str | None = None,
) -> Table:
    """The table of a board's cells on one data set.

    Records of another split, protocol or users than most of the table's are left out, named; so are cells whose
    records disagree.

    Args:
        board: the leaderboard.
        dataset: which of its data sets.
        cells: the board's.
        inventory: the records there are.
        facts: split hash to what the split is.
        runs: the folder of the records.
        split_hash: the split that the data give now, whose records alone count; None where that is not known.
    """
    states = [(cell, state_of(cell, inventory, runs, split_hash)) for cell in cells if cell.row.dataset == dataset]
    kinds = Counter(_kind(state.record) for _, state in states if state.record is not None)
    kind = kinds.most_common(1)[0][0] if kinds else None
    split = kind[0] if kind else None
    alike = [state.record for _, state in states if state.record is not None and _kind(state.record) == kind]
    users = _users(alike, facts.get(split) if split else None)
    rows: dict[str, TableRow] = {}
    notes = list(board.notes)
    for cell, state in states:
        row = rows.setdefault(cell.row.name, TableRow(cell.row.name, cell.row.model, cell.row.tune))
        if state.word == DONE and state.record is not None and state.path is not None:
            if _kind(state.record) != kind:
                notes.append(_left_out(state.path.name, state.record, kind))
            elif sorted(state.record.users) != users:
                notes.append(f"{state.path.name} has other users than its split: left out; run the cell again.")
            else:
                row.runs.append((state.path, state.record))
                continue
        row.empty.append((cell.seed, _why(state)))
    for name, row in rows.items():
        precisions = sorted({record.precision for _, record in row.runs if record.precision})
        if len(precisions) > 1:
            notes.append(f"{name}: its seeds were trained in different precisions ({', '.join(precisions)}).")
    names = tuple(metric.lower() for metric in board.compare)
    full = sorted((row for row in rows.values() if row.runs), key=lambda row: -row.score(names[0])[0])
    for metric in names:
        against_best_other(full, metric)
    known = facts.get(split) if split else None
    if split and known is None:
        notes.append(f"splits/{split}.json is missing: no figures by history and popularity; run one cell again.")
    ordered = [*full, *(row for row in rows.values() if not row.runs)]
    return Table(board.path.stem, dataset, names, board.planned, ordered, known, notes)


def _users(records: Sequence[RunRecord], facts: SplitFacts | None) -> list[str]:
    """The users of a split's targets, sorted: as its facts have them, or else as most of its records do."""
    if facts is not None:
        return sorted(facts.users)
    found = Counter(tuple(sorted(record.users)) for record in records)
    return list(found.most_common(1)[0][0]) if found else []


def _kind(record: RunRecord) -> tuple[str, str]:
    """What records must share to compare: the split's hash, and the protocol."""
    return record.split_hash, json.dumps(record.protocol, sort_keys=True)


def _left_out(name: str, record: RunRecord, kind: tuple[str, str] | None) -> str:
    split, protocol = kind or ("", "{}")
    if record.split_hash != split:
        return f"{name} is of split {record.split_hash}, the table of {split}: left out."
    usual = json.loads(protocol)
    keys = [key for key in record.protocol if record.protocol[key] != usual.get(key)]
    others = ", ".join(f"{key} {record.protocol[key]}, the table's {usual.get(key)}" for key in keys)
    return f"{name} was ranked otherwise ({others}): left out; settings of the board make one rule for all."


def _why(state: State) -> str:
    if state.word == DONE:
        return "its record is of another split or protocol, or has other users"
    return {"missing": "not run yet", "stale": "to be run again"}.get(state.word, state.why)


def against_best_other(rows: Sequence[TableRow], metric: str) -> None:
    """Compare each row with the best of the others, and correct the p-values for the number of pairs.

    The best row meets the second, every other row the best: one pair fewer than rows.
    """
    if len(rows) < 2:
        return
    order = sorted(rows, key=lambda row: -row.score(metric)[0])
    users = order[0].runs[0][1].users
    best = per_user(order[0].values(metric, users), users)
    found = [compare(per_user(row.values(metric, users), users), best) for row in order[1:]]
    corrected = holm([one.p for one in found])
    for row, one, p in zip(order[1:], found, corrected, strict=True):
        row.versus[metric] = (order[0].name, one, p)
    second = found[0]
    turned = Comparison(-second.difference, -second.high, -second.low, second.p, second.users)
    order[0].versus[metric] = (order[1].name, turned, corrected[0])


def cost(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Means over seeds of what the runs took (epochs, seconds, processor seconds, MiB, parameters), and on what."""
    epochs = [record.epochs for record in records]
    return {
        "epochs": round(statistics.mean(epochs), 1),
        "seconds": round(statistics.mean(r.seconds for r in records), 1),
        "processor": round(statistics.mean(r.processor_seconds for r in records), 1),
        "epoch": round(statistics.mean(r.processor_seconds / n for r, n in zip(records, epochs, strict=True)), 3),
        "memory": round(statistics.mean(r.peak_memory for r in records)),
        "parameters": round(statistics.mean(r.parameters for r in records)),
        "processors": processors(records),
    }


def processors(records: Sequence[RunRecord]) -> str:
    """The kinds of processors that ran, without what their makers add: seconds of two kinds do not compare."""
    names = (str(record.hardware.get("processor") or "unknown") for record in records)
    return ", ".join(sorted({" ".join(_DECORATION.sub(" ", name).split()) for name in names}))


def run_as_dict(path: Path, record: RunRecord, row: str, root: Path) -> dict[str, Any]:
    """One run of a row: its record's place below ``root``, its command, its curve."""
    return {
        "seed": record.seed,
        "file": path.relative_to(root).as_posix(),
        "hash": record.config_hash,
        "commit": record.commit,
        "processor": record.hardware.get("processor"),
        "command": command_of(record, row),
        "curve": [[int(p["epoch"]), p["valid"], round(p["processor_seconds"], 1)] for p in record.curve],
    }


def command_of(record: RunRecord, row: str) -> str:
    """The command that makes the record of a row again, with the data where ``attnseq prepare`` puts them."""
    words = ["attnseq", "run", f"--model={record.model}", f"--dataset={record.dataset}", f"--seed={record.seed}"]
    if record.dataset != RECBOLES_OWN:
        words.append("--data_path=datasets")
    settings = {key: value for key, value in record.settings.items() if key not in ("model", "dataset")}
    words += flags_of(settings)
    if record.model == MODEL:  # what it did not have to say when there was nothing else, or auto meant the same
        words += flags_of({key: value for key, value in SINCE.items() if key not in record.config})
        words += flags_of({key: then for key, then, _ in changed_rules(record)})
        if "user_encoder" not in settings and record.config.get("user_encoder") != "auto":  # the default then
            words += flags_of({"user_encoder": record.config.get("user_encoder")})
    for how in ("fast_batches", "fast_layers", "compiled"):
        value = record.notes.get(how)
        if value:
            words.append(f"--{how}" if value is True else f"--{how}={value}")
    if row != record.model:
        words.append(f"--row={row}")
    return shlex.join([*words, "--record=results/runs"])


def rounded(pair: tuple[float, float | None]) -> list[float | None]:
    """Mean and deviation for a page: six decimals tell all that a rank can."""
    return [round(pair[0], 6), None if pair[1] is None else round(pair[1], 6)]
