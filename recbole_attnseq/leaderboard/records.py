"""Run records: one JSON file a run, with all that is needed to trust it, compare it and run it again."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data_rules import mean_dropout
from recbole_attnseq.errors import UserError
from recbole_attnseq.extensions import fingerprints
from recbole_attnseq.leaderboard.items import beyond_accuracy
from recbole_attnseq.leaderboard.layout import json_text
from recbole_attnseq.leaderboard.record_checks import fault_of
from recbole_attnseq.registration import MODEL
from recbole_attnseq.training.baseline_batches import PADDING_FREE
from recbole_attnseq.training.memory import peak_resident_mib
from recbole_attnseq.training.processes import write_whole
from recbole_attnseq.training.provenance import commit, hardware, versions
from recbole_attnseq.training.session import Session, by_user

# 2 added row, protocol and beyond; records of schema 1 are read as if they had them, see _from_first_schema.
SCHEMA = 2
# Keys of RecBole's configuration that say where and how a run was watched, not what was computed.
_NOT_IDENTITY = {
    "data_path", "checkpoint_dir", "device", "gpu_id", "use_gpu", "state", "show_progress", "log_wandb",
    "wandb_project", "save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path", "worker",
    "split_hash", "local_rank", "single_spec", "eval_type", "MODEL_TYPE", "MODEL_INPUT_TYPE", "eval_batch_size",
    "memory_budget", "seed", "encoding",
    # RecBole writes these names of columns into the configuration while a masked model's run is under way.
    "MASK_ITEM_SEQ", "MASK_INDEX", "POS_ITEMS", "NEG_ITEMS",
}  # fmt: skip


@dataclass(frozen=True)
class RunRecord:
    """What one run was and gave. Times are seconds, memory is MiB.

    Attributes:
        settings: what the user asked for, beyond the model's and the data set's defaults.
        config: the complete configuration that identifies the computation; ``config_hash`` is its hash.
        curve: one entry an evaluated epoch; see :class:`~recbole_attnseq.training.session.Session`.
        users, ranks: user token and rank (1 is first) of every test target, ordered by user, then by time.
        row: the leaderboard row that the run belongs to; the model's name unless the run was told another.
        protocol: how targets were chosen and ranked; only runs of one protocol compare.
        beyond: which items were shown, see :mod:`~recbole_attnseq.leaderboard.items`; empty in older records.
        notes: how the run was made: ways that change its speed alone (grouped batches, cheaper layers, compiled
            forward), or its training too (bucketed batches, see :attr:`bucketed`); ``ranking`` where that was not in
            full float32 (:attr:`coarse`, said of older records by hand); what ``auto`` came to
            (``resolved``) on data of which ``counts``; where it went on after an interruption.
    """

    schema: int
    model: str
    dataset: str
    seed: int
    settings: dict[str, Any]
    config: dict[str, Any]
    config_hash: str
    split_hash: str
    commit: str
    versions: dict[str, str]
    hardware: dict[str, Any]
    curve: list[dict[str, float]]
    best_epoch: int
    valid: dict[str, float]
    test: dict[str, float]
    users: list[str]
    ranks: list[int]
    seconds: float
    processor_seconds: float
    peak_memory: float
    parameters: int
    notes: dict[str, Any]
    row: str
    protocol: dict[str, Any]
    beyond: dict[str, float]

    @property
    def name(self) -> str:
        """The file's name: model, seed and configuration; the same run always gets the same one."""
        return record_name(self.model, self.seed, self.config_hash)

    @property
    def epochs(self) -> int:
        """How many epochs were trained; validated or not."""
        return int(self.curve[-1]["epoch"]) + 1 if self.curve else max(1, int(self.config.get("epochs") or 1))

    @property
    def bucketed(self) -> bool:
        """Whether the model saw batches of like lengths, which is other training than RecBole's."""
        cut = self.model in PADDING_FREE and self.model != MODEL
        return cut and self.notes.get("fast_batches") in (True, "bucketed")

    @property
    def coarse(self) -> bool:
        """Whether the ranking was made in bfloat16 products, as older code did where the processor has them."""
        return self.notes.get("ranking") == "bfloat16"

    @property
    def precision(self) -> str | None:
        """What the network was trained in, where the record says so."""
        return (self.notes.get("resolved") or {}).get("precision")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write to ``folder``/dataset/name, whole or not at all."""
        target = Path(folder) / self.dataset / self.name
        write_whole(target, json_text(asdict(self), ("users", "ranks", "curve")))
        return target


def record_name(model: str, seed: int, config_hash: str) -> str:
    """The file name of a run's record."""
    return f"{model}-{seed}-{config_hash}.json"


def aligned(record: RunRecord, users: Sequence[str]) -> list[int]:
    """A record's ranks in the order of ``users``; a user's several targets keep theirs."""
    if record.users == list(users):
        return record.ranks
    place: dict[str, list[int]] = {}
    for user, rank in zip(record.users, record.ranks, strict=True):
        place.setdefault(user, []).append(rank)
    if Counter(record.users) != Counter(users):
        raise ValueError(f"{record.name} has other users than the split that it names.")
    turn = {user: iter(ranks) for user, ranks in place.items()}
    return [next(turn[user]) for user in users]


def aligned_seeds(records: Sequence[RunRecord], users: Sequence[str]) -> npt.NDArray[np.int64]:
    """(S, R) the ranks of one run's records, a row a seed, in the order of ``users``."""
    return np.stack([aligned(record, users) for record in records])


def read_record(path: str | os.PathLike[str]) -> RunRecord:
    """A record from its file.

    Raises:
        UserError: the file is missing, no JSON, of another schema, or lacks a field.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"record {path} does not exist; check the path.") from None
    except OSError as error:
        raise UserError(f"record {path} cannot be read ({error.strerror}); is it a file of yours?") from error
    except ValueError as error:
        raise UserError(f"record {path} is corrupt, or none ({error}); if it was one, run the cell again.") from error
    found = values.get("schema") if isinstance(values, dict) else None
    if isinstance(values, dict) and "ranks" not in values:
        raise UserError(f"{path} is no record of a run (it has no ranks); attnseq run --record=FOLDER writes one.")
    if found == 1:
        values, found = _from_first_schema(values), SCHEMA
    if found != SCHEMA:
        raise UserError(f"record {path} has schema {found}, this version reads 1 and {SCHEMA}; run the cell again.")
    names = {field.name for field in fields(RunRecord)}
    if set(values) != names:
        raise UserError(f"record {path}: fields {sorted(names ^ set(values))} are missing or unknown; run it again.")
    fault = fault_of(values, {field.name: str(field.type) for field in fields(RunRecord)})
    if fault is None and hash_of(values["config"]) != values["config_hash"]:
        fault = f"its configuration has hash {hash_of(values['config'])}, not {values['config_hash']}"
    if fault is not None:
        raise UserError(f"record {path} is corrupt ({fault}); remove it and run the cell again.")
    return RunRecord(**values)


def _from_first_schema(values: dict[str, Any]) -> dict[str, Any]:
    """A record of schema 1 with what schema 2 added; which items were shown was not kept, so ``beyond`` is empty."""
    config, model = values.get("config") or {}, str(values.get("model"))
    return {**values, "schema": SCHEMA, "row": model, "protocol": protocol(config, is_sequential(model)), "beyond": {}}


def is_sequential(model: str) -> bool:
    """Whether RecBole counts a model among the sequential ones."""
    from recbole.utils import ModelType, get_model

    return bool(get_model(model).type == ModelType.SEQUENTIAL)


def protocol(config: Mapping[str, Any], sequential: bool) -> dict[str, Any]:
    """How targets are chosen and ranked: split, order, grouping, candidates, and whether seen items are left out.

    RecBole's general models always leave out what a user has taken before; its sequential models never do,
    unless :func:`~recbole_attnseq.training.recbole_ranking.exclude_history` makes them.
    """
    args = dict(config.get("eval_args") or {})
    mode = args.get("mode")
    return {
        "split": _plain(args.get("split")),
        "order": args.get("order"),
        "group_by": args.get("group_by"),
        "candidates": mode.get("test") if isinstance(mode, Mapping) else mode,
        "exclude_history": bool(config.get("exclude_history")) if sequential else True,
    }


def config_identity(config: Any) -> dict[str, Any]:
    """The part of a RecBole configuration that decides what is computed, as JSON values."""
    # dataset_config says where settings of the data set come from; they themselves are here.
    left_out = _NOT_IDENTITY | {"dataset_config"}
    values = {key: _plain(value) for key, value in sorted(config.final_config_dict.items()) if key not in left_out}
    if "mean_dropout_prob" in values and values["user_encoder"] != "auto":
        values["mean_dropout_prob"] = mean_dropout(values["mean_dropout_prob"], values["user_encoder"])
    if values.get("mean_dropout_prob") == 0:  # nothing is left out, as before there was such a key
        del values["mean_dropout_prob"]
    if values.get("extensions"):  # the user's own code: what was computed before a change of it is another thing
        values["extensions"] = fingerprints(values["extensions"])
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def hash_of(values: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that identify a configuration."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def make_record(
    session: Session, settings: Mapping[str, Any], notes: Mapping[str, Any], row: str | None = None
) -> RunRecord:
    """The record of a finished session.

    Args:
        session: trained and tested, ranked among all items.
        settings: what the user asked for.
        notes: how the run was made.
        row: the leaderboard row; None takes the model's name.
    """
    users, ranks = by_user(session)
    config = config_identity(session.config)
    # Before the lists of shown items are made, which training does not need.
    memory = max(session.earlier_peak, peak_resident_mib())
    model = str(session.config["model"])
    return RunRecord(
        schema=SCHEMA,
        model=model,
        dataset=str(session.config["dataset"]),
        seed=int(session.config["seed"]),
        settings={key: _plain(value) for key, value in settings.items() if key not in _NOT_IDENTITY},
        config=config,
        config_hash=hash_of(config),
        split_hash=str(session.config["split_hash"]),
        commit=commit(),
        versions=versions(),
        hardware=hardware(),
        curve=[{key: round(value, 6) for key, value in point.items()} for point in session.curve],
        best_epoch=session.best_epoch if session.curve else 0,
        valid=session.valid_result,
        test=session.test_result,
        users=users,
        ranks=[int(rank) for rank in ranks],
        seconds=round(session.seconds, 3),
        processor_seconds=round(session.processor_seconds, 3),
        peak_memory=round(memory, 1),
        parameters=session.parameters,
        notes={
            **notes,
            **getattr(session.trainer, "notes", {}),  # RecBole's models have no auto
            **({"resumed": session.resumed} if session.resumed else {}),
        },
        row=row or model,
        protocol=protocol(config, is_sequential(model)),
        beyond=beyond_accuracy(session),
    )
