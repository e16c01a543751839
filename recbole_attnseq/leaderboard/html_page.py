"""results/leaderboard.html from an assembled report: one file with its data, style and script inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from recbole_attnseq.leaderboard.rivals import HEADS, summary_rows


def html(report: Mapping[str, Any]) -> str:
    """The whole page; it opens from disk and asks no network for anything."""
    place = files("recbole_attnseq.leaderboard") / "page"
    page, style, script = (place.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    # A closing tag inside the data must not end the element that holds them.
    summaries = {of: {"heads": HEADS, "rows": summary_rows(report, of)} for of in ("rivals", "planned")}
    data = json.dumps({**report, **summaries}, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return page.replace("/* STYLE */", style).replace("/* SCRIPT */", script).replace("/* DATA */", data)
