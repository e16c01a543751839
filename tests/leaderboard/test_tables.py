"""The table of results/README.md is the one that the committed records give."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import cells_of
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.records import read_record
from recbole_attnseq.leaderboard.tables import insert, markdown, read_folder
from tests.leaderboard.fakes import fake_record, ranks, write_board

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "results" / "runs" / "ml-100k"


def test_the_page_is_current() -> None:
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    assert insert(page, markdown(read_folder(RUNS))) == page


def test_attnseq_leads_gru4rec_and_sasrec_on_one_split() -> None:
    """The mean over all committed seeds, never the best of them; each protocol by itself."""
    scores: dict[bool, dict[str, list[float]]] = {}
    for record in read_folder(RUNS):
        of_protocol = scores.setdefault(record.protocol["exclude_history"], {})
        of_protocol.setdefault(record.row, []).append(record.test["ndcg@10"])
    compared = 0
    for of_protocol in scores.values():
        mean = {model: sum(values) / len(values) for model, values in of_protocol.items()}
        for rival in {"GRU4Rec", "SASRec"} & set(mean):
            if "AttnSeq" in mean:
                assert mean["AttnSeq"] > mean[rival]
                compared += 1
    if not compared:
        pytest.skip("no protocol has committed runs of AttnSeq and of a rival")


def test_metrics_of_the_records_follow_from_their_ranks() -> None:
    for path in sorted((ROOT / "results").glob("*/*/*.json")):
        if path.parent.parent.name in ("runs", "ablation"):
            record = read_record(path)
            # Many items share a count, some a similarity; RecBole orders them as torch does, our ranks by item number.
            tolerance = {"Pop": 0.01, "RecentPop": 0.01, "ItemKNN": 1e-4}.get(record.model, 6e-5)
            assert record.test["ndcg@10"] == pytest.approx(per_target("ndcg@10", record.ranks).mean(), abs=tolerance), (
                path
            )


def test_runs_of_two_protocols_stand_apart(workdir: Path) -> None:
    board = read_board(write_board(workdir / "boards", {"AttnSeq": None, "Pop": None}))
    ours, pop = (fake_record(cell, ranks(1, 0.1)) for cell in cells_of(board, Path("none")))
    ours = dataclasses.replace(ours, protocol={**ours.protocol, "exclude_history": False})
    folder = ours.save("runs").parent
    pop.save("runs")
    rows = [line.split(" | ")[:2] for line in markdown(read_folder(folder)).splitlines()[2:]]
    assert rows == [["| all items", "AttnSeq"], ["| new items", "Pop"]]
    assert read_folder(folder, exclude_history=True) == [pop]
    assert read_folder(folder, exclude_history=False) == [ours]
    dataclasses.replace(pop, split_hash="0" * 16, seed=1).save("runs")
    with pytest.raises(UserError, match="2 splits"):
        read_folder(folder)


def test_copies_of_a_run_count_once_and_two_results_are_refused(workdir: Path) -> None:
    board = read_board(write_board(workdir / "boards", {"Pop": {"seeds": [1, 2]}}))
    one, two = (fake_record(cell, ranks(cell.seed, 0.1)) for cell in cells_of(board, Path("none")))
    assert markdown([one, two, one]) == markdown([one, two])
    with pytest.raises(UserError, match=rf"two records of {one.name} disagree"):
        markdown([one, two, dataclasses.replace(one, ranks=two.ranks)])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no records"):
        read_folder(tmp_path)
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "Pop.json").touch()
    with pytest.raises(UserError, match=r"name a data set's folder, e\.g\. .*runs/tiny"):
        read_folder(tmp_path / "runs")


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(UserError, match="marks"):
        insert("a page", "a table")
