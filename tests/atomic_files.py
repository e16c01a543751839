"""Tiny data sets, written as RecBole's atomic files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# On a data set without a file of its own RecBole loads neither times nor item features.
ALL_COLUMNS: dict[str, Any] = {"load_col": None}


def write_table(path: Path, header: str, rows: Iterable[Sequence[object]]) -> Path:
    """One atomic file; ``header`` names the columns between spaces, None makes a missing value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(header.split())]
    lines += ["\t".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_interactions(folder: Path, name: str, rows: Iterable[tuple[object, object, object]]) -> Path:
    """``<folder>/<name>/<name>.inter`` with (user, item, time) rows."""
    header = "user_id:token item_id:token timestamp:float"
    return write_table(folder / name / f"{name}.inter", header, rows)


def write_given(folder: Path) -> dict[str, Any]:
    """A split that comes as files, without times; what a configuration must say of it."""
    parts = ["train", "valid", "test"]
    for part in parts:
        write_table(
            folder / "given" / f"given.{part}.inter",
            "user_id:token item_id_list:token_seq item_id:token",
            [(f"u{u}", "a b", "c") for u in range(4)],
        )
    return {"benchmark_filename": parts, "alias_of_item_id": ["item_id_list"]}


def write_cycle(folder: Path, users: int = 60, items: int = 12, length: int = 14) -> str:
    """Data whose answer is known: after item i comes item i + 1, and after the last the first."""
    starts = np.random.default_rng(7).integers(items, size=users)
    write_interactions(
        folder,
        "cycle",
        ((f"u{u}", f"i{(start + t) % items}", 1000 + t) for u, start in enumerate(starts) for t in range(length)),
    )
    return "cycle"


def write_tiny(folder: Path, users: int = 40, items: int = 30) -> str:
    """Random data with ratings, times that float32 cannot tell apart, and features, some of them missing."""
    random = np.random.default_rng(3)
    rows = []
    for user in range(users):
        chosen = random.choice(items, size=random.integers(6, 12), replace=False)
        rows += [
            (f"u{user}", f"i{item}", random.integers(1, 6), 880_000_000 + 1000 * user + 7 * t)
            for t, item in enumerate(chosen)
        ]
    place = folder / "tiny"
    write_table(place / "tiny.inter", "user_id:token item_id:token rating:float timestamp:float", rows)
    write_table(
        place / "tiny.item",
        "item_id:token class:token_seq year:token price:float",
        (
            (
                f"i{i}",
                f"k{i % 3} k{i % 5}" if i % 7 else None,
                i % 4 if i % 6 else None,
                i / 2 if i % 5 else None,
            )
            for i in range(items)
        ),
    )
    write_table(place / "tiny.user", "user_id:token age:float", ((f"u{u}", 20 + u % 30) for u in range(users)))
    return "tiny"
