"""Two records side by side, and refusals where they do not compare."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from recbole_attnseq import cli
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import cells_of
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.records import RunRecord
from recbole_attnseq.leaderboard.significance import compare, compare_with_seeds
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


def test_seeds_of_a_run_are_averaged_user_by_user(
    pair: tuple[RunRecord, RunRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    """And where both sides have several, the second interval and p are for other seeds as well."""
    sides = []
    for folder, record, first in zip("ab", pair, (0, 50), strict=True):
        drawn = [dataclasses.replace(record, seed=seed, ranks=ranks(first + seed, 0.2)) for seed in (4, 7, 9)]
        for each in drawn:
            each.save(folder)
        sides.append(np.stack([per_target("ndcg@10", each.ranks) for each in drawn]))
    many = ["a/*/*.json", "b/*/*.json"]
    assert cli.main(["compare", *many, "--metrics=ndcg@10"]) == 0
    out = capsys.readouterr().out
    assert "A: AttnSeq, seed 4, 7, 9, configuration" in out
    (line,) = [line for line in out.splitlines() if line.startswith("NDCG@10")]
    found = compare(*(side.mean(axis=0) for side in sides))
    wide = compare_with_seeds(*sides)
    assert wide is not None
    expected = [sides[0].mean(), sides[1].mean(), found.difference, found.low, found.high, found.p]
    numbers = [float(x) for x in re.findall(r"[+-]?[0-9]\.[0-9]{4}", line)]
    assert numbers == pytest.approx([*expected, wide.low, wide.high, wide.p], abs=6e-5)
    one = str(pair[1].save("c"))
    assert cli.main(["compare", many[0], one, "--metrics=ndcg@10"]) == 0
    assert "for other seeds" not in capsys.readouterr().out, "one seed tells nothing of seeds"


def test_a_pattern_names_one_run(pair: tuple[RunRecord, RunRecord], capsys: pytest.CaptureFixture[str]) -> None:
    one = str(pair[0].save("a"))
    pair[0].save("b")
    pair[1].save("c")
    for pattern, words in (
        ("d/*.json", "no file matches d/"),
        ("[ac]/*/*.json", "matches runs of 2 configurations ("),
        ("[ab]/*/*.json", "matches seed 2020 more than once"),
    ):
        assert cli.main(["compare", pattern, one]) == 2
        assert words in capsys.readouterr().err
    assert cli.main(["compare", str(pair[0].save("x[1]")), one]) == 0, "a path that exists is no pattern"


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
