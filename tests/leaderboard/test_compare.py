"""Two records side by side, and refusals where they do not compare."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from recbole_attnseq import cli
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import cells_of
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.records import RunRecord
from tests.leaderboard.fakes import fake_record, ranks, write_board


@pytest.fixture
def pair(workdir: Path) -> tuple[RunRecord, RunRecord]:
    cells = cells_of(read_board(write_board(workdir / "boards", {"AttnSeq": None, "Pop": None})), Path("none"))
    return fake_record(cells[0], ranks(1, 0.2)), fake_record(cells[1], ranks(2, 0.05))


def _compare(first: RunRecord, second: RunRecord, *flags: str) -> int:
    return cli.main(["compare", str(first.save("a")), str(second.save("b")), *flags])


def test_prints_both_and_their_difference(
    pair: tuple[RunRecord, RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compare(*pair, "--metrics=NDCG@10,hit@5") == 0
    out = capsys.readouterr().out
    a, b = (per_target("ndcg@10", record.ranks).mean() for record in pair)
    (line,) = [line for line in out.splitlines() if line.startswith("NDCG@10")]
    assert line.split()[1:4] == [f"{a:.4f}", f"{b:.4f}", f"{a - b:+.4f}"]
    assert "not significant" not in line
    assert "A: AttnSeq, seed 2020" in out
    assert "processor     a processor / a processor" in out
    better = sum(x < y for x, y in zip(pair[0].ranks, pair[1].ranks, strict=True))
    assert f"A ranks the target higher for {better} targets" in out


def test_a_record_does_not_differ_from_itself(
    pair: tuple[RunRecord, RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compare(pair[0], dataclasses.replace(pair[0], seed=7)) == 0
    out = capsys.readouterr().out
    assert out.count("not significant") == 9
    assert "+0.0000" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split_hash": "0" * 16}, "two splits, feedfacefeedface and 0000000000000000"),
        ({"protocol": {"exclude_history": False}}, "two protocols"),
        ({"dataset": "other"}, "two data sets, tiny and other"),
        ({"users": [f"x{n}" for n in range(200)]}, "not the same users"),
    ],
)
def test_refuses_what_does_not_compare(
    pair: tuple[RunRecord, RunRecord], change: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compare(pair[0], dataclasses.replace(pair[1], **change)) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metrics", "words"), [("NDGC@10", "Did you mean 'NDCG'"), ("ndcg", "no cut-off"), (",", "names none")]
)
def test_refuses_metrics_that_do_not_exist(
    pair: tuple[RunRecord, RunRecord], metrics: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compare(*pair, f"--metrics={metrics}") == 2
    assert words in capsys.readouterr().err
