"""AttnSeq against the best of the other models, data set by data set: the table that a reader looks for first."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_attnseq.leaderboard.marks import BUCKETED, escaped
from recbole_attnseq.leaderboard.records import is_sequential
from recbole_attnseq.leaderboard.significance import LEVEL, compare_runs, holm
from recbole_attnseq.leaderboard.standings import Table, TableRow, cost, processors
from recbole_attnseq.registration import MODEL, RECENT

MARK = "≈"  # the difference is not significant
FOREIGN = "†"  # seconds of more than one kind of processor
LEAST = 0.0001  # the smallest p that four decimals show, and about what the randomisation test can tell
METRIC = "ndcg@10"
# AttnSeq as RecBole's models are: it reads the order of a history, not how long each step of it waited.
WITHOUT_TIMES = f"{MODEL} (without times)"
# Sequential to RecBole, but of counts or a few factors an item instead of a network: too weak a rival to stand for
# the others.
FACTORS = {"FOSSIL", "FPMC", RECENT, "TransRec"}
MARKS = ("<!-- rivals: generated -->", "<!-- rivals: end -->")


def rivalry(table: Table) -> list[dict[str, Any]]:
    """AttnSeq against the best model that is another one, by NDCG@10 on test, as JSON values.

    AttnSeq's rows are chosen before the test is looked at; to choose their rival by it can but make them look worse.

    AttnSeq is its row with defaults, its row without times where it has one, then those of its rows that validation
    prefers, if they are others and all their seeds have run: one of those that know when somebody asks (``trends``) and
    one of those that do not. The former meets the best of all, the latter the best of those that do not. So does each
    of its rows whose settings were searched, and then it meets the best of those that were searched within the same
    budget. One whose search found a row that is there already, such as the defaults, is not there again. Nothing where
    AttnSeq or the others have no result.
    """
    metric = METRIC
    rows = [row for row in table.full if row.model == MODEL]
    chosen = [row for row in rows if row.name == MODEL] + [row for row in rows if row.name == WITHOUT_TIMES]
    for timely in (False, True):
        preferred = _preferred(rows, timely, metric)
        # Defaults that lack a seed may be ahead of it already: then nothing is preferred to them.
        alike = [row for row in chosen if row.name == MODEL and row.runs and _knows_when(row) == timely]
        if preferred is not None and all(_valid(row, metric) < _valid(preferred, metric) for row in alike):
            chosen.append(preferred)
    foreign = [row for row in table.rows if row.model != MODEL]
    searched = [row for row in rows if row.tune]
    known = [_paths(row) for row in chosen]
    new = [row for row in searched if not any(_paths(row) <= paths for paths in known)]
    pairs = [(ours, foreign) for ours in [*chosen, *new]]
    pairs += [(ours, [row for row in foreign if row.tune == ours.tune]) for ours in searched]
    meetings = {}
    for ours, whole in pairs:
        others = [row for row in whole if _knows_when(ours) or not _knows_when(row)]
        rival = _best(others, metric)
        if rival is not None and (ours.name, rival.name) not in meetings:
            meetings[ours.name, rival.name] = _meeting(ours, rival, others, metric)
    return list(meetings.values())


def planned(table: Table) -> list[dict[str, Any]]:
    """AttnSeq against the best of the rows that its board names for it, by NDCG@10 on test, as JSON values.

    One comparison, settled before any row had run: AttnSeq is the row that validation prefers, whose seeds have all run
    and which does not know when somebody asks. Nothing where the board names none, or either side has no result.
    """
    rows = [row for row in table.full if row.model == MODEL]
    ours = _preferred(rows, False, METRIC)
    others = [row for row in table.rows if row.name in table.planned]
    rival = _best(others, METRIC)
    return [] if ours is None or rival is None else [_meeting(ours, rival, others, METRIC)]


def _preferred(rows: list[TableRow], timely: bool, metric: str) -> TableRow | None:
    """The row ahead on validation, of those whose seeds have all run, and that know the time of the request or not."""
    complete = [row for row in rows if not row.empty and _knows_when(row) == timely]
    return max(complete, key=lambda row: _valid(row, metric), default=None)


def _best(rows: list[TableRow], metric: str) -> TableRow | None:
    """The row ahead on test, of those that have a result."""
    return max((row for row in rows if row.runs), key=lambda row: row.score(metric)[0], default=None)


def _paths(row: TableRow) -> set[Path]:
    return {path for path, _ in row.runs}


def _knows_when(row: TableRow) -> bool:
    """Whether a row's scores depend on the time of the request; RecBole's models never look at ``trends``."""
    return row.model == RECENT or (row.model == MODEL and any(record.config.get("trends") for _, record in row.runs))


def _meeting(ours: TableRow, rival: TableRow, others: list[TableRow], metric: str) -> dict[str, Any]:
    users = ours.runs[0][1].users
    found, wide = compare_runs(ours.each_seed(metric, users), rival.each_seed(metric, users), users)
    return {
        "metric": metric,
        "ours": _side(ours, metric),
        "rival": _side(rival, metric),
        "difference": round(found.difference, 6),
        "low": round(found.low, 6),
        "high": round(found.high, 6),
        "p": round(found.p, 6),
        "with_seeds": [round(value, 6) for value in (wide.low, wide.high, wide.p)] if wide else None,
        "processors": processors([record for row in (ours, rival) for _, record in row.runs]),
        "run": sum(bool(row.runs) for row in others),
        "listed": len(others),
        "networks": any(row.runs and is_sequential(row.model) and row.model not in FACTORS for row in others),
    }


def _valid(row: TableRow, metric: str) -> float:
    """The mean of a row on validation; below all others where its records have no such figure."""
    return statistics.mean(record.valid.get(metric, float("-inf")) for _, record in row.runs)


def _side(row: TableRow, metric: str) -> dict[str, Any]:
    records = [record for _, record in row.runs]
    return {
        "name": row.name,
        "score": round(row.score(metric)[0], 6),
        "seeds": len(records),
        "bucketed": any(record.bucketed for record in records),
        "processor": cost(records)["processor"],
    }


HEADS = (
    "test NDCG@10 (seeds)", "AttnSeq", "best other model", "of", "difference, 95% over users", "p",
    "95% over users and seeds", "p", "processor s",
)  # fmt: skip


def summary(report: Mapping[str, Any], of: str = "rivals") -> str:
    """The table over all data sets as Markdown; ``of`` as :func:`summary_rows` has it."""
    lines = [list(map(escaped, cells)) for _, cells in summary_rows(report, of)]
    return "\n".join(
        ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|", *(f"| {' | '.join(x)} |" for x in lines)]
    )


def summary_rows(report: Mapping[str, Any], of: str = "rivals") -> list[tuple[str, list[str]]]:
    """The rows of the table over all data sets: data set and cells; p-values corrected by Holm's method for its rows.

    A rival with one seed counts in the column over seeds as a test that found nothing, so that what stands in the other
    rows does not depend on which rival that is.

    Args:
        report: as assembled.
        of: "rivals", or "planned" for what boards ask beforehand, which is a family of its own.
    """
    meetings = [(table, found) for table in report["tables"] for found in table[of]]
    compared = [found for _, found in meetings if found["networks"]]
    corrected = iter(holm([found["p"] for found in compared]))
    corrected_wide = iter(holm([found["with_seeds"][2] if found["with_seeds"] else 1.0 for found in compared]))
    rows = []
    for table, found in meetings:
        ours, rival = found["ours"], found["rival"]
        row = "" if ours["name"] == MODEL else f"{ours['name'].removeprefix(MODEL).strip()} "
        foreign = f" {FOREIGN}" if "," in found["processors"] else ""
        bucketed = f" {BUCKETED}" if rival["bucketed"] else ""
        difference = ["no sequential network has run", "", "", ""]
        if found["networks"]:
            wide = found["with_seeds"]
            interval, p = _interval(found["low"], found["high"], next(corrected))
            p_wide = next(corrected_wide)
            difference = [f"{found['difference']:+.4f} {interval}", p]
            difference += _interval(wide[0], wide[1], p_wide) if wide else ("one seed", "")
        cells = [
            table["board"],
            f"{row}{ours['score']:.4f} ({ours['seeds']})",
            f"{rival['name']} {rival['score']:.4f} ({rival['seeds']}){bucketed}",
            f"{found['run']} of {found['listed']}",
            *difference,
            f"{ours['processor']:,.0f} against {rival['processor']:,.0f}{foreign}",
        ]
        rows.append((table["dataset"], cells))
    return rows


def _interval(low: float, high: float, p: float) -> tuple[str, str]:
    """An interval and a corrected p-value as two cells, marked where it is not significant."""
    shown = f"{p:.4f}" if p >= LEAST else f"< {LEAST}"
    return f"[{low:+.4f}, {high:+.4f}]", shown + ("" if p < LEVEL else f" {MARK}")
