"""AttnSeq against the best of the other models, data set by data set: the table that a reader looks for first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_attnseq.leaderboard.significance import LEVEL, compare, holm
from recbole_attnseq.leaderboard.standings import Table, TableRow, cost
from recbole_attnseq.registration import MODEL

MARK = "≈"  # the difference is not significant
MARKS = ("<!-- rivals: generated -->", "<!-- rivals: end -->")


def rivalry(table: Table) -> dict[str, Any] | None:
    """AttnSeq and the best model that is another one, by the table's first metric, as JSON values.

    AttnSeq is its row with defaults; where that has no result, the best of its rows. None where either is missing.
    """
    metric = table.compared[0]
    ours = _best([row for row in table.full if row.name == MODEL], metric)
    ours = ours or _best([row for row in table.full if row.model == MODEL], metric)
    rival = _best([row for row in table.full if row.model != MODEL], metric)
    if ours is None or rival is None:
        return None
    users = ours.runs[0][1].users
    found = compare(ours.values(metric, users), rival.values(metric, users))
    others = [row for row in table.rows if row.model != MODEL]
    return {
        "metric": metric,
        "ours": _side(ours, metric),
        "rival": _side(rival, metric),
        "difference": round(found.difference, 6),
        "low": round(found.low, 6),
        "high": round(found.high, 6),
        "p": round(found.p, 6),
        "run": sum(bool(row.runs) for row in others),
        "listed": len(others),
    }


def _best(rows: Sequence[TableRow], metric: str) -> TableRow | None:
    return max(rows, key=lambda row: row.score(metric)[0], default=None)


def _side(row: TableRow, metric: str) -> dict[str, Any]:
    records = [record for _, record in row.runs]
    return {
        "name": row.name,
        "score": round(row.score(metric)[0], 6),
        "seeds": len(records),
        "processor": cost(records)["processor"],
    }


def summary(report: Mapping[str, Any]) -> str:
    """The table over all data sets; p-values corrected by Holm's method for its rows."""
    tables = [table for table in report["tables"] if table["rivals"]]
    corrected = holm([table["rivals"]["p"] for table in tables])
    lines = [
        "| test NDCG@10 (seeds) | AttnSeq | best other model | of | difference, 95% interval | p | processor s |",
        "|---|---|---|---|---|---|---|",
    ]
    for table, p in zip(tables, corrected, strict=True):
        found = table["rivals"]
        ours, rival = found["ours"], found["rival"]
        row = "" if ours["name"] == MODEL else f"{ours['name'].removeprefix(MODEL).strip()} "
        interval = f"[{found['low']:+.4f}, {found['high']:+.4f}]" + ("" if p < LEVEL else f" {MARK}")
        lines.append(
            f"| {table['board']} | {row}{ours['score']:.4f} ({ours['seeds']}) | "
            f"{rival['name']} {rival['score']:.4f} ({rival['seeds']}) | {found['run']} of {found['listed']} | "
            f"{found['difference']:+.4f} {interval} | {p:.4f} | "
            f"{ours['processor']:,.0f} against {rival['processor']:,.0f} |"
        )
    return "\n".join(lines)
