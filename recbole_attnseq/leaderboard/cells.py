"""The cells of a leaderboard, a run each: what they compute, where their record lies, what state it is in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_attnseq.errors import UserError, unknown_name
from recbole_attnseq.leaderboard.board import Board, Row
from recbole_attnseq.leaderboard.facts import read_facts
from recbole_attnseq.leaderboard.meanings import changed_rules, same_computation
from recbole_attnseq.leaderboard.records import (
    RunRecord,
    config_identity,
    hash_of,
    is_sequential,
    protocol,
    read_record,
    record_name,
)
from recbole_attnseq.registration import keys_known_to, keys_of_models
from recbole_attnseq.training.processes import write_whole
from recbole_attnseq.training.session import make_config
from recbole_attnseq.tuning.space_files import load_space, shipped_space
from recbole_attnseq.yaml_files import read_yaml

# What decides which interactions a model learns from and is tested on; and of eval_args, all but the candidates.
_SPLIT = (
    "benchmark_filename", "filter_inter_by_user_or_item", "item_inter_num_interval", "rm_dup_inter",
    "user_inter_num_interval", "val_interval",
)  # fmt: skip

DONE, MISSING, STALE, FAILED, CONFLICT = "done", "missing", "stale", "failed", "conflict"


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        row: the row that it belongs to.
        seed: RecBole's seed.
        files: the row's configuration files, and the winner of its search where it is tuned.
        config: what identifies the computation; see :func:`~recbole_attnseq.leaderboard.records.config_identity`.
        config_hash: its hash.
        waits: the row's settings are still to be searched, so that ``config`` is not final.
    """

    row: Row
    seed: int
    files: tuple[str, ...]
    config: Mapping[str, Any]
    config_hash: str
    waits: bool = False

    @property
    def title(self) -> str:
        """Data set, row and seed, for a person."""
        return f"{self.row.dataset} / {self.row.name} / seed {self.seed}"

    @property
    def name(self) -> str:
        """The record's file name."""
        return record_name(self.row.model, self.seed, self.config_hash)

    def record_path(self, runs: Path) -> Path:
        """Where the record of this cell goes."""
        return runs / self.row.dataset / self.name

    def failure_path(self, runs: Path) -> Path:
        """Where the reason goes if the run fails."""
        return runs / self.row.dataset / "failed" / self.name


@dataclass(frozen=True)
class Inventory:
    """All records of a folder, by data set.

    Attributes:
        records: data set to (path, record).
        skipped: one line for each file that cannot be used: which, and why.
        counts: what the rules of auto go by, by the hash of the split.
    """

    records: Mapping[str, list[tuple[Path, RunRecord]]]
    skipped: list[str] = field(default_factory=list)
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """What is known of a cell: one of the words above, why, and its record where it is done."""

    word: str
    why: str = ""
    path: Path | None = None
    record: RunRecord | None = None
    limit: float | None = None


def text_of(value: Any) -> str:
    """A setting as RecBole's flags take it."""
    return value if isinstance(value, str) else repr(value)


def flags_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as ``--key=value`` flags."""
    return [f"--{key}={text_of(value)}" for key, value in settings.items()]


def slug(name: str) -> str:
    """A row's name as a file name."""
    words = "".join(mark if mark.isalnum() else " " for mark in name).split()
    return "-".join(words)


def best_yaml(row: Row, studies: Path) -> Path:
    """Where the search of a row leaves its winner."""
    return studies / study_name(row) / "best.yaml"


def study_name(row: Row) -> str:
    """The name of a row's search: with its budget, since what another budget found is no result of this one."""
    budget = "".join(f"-{value:g}-{'s' if key == 'timeout' else key}" for key, value in (row.tune or {}).items())
    return f"{slug(row.name)}-{row.dataset}{budget}"


def cells_of(board: Board, studies: Path, data: Path | None = None) -> list[Cell]:
    """All cells: a data set after the other, first seeds first, so that a table fills in its breadth first.

    Args:
        board: the leaderboard.
        studies: the folder of its searches.
        data: the folder of the data sets' folders, since a prepared one brings settings of its own; None for RecBole's.

    Raises:
        UserError: a setting that RecBole or a model refuses, or another split than the data set's first row has;
            names the row.
    """
    cells = []
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    searches: dict[str, str] = {}
    for row in board.rows:
        files, waits = row.files, False
        if row.tune is not None:
            other = searches.setdefault(study_name(row), row.name)
            if other != row.name:
                raise UserError(
                    f"{board.path}: the searches of '{other}' and '{row.name}' would both be called "
                    f"{study_name(row)}; let the names differ by letters or digits."
                )
            best = best_yaml(row, studies)
            waits = not best.is_file()
            files = files if waits else (*files, str(best))
        try:
            # As flags, since that is how the run will be given them.
            settings = {key: text_of(value) for key, value in row.settings.items()}
            if data is not None:
                settings["data_path"] = f"{data}/"
            if row.tune is not None and not waits:
                _check_search(row, best_yaml(row, studies), make_config(row.model, row.dataset, row.files, settings))
            made = make_config(row.model, row.dataset, files, settings)
            unknown = min(row.own - keys_known_to(made), default=None)
            if unknown is not None:
                own, _ = keys_of_models(row.model)
                raise unknown_name("setting", unknown, own | {*made.parameters["Training"]})
            config = config_identity(made)
        except UserError as error:
            raise UserError(f"{board.path}: model '{row.name}' on '{row.dataset}': {error}") from None
        split = _split_of(config)
        name, wanted = first.setdefault(row.dataset, (row.name, split))
        if split != wanted:
            raise UserError(
                f"{board.path}: model '{row.name}' on '{row.dataset}' has another split than '{name}' "
                f"({differences(split, wanted)}): rows of one table share theirs; set it for the data set."
            )
        cells += [Cell(row, seed, files, config, hash_of(config), waits) for seed in row.seeds]
    place = {name: number for number, name in enumerate(board.datasets)}
    return sorted(cells, key=lambda cell: (place[cell.row.dataset], cell.row.seeds.index(cell.seed)))


def _check_search(row: Row, best: Path, now: Any) -> None:
    """Raise :class:`UserError` where a search had other settings than ``now``, the row's own configuration: its winner
    would bring those back, or be run with what it was not searched for."""
    space = shipped_space(row.model)
    if space is None:
        return
    whole = load_space(space)
    searched = {*whole.names(), *whole.settings, *(key for _, settings in whole.published for key in settings)}
    then = read_yaml(best, "winner of a search")
    then = {key: value for key, value in then.items() if key not in ("model", "dataset")}
    # What RecBole makes of a setting, not how it was written: one metric and a list of one.
    read = make_config(row.model, row.dataset, (), {key: text_of(value) for key, value in then.items()})
    given = then.keys() - searched
    changed = differences({key: read[key] for key in given}, {key: now[key] for key in given})
    if changed:
        raise UserError(f"its search had {changed}; remove that folder ({best.parent}) to search again.")


def _split_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide how the data are split."""
    args = {f"eval_args.{key}": value for key, value in (config.get("eval_args") or {}).items() if key != "mode"}
    return {**{key: config.get(key) for key in _SPLIT}, **args}


def read_inventory(runs: Path, datasets: Sequence[str]) -> Inventory:
    """The records of some data sets; what cannot be read is named and left out, never counted."""
    records: dict[str, list[tuple[Path, RunRecord]]] = {}
    skipped = []
    counts: dict[str, Mapping[str, int]] = {}
    for dataset in datasets:
        for path in (runs / dataset / "splits").glob("*.json"):
            with contextlib.suppress(UserError):  # the report names what cannot be read
                counts[path.stem] = read_facts(path).counts()
        found = records.setdefault(dataset, [])
        for path in sorted((runs / dataset).glob("*.json")):
            try:
                record = read_record(path)
            except UserError as error:
                skipped.append(str(error))
                continue
            if record.dataset == dataset:
                found.append((path, record))
            else:
                skipped.append(f"record {path} is of data set {record.dataset}; move it there.")
    return Inventory(records, skipped, counts)


def state_of(cell: Cell, inventory: Inventory, runs: Path, split_hash: str | None = None) -> State:
    """The state of a cell.

    Args:
        cell: which.
        inventory: the records there are.
        runs: their folder, which also holds the reasons of failed runs.
        split_hash: the split that the data give now; None where that is not known.
    """
    all_of_seed = [
        (path, record) for path, record in inventory.records.get(cell.row.dataset, []) if record.seed == cell.seed
    ]
    same = [] if cell.waits else [found for found in all_of_seed if found[1].config_hash == cell.config_hash]
    current = [found for found in same if split_hash in (None, found[1].split_hash)]
    if not current and not cell.waits:
        alike = [
            (path, record)
            for path, record in all_of_seed
            if record.model == cell.row.model
            and same_computation(record, cell.config, inventory.counts.get(record.split_hash, {}))
        ]
        current = [found for found in alike if split_hash in (None, found[1].split_hash)]
        if _disagreeing(current):  # each may be right where it was made, so that none is wrong; this cell's own decides
            current = []
        same = same or alike
    if current:
        path, record = current[0]
        other = _disagreeing(current)
        if other:
            return State(CONFLICT, f"{path.name} and {other.name} disagree; remove the wrong one")
        changed = [
            f"{key}: auto was {then}, now it is {now}"
            for key, then, now in changed_rules(record)
            if cell.config.get(key) == "auto"  # a cell that names the value is of what was computed
        ]
        return State(STALE, f"{path.name}: {', '.join(changed)}") if changed else State(DONE, path=path, record=record)
    failure = read_failure(cell.failure_path(runs))
    if failure is not None:
        return State(FAILED, str(failure["reason"]), limit=failure.get("time_limit"))
    elsewhere = [found for found in same if split_hash not in (None, found[1].split_hash)]
    if elsewhere:
        path, record = elsewhere[0]
        return State(STALE, f"{path.name} is of split {record.split_hash}, the data now give {split_hash}")
    for path, record in all_of_seed:
        if record.row == cell.row.name and record.protocol == protocol_of(cell):
            return State(STALE, f"{path.name} was made with {differences(record.config, cell.config)}")
    return State(MISSING, "its settings are to be searched first" if cell.waits else "")


def _disagreeing(found: Sequence[tuple[Path, RunRecord]]) -> Path | None:
    """The first of some records that has other ranks than the very first, or None."""
    kinds = [(record.users, record.ranks, record.split_hash) for _, record in found]
    return next((path for (path, _), kind in zip(found, kinds, strict=True) if kind != kinds[0]), None)


def protocol_of(cell: Cell) -> dict[str, Any]:
    """The protocol that a cell's record will have."""
    return protocol(cell.config, is_sequential(cell.row.model))


def differences(before: Mapping[str, Any], now: Mapping[str, Any], most: int = 4) -> str:
    """In words, in what two configurations differ."""
    keys = [key for key in sorted({*before, *now}) if before.get(key, "not set") != now.get(key, "not set")]
    parts = [f"{key} {before.get(key, 'not set')} instead of {now.get(key, 'not set')}" for key in keys[:most]]
    return ", ".join(parts) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def read_failure(path: Path) -> dict[str, Any] | None:
    """Why a run failed, or None where it has not."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) and "reason" in values else None


def write_failure(path: Path, values: Mapping[str, Any]) -> None:
    """Keep why a run failed, whole or not at all."""
    write_whole(path, json.dumps(values, indent=1) + "\n")
