"""results/leaderboard.svg: the best rows of every data set as bars, AttnSeq in colour, for pages that run no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from recbole_attnseq.leaderboard.marks import BUCKETED, any_bucketed
from recbole_attnseq.leaderboard.rivals import METRIC
from recbole_attnseq.registration import MODEL

OTHERS = 5  # rows of other models shown, the best ones
WIDTH, GAP, COLUMNS = 1000, 20, 2
PANEL = (WIDTH - GAP * (COLUMNS - 1)) / COLUMNS
LABEL, FIGURES, ROW, TITLE = 240, 116, 19, 26  # room for names and for figures, heights of a bar and of a title
TOP, LETTERS = 58.0, 32  # where the panels begin, and the letters of a name that fit
LEGEND = (
    "Test NDCG@10, mean over the seeds in brackets (whisker: one standard deviation); blue: AttnSeq. Right: seconds of",
    "processor, which do not compare between kinds of it.",
)
MARKED = f" {BUCKETED}: in batches of like lengths, unlike RecBole."
STYLE = (
    "text{font:12px sans-serif;fill:#1f2328}.t{font-weight:bold;font-size:13px}.n{fill:#59636e}"
    ".o{fill:#afb8c1}.a{fill:#0969da}line{stroke:#1f2328;stroke-width:1.5}"
)


def picture(report: Mapping[str, Any]) -> str:
    """SVG of the report's tables: AttnSeq's default, its row that validation prefers, and the best other models.

    Tables where no sequential network of the others has run are left out: there is nothing to compare with.
    """
    tables = [table for table in report["tables"] if any(found["networks"] for found in table["rivals"])]
    panels = [_panel(table) for table in tables]
    parts: list[str] = []
    top = TOP
    for start in range(0, len(panels), COLUMNS):
        line = panels[start : start + COLUMNS]
        for column, (marks, _) in enumerate(line):
            place = f"translate({column * (PANEL + GAP):.0f} {top:.0f})"
            parts += [f'<g transform="{place}">', *marks, "</g>"]
        top += max(height for _, height in line) + 14
    legend = (LEGEND[0], LEGEND[1] + (MARKED if any_bucketed(tables) else ""))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:.0f}" width="{WIDTH}" role="img">'
    return "\n".join([
        head, f"<title>{legend[0]} {legend[1]}</title>", f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{top:.0f}" fill="#fff"/>',
        *(svg_text(4, 20 + 17 * number, line, kind="n") for number, line in enumerate(legend)), *parts, "</svg>", "",
    ])  # fmt: skip


def _panel(table: Mapping[str, Any]) -> tuple[list[str], float]:
    """A data set's bars, and the height that they take."""
    rows = _chosen(table)
    reach = max(mean + (spread or 0) for mean, spread in (row["metrics"][METRIC] for row in rows))
    scale = (PANEL - LABEL - FIGURES) / (reach or 1.0)
    marks = [svg_text(4, 14, table["dataset"], kind="t")]
    for number, row in enumerate(rows):
        (mean, spread), y = row["metrics"][METRIC], TITLE + number * ROW
        name = f"{_short(row['name'])} ({len(row['runs'])})" + (f" {BUCKETED}" if row["bucketed"] else "")
        end, middle = LABEL + mean * scale, y + ROW / 2
        marks += [
            svg_text(LABEL - 6, middle + 4, name, anchor="end"),
            f'<rect x="{LABEL}" y="{y + 3}" width="{end - LABEL:.1f}" height="{ROW - 6}" '
            f'class="{"a" if row["model"] == MODEL else "o"}"/>',
            svg_text(PANEL - FIGURES + 46, middle + 4, f"{mean:.4f}", anchor="end"),
            svg_text(PANEL - 4, middle + 4, f"{row['cost']['processor']:,.0f} s", "end", "n"),
        ]
        if spread is not None:
            low, high = max(LABEL, end - spread * scale), end + spread * scale
            marks.append(f'<line x1="{low:.1f}" y1="{middle:.1f}" x2="{high:.1f}" y2="{middle:.1f}"/>')
    return marks, TITLE + len(rows) * ROW


def _chosen(table: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    ours = {found["ours"]["name"] for found in table["rivals"]}
    full = [row for row in table["rows"] if "metrics" in row]
    others = [row for row in full if row["model"] != MODEL][:OTHERS]
    return [row for row in full if row["name"] in ours or row in others]


def _short(name: str) -> str:
    """A name that fits into its room: a long one of AttnSeq's rows loses its first word, which the colour says."""
    if len(name) > LETTERS and name.startswith(f"{MODEL} (") and name.endswith(")"):
        name = name[len(MODEL) + 2 : -1]
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 3]}..."


def svg_text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    """An SVG element with a line of text at a place; ``kind`` is its class."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
