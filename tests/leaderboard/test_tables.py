"""README's table is the one that the committed records give."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.records import read_record
from recbole_attnseq.leaderboard.tables import insert, markdown, read_folder

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "results" / "runs" / "ml-100k"


def test_readme_is_current() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert insert(page, markdown(read_folder(RUNS))) == page


def test_attnseq_leads_gru4rec_and_sasrec_on_one_split() -> None:
    """The mean over all committed seeds, never the best of them."""
    scores: dict[str, list[float]] = {}
    for record in read_folder(RUNS):
        scores.setdefault(record.model, []).append(record.test["ndcg@10"])
    mean = {model: sum(values) / len(values) for model, values in scores.items()}
    assert mean["AttnSeq"] > max(mean["GRU4Rec"], mean["SASRec"])


def test_metrics_of_the_records_follow_from_their_ranks() -> None:
    import numpy as np

    for path in sorted((ROOT / "results").glob("**/*.json")):
        if path.parent.name == "ml-100k":
            record = read_record(path)
            ndcg = np.mean([1 / np.log2(rank + 1) if rank <= 10 else 0.0 for rank in record.ranks])
            assert record.test["ndcg@10"] == pytest.approx(ndcg, abs=6e-5), path


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no records"):
        read_folder(tmp_path)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(UserError, match="marks"):
        insert("a page", "a table")
