"""Leaderboards with made-up records: what a table and a page must show is known, and nothing is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recbole_attnseq.leaderboard.board import Board, read_board
from recbole_attnseq.leaderboard.cells import Cell, cells_of, protocol_of
from recbole_attnseq.leaderboard.facts import SCHEMA as FACTS_SCHEMA
from recbole_attnseq.leaderboard.facts import SplitFacts
from recbole_attnseq.leaderboard.measures import CUTOFFS, per_target
from recbole_attnseq.leaderboard.records import SCHEMA, RunRecord, hash_of
from recbole_attnseq.leaderboard.standings import BEYOND_METRICS, METRICS

SETTINGS: dict[str, Any] = {
    "exclude_history": True,
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    "metrics": ["Recall", "MRR", "NDCG", "Hit", "Precision"],
    "topk": list(CUTOFFS),
    "valid_metric": "NDCG@10",
    "load_col": None,
    "epochs": 2,
}
SPLIT = "feedfacefeedface"


def write_board(folder: Path, models: Mapping[str, Any], name: str = "tiny", **board: Any) -> Path:
    """A leaderboard's file; data sets default to the tiny one."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"datasets": {"tiny": {}}, "models": models, "settings": SETTINGS, **board}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def fake_facts(dataset: str, users: int = 200, split: str = SPLIT, **changes: Any) -> SplitFacts:
    """A split whose users have histories of 1 to 60 and targets of every group of popularity."""
    random = np.random.default_rng(1)
    values: dict[str, Any] = {
        "schema": FACTS_SCHEMA,
        "dataset": dataset,
        "split_hash": split,
        "user_count": users,
        "item_count": 90,
        "interaction_count": users * 20,
        "train_count": users * 18,
        "head_from": 50,
        "middle_from": 10,
        "users": [f"u{user}" for user in range(users)],
        "history": random.integers(1, 60, size=users).tolist(),
        "popularity": random.choice([0, 3, 20, 80], size=users).tolist(),
    }
    return SplitFacts(**{**values, **changes})


def fake_record(cell: Cell, ranks: Sequence[int], *, split: str = SPLIT, seconds: float = 100.0) -> RunRecord:
    """The record that a cell's run would have left, with these ranks."""
    test = {name: round(float(per_target(name, ranks).mean()), 4) for name in METRICS}
    curve = [
        {"epoch": e, "train_loss": 5.0 - e, "valid": test["ndcg@10"] * (e + 1) / 5, "seconds": seconds * (e + 1) / 5,
         "processor_seconds": 2 * seconds * (e + 1) / 5}
        for e in range(5)
    ]  # fmt: skip
    return RunRecord(
        schema=SCHEMA,
        model=cell.row.model,
        dataset=cell.row.dataset,
        seed=cell.seed,
        settings=dict(cell.row.settings),
        config=dict(cell.config),
        config_hash=cell.config_hash,
        split_hash=split,
        commit="0123456789ab",
        versions={"python": "3.11"},
        hardware={"processor": "a processor", "cores": 2, "threads": 1, "gpu": None},
        curve=curve,
        best_epoch=4,
        valid={"ndcg@10": test["ndcg@10"]},
        test=test,
        users=[f"u{user}" for user in range(len(ranks))],
        ranks=[int(rank) for rank in ranks],
        seconds=seconds,
        processor_seconds=2 * seconds,
        peak_memory=512.0,
        parameters=12345,
        notes={"fast_batches": True, "compiled": False},
        row=cell.row.name,
        protocol=protocol_of(cell),
        beyond=dict.fromkeys(BEYOND_METRICS, 0.25),
    )


def ranks(seed: int, quality: float, users: int = 200) -> list[int]:
    """Ranks of which the better are the more, the higher the quality (0 to 1)."""
    return np.random.default_rng(seed).geometric(max(0.005, quality), size=users).tolist()


def fill(path: Path, results: Path, quality: Mapping[str, float], users: int = 200) -> Board:
    """Give every cell of the named rows a record; rows that are not named stay empty."""
    board = read_board(path)
    for dataset in board.datasets:
        fake_facts(dataset, users).save(results / "runs")
    for number, cell in enumerate(cells_of(board, results / "studies")):
        if cell.row.name in quality:
            made = ranks(1000 * number + cell.seed, quality[cell.row.name], users)
            fake_record(cell, made, seconds=10.0 * 3 ** (number % 6)).save(results / "runs")
    return board


def with_config(record: RunRecord, config: Mapping[str, Any], **changes: Any) -> RunRecord:
    """A record of another configuration, and its hash."""
    return dataclasses.replace(record, config=dict(config), config_hash=hash_of(config), **changes)
