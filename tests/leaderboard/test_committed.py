"""What the repository shows is what its records give; attnseq leaderboard --report-only --page README.md writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from recbole_attnseq.leaderboard.html_page import html
from recbole_attnseq.leaderboard.markdown_page import markdown
from recbole_attnseq.leaderboard.picture import picture
from recbole_attnseq.leaderboard.report import assemble
from recbole_attnseq.leaderboard.rivals import MARKS, summary
from recbole_attnseq.leaderboard.tables import insert

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report() -> Iterator[Mapping[str, Any]]:
    """Of all records, made once, since it takes a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield assemble(Path("configs/leaderboard"), Path("results"))


@pytest.mark.parametrize(
    ("name", "page"), [("LEADERBOARD.md", markdown), ("leaderboard.html", html), ("leaderboard.svg", picture)]
)
def test_the_report_is_current(report: Mapping[str, Any], name: str, page: Any) -> None:
    assert (ROOT / "results" / name).read_text(encoding="utf-8") == page(report)


def test_readme_is_current(report: Mapping[str, Any]) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert insert(page, summary(report), MARKS) == page
