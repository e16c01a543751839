"""What was dropped and why, and the table that a preparation ends with."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


@dataclass
class Report:
    """Counts of a preparation.

    Args:
        rows: rows read, malformed ones included.
        dropped: rows dropped, by reason; together with the interactions written they add up to ``rows``.
        examples: where the first row of each reason stands, ``file:line``.
        notes: what else a reader of the data should know.
    """

    rows: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, count: int, where: str = "") -> None:
        """Counts ``count`` rows dropped for ``reason``; keeps the first place."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + int(count)
            if where:
                self.examples.setdefault(reason, where)

    def note(self, text: str) -> None:
        """Remembers a remark once."""
        if text not in self.notes:
            self.notes.append(text)

    def reasons(self) -> str:
        """The drops in one line, the most frequent first, each with its first place."""
        parts = []
        for reason, count in sorted(self.dropped.items(), key=lambda entry: -entry[1]):
            where = self.examples.get(reason)
            parts.append(f"{count:,} {reason}" + (f" (first: {where})" if where else ""))
        return "; ".join(parts) or "none"


@dataclass
class Summary:
    """What the written interactions look like; see :func:`table`."""

    users: int
    items: int
    interactions: int
    first_time: float
    last_time: float
    ordinal: bool
    ties: int
    repeats: int
    shortest: int
    median: float
    longest: int

    @property
    def density(self) -> float:
        """Interactions over users times items."""
        return self.interactions / (self.users * self.items) if self.users and self.items else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For the record: plain numbers."""
        return {**self.__dict__, "density": self.density}


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s"


def table(name: str, summary: Summary, report: Report) -> str:
    """The final table as text.

    ``ties`` are neighbours of one user with the same time; ``repeats`` are interactions with an item that
    the user has met before.
    """
    if summary.ordinal:
        span = "order only (the source has no clock time)"
    else:
        span = f"{_date(summary.first_time)} to {_date(summary.last_time)} UTC"
    pairs = [
        ("users", f"{summary.users:,}"),
        ("items", f"{summary.items:,}"),
        ("interactions", f"{summary.interactions:,}"),
        ("density", f"{summary.density:.4%}"),
        ("time span", span),
        ("length", f"{summary.shortest} to {summary.longest:,}, median {summary.median:g}"),
        ("ties", f"{summary.ties:,}"),
        ("repeats", f"{summary.repeats:,}"),
        ("rows read", f"{report.rows:,}"),
        ("dropped", f"{sum(report.dropped.values()):,}"),
    ]
    lines = [name, *(f"  {key:<14}{value}" for key, value in pairs)]
    for reason, count in sorted(report.dropped.items(), key=lambda entry: -entry[1]):
        where = report.examples.get(reason)
        lines.append(f"    {count:>12,}  {reason}" + (f"  (first: {where})" if where else ""))
    lines.extend(f"  note          {note}" for note in report.notes)
    return "\n".join(lines)


def run_command(folder: Path) -> str:
    """The command that trains on a prepared data set, as a shell takes it; its settings come with the package."""
    where = "" if folder.parent == Path("dataset") else f" {shlex.quote(f'--data_path={folder.parent}')}"
    return f"attnseq run {shlex.quote(f'--dataset={folder.name}')}{where}"
