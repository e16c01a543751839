"""Marks that a row bears for how its records were made, and names as cells of a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

BUCKETED = "§"  # trained on batches of like lengths
COARSE = "‡"  # ranked in bfloat16 products


def escaped(text: str) -> str:
    """A text for a cell of a Markdown table."""
    return text.replace("|", "\\|")


def marked(row: Mapping[str, Any]) -> str:
    """A row's name, from JSON values, with the marks that its records have."""
    return f"{row['name']}{f' {BUCKETED}' if row['bucketed'] else ''}{f' {COARSE}' if row['coarse'] else ''}"


def any_coarse(tables: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a row of these tables, as JSON values, has records that were ranked in bfloat16 products."""
    return any(row["coarse"] for table in tables for row in table["rows"] if row["runs"])


def any_bucketed(tables: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a row of these tables, as JSON values, bears the mark, so that a page explains it."""
    return any(row["bucketed"] for table in tables for row in table["rows"] if row["runs"])
