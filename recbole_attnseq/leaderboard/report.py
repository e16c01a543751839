"""The report: all tables of a folder of leaderboards, as one value, and the pages and the picture made from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.ablation import BEFORE, DEFAULT, TRANSFORMER, Place, Run, candidates_of, read_trials
from recbole_attnseq.leaderboard.board import read_boards
from recbole_attnseq.leaderboard.cells import cells_of, read_inventory
from recbole_attnseq.leaderboard.facts import HISTORY_GROUPS, POPULARITY_GROUPS, SplitFacts, read_facts
from recbole_attnseq.leaderboard.published import PUBLISHED, read_published
from recbole_attnseq.leaderboard.rivals import MARKS, WITHOUT_TIMES, planned, rivalry, summary
from recbole_attnseq.leaderboard.standings import Table, make_table
from recbole_attnseq.leaderboard.tables import insert, read_page
from recbole_attnseq.registration import MODEL
from recbole_attnseq.training.processes import write_whole


def write_report(
    boards: Path,
    results: Path,
    page: Path | None = None,
    data: Path | None = None,
    splits: Mapping[Path, Mapping[str, str]] | None = None,
) -> list[Path]:
    """Write LEADERBOARD.md, leaderboard.html and leaderboard.svg into ``results``, whole or not at all.

    Args:
        boards: folder of leaderboard configurations; all of them go into one report.
        results: holds runs/, ablation/ and studies/.
        page: takes the summary between its marks.
        data: the folder of the data sets' folders, as :func:`~recbole_attnseq.leaderboard.cells.cells_of` wants it.
        splits: a leaderboard's file to the split hash that each of its data sets gives now, where that is known.

    Raises:
        UserError: a configuration is bad, or the page cannot be read or has no marks.
    """
    from recbole_attnseq.leaderboard.html_page import html
    from recbole_attnseq.leaderboard.markdown_page import markdown
    from recbole_attnseq.leaderboard.picture import picture

    report = assemble(boards, results, data, splits)
    pages = {
        results / "LEADERBOARD.md": markdown(report),
        results / "leaderboard.html": html(report),
        results / "leaderboard.svg": picture(report),
    }
    if page is not None:
        pages[page] = insert(read_page(page), summary(report), MARKS)
    written = []
    for target, text in pages.items():
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            write_whole(target, text)
        written.append(target)
    return written


def check_boards(boards: Path, results: Path, data: Path | None = None) -> list[str]:
    """Refuse now what would refuse a report when hours have run: the folder's other boards, and figures of others.

    Returns:
        A line for each file there that is no leaderboard and has no part in the report.

    Raises:
        UserError: as :func:`write_report`.
    """
    found, others = read_boards(boards)
    for board in found:
        cells_of(board, results / "studies", data)
    read_published(boards / PUBLISHED)
    return others


def assemble(
    boards: Path,
    results: Path,
    data: Path | None = None,
    splits: Mapping[Path, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Everything that the pages show, as JSON values; depends on the files, and on what ``splits`` says, alone.

    Returns:
        ``tables``, ``ablation`` and ``skipped``.

    Raises:
        UserError: a configuration is bad. A bad record is skipped, named and counted.
    """
    runs = results / "runs"
    published = read_published(boards / PUBLISHED)
    facts, skipped = _facts(runs)
    tables = []
    defaults: dict[Place, dict[str, list[Run]]] = {}
    bar_of = {MODEL: DEFAULT, f"{MODEL} (transformer)": TRANSFORMER, WITHOUT_TIMES: BEFORE}
    for board in read_boards(boards)[0]:
        cells = cells_of(board, results / "studies", data)
        inventory = read_inventory(runs, board.datasets)
        skipped += [line for line in inventory.skipped if line not in skipped]
        known = (splits or {}).get(board.path, {})
        for dataset in board.datasets:
            table = make_table(board, dataset, cells, inventory, facts, runs, known.get(dataset))
            tables.append(_as_dict(table, published.get(dataset, []), results))
            for row in table.full:
                if row.name in bar_of:
                    runs_of = [(file.relative_to(results).as_posix(), record) for file, record in row.runs]
                    place = dataset, candidates_of(row.runs[0][1])
                    defaults.setdefault(place, {}).setdefault(bar_of[row.name], runs_of)
    ablation, bad = read_trials(results / "ablation", defaults, facts)
    return {"tables": tables, "ablation": ablation, "skipped": [_relative(line, results) for line in skipped + bad]}


def _facts(runs: Path) -> tuple[dict[str, SplitFacts], list[str]]:
    facts, skipped = {}, []
    for path in sorted(runs.glob("*/splits/*.json")):
        try:
            facts[path.stem] = read_facts(path)
        except UserError as error:
            skipped.append(str(error))
    return facts, skipped


def _relative(line: str, results: Path) -> str:
    """Paths from the report's own folder: the page must not depend on where it was made."""
    return line.replace(f"{results}{os.sep}", "")


def _as_dict(table: Table, published: list[dict[str, Any]], results: Path) -> dict[str, Any]:
    facts = table.facts
    result: dict[str, Any] = {
        "board": table.board,
        "dataset": table.dataset,
        "compared": list(table.compared),
        "rows": [row.as_dict(facts, table.compared, results) for row in table.rows],
        "notes": table.notes,
        "rivals": rivalry(table),
        "planned": planned(table),
        "published": [],
    }
    if table.full:
        record = table.full[0].runs[0][1]
        result |= {"split": record.split_hash, "protocol": record.protocol, "targets": len(record.ranks)}
        comparable = [row for row in published if facts is not None and row["protocol"] == record.protocol]
        result["published"] = [row for row in comparable if facts is not None and _same_data(row, facts)]
    if facts is not None:
        history, popularity = facts.history_group(), facts.popularity_group()
        result |= {
            "users": facts.user_count,
            "items": facts.item_count,
            "interactions": facts.interaction_count,
            "history_groups": [[name, int((history == i).sum())] for i, name in enumerate(HISTORY_GROUPS)],
            "popularity_groups": [[name, int((popularity == i).sum())] for i, name in enumerate(POPULARITY_GROUPS)],
        }
    return result


def _same_data(row: Mapping[str, Any], facts: SplitFacts) -> bool:
    counts = (facts.user_count, facts.item_count, facts.interaction_count)
    return tuple(row["data"][key] for key in ("users", "items", "interactions")) == counts
