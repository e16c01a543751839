"""The first table that a reader sees: AttnSeq against the best of the other models, data set by data set."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_attnseq.cli import main
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import best_yaml, cells_of
from recbole_attnseq.leaderboard.markdown_page import markdown
from recbole_attnseq.leaderboard.marks import BUCKETED
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.records import read_record
from recbole_attnseq.leaderboard.report import assemble
from recbole_attnseq.leaderboard.rivals import FOREIGN, MARKS, summary
from recbole_attnseq.leaderboard.significance import compare
from recbole_attnseq.leaderboard.standings import processors
from tests.leaderboard.fakes import fill, write_board

RESULTS = Path("results")
TUNED = {"model": "AttnSeq", "settings": {"hidden_size": 32}}
MODELS: dict[str, Any] = {
    "AttnSeq (tuned)": TUNED,
    "AttnSeq": {"seeds": [1, 2]},
    "Pop": None,
    "BPR": None,
    "FPMC": None,
}


def rivals(boards: Path) -> Any:
    (table,) = assemble(boards, RESULTS)["tables"]
    return table["rivals"]


def prefer(board: Path, row: str, valid: float) -> None:
    """Give a row's records another score on validation."""
    for cell in cells_of(read_board(board), Path("none")):
        if cell.row.name == row:
            record = read_record(cell.record_path(RESULTS / "runs"))
            dataclasses.replace(record, valid={**record.valid, "ndcg@10": valid}).save(RESULTS / "runs")


def search(board: Path, found: dict[str, float] | None = None) -> None:
    """Let every search have found a learning rate of its own; ``found`` has those of some rows."""
    for row in read_board(board).rows:
        if row.tune:
            file = best_yaml(row, RESULTS / "studies")
            file.parent.mkdir(parents=True)
            file.write_text(f"learning_rate: {(found or {}).get(row.name, 0.007)}\n")


def test_who_knows_the_time_meets_all_and_who_does_not_its_like(workdir: Path) -> None:
    models = {
        "AttnSeq": None,
        "AttnSeq (trends)": {"model": "AttnSeq", "settings": {"trends": [60]}},
        "RecentPop": {"settings": {"trends": [60]}},
        "Pop": None,
        "FPMC": None,
    }
    board = write_board(workdir / "boards", models)
    scores = {"AttnSeq": 0.2, "AttnSeq (trends)": 0.5, "RecentPop": 0.4, "Pop": 0.02, "FPMC": 0.1}
    fill(board, workdir / "results", scores)
    prefer(board, "AttnSeq (trends)", 0.9)
    blind, timely = rivals(workdir / "boards")
    assert (blind["ours"]["name"], blind["rival"]["name"]) == ("AttnSeq", "FPMC")
    assert (timely["ours"]["name"], timely["rival"]["name"]) == ("AttnSeq (trends)", "RecentPop")


def test_what_is_given_no_times_meets_them_too(workdir: Path) -> None:
    """RecBole's models read the order of a history alone, so whoever reads its times as well stands beside itself."""
    untimed = {"model": "AttnSeq", "settings": {"time_gaps": False}}
    board = write_board(
        workdir / "boards", {"AttnSeq": None, "AttnSeq (without times)": untimed, "Pop": None, "FPMC": None}
    )
    fill(board, workdir / "results", {"AttnSeq": 0.3, "AttnSeq (without times)": 0.2, "Pop": 0.02, "FPMC": 0.1})
    prefer(board, "AttnSeq", 0.9)
    found = [(pair["ours"]["name"], pair["rival"]["name"]) for pair in rivals(workdir / "boards")]
    assert found == [("AttnSeq", "FPMC"), ("AttnSeq (without times)", "FPMC")]


def test_the_defaults_meet_the_best_of_the_other_models(workdir: Path) -> None:
    """Not the tuned row, however good, nor the second best; seeds are averaged target by target."""
    board = write_board(workdir / "boards", MODELS)
    fill(board, workdir / "results", {"AttnSeq (tuned)": 0.4, "AttnSeq": 0.2, "Pop": 0.02, "BPR": 0.16})
    prefer(board, "AttnSeq (tuned)", 0.0)
    (found,) = rivals(workdir / "boards")
    assert (found["ours"]["name"], found["ours"]["seeds"]) == ("AttnSeq", 2)
    assert (found["rival"]["name"], found["rival"]["seeds"]) == ("BPR", 1)
    assert (found["run"], found["listed"]) == (2, 3)
    cells = {(cell.row.name, cell.seed): cell for cell in cells_of(read_board(board), Path("none"))}

    def values(row: str, seed: int) -> Any:
        return per_target("ndcg@10", read_record(cells[row, seed].record_path(RESULTS / "runs")).ranks)

    ours = np.mean([values("AttnSeq", seed) for seed in (1, 2)], axis=0)
    expected = compare(ours, values("BPR", 2020))
    got = [found[key] for key in ("difference", "low", "high", "p")]
    assert got == pytest.approx([expected.difference, expected.low, expected.high, expected.p], abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2020])
def test_seconds_of_two_kinds_of_processors_are_marked(workdir: Path, seed: int) -> None:
    """Whichever side ran elsewhere; makers' decorations of a name make no difference."""
    board = write_board(workdir / "boards", {"AttnSeq": {"seeds": [1, 2]}, "Pop": None})
    fill(board, workdir / "results", {"AttnSeq": 0.2, "Pop": 0.02})
    assert FOREIGN not in summary(assemble(workdir / "boards", RESULTS))
    (cell,) = [cell for cell in cells_of(read_board(board), Path("none")) if cell.seed == seed]
    record = read_record(cell.record_path(RESULTS / "runs"))
    for name, marked in (("A(R) processor @ 2.00GHz", True), ("a  processor", False)):
        dataclasses.replace(record, hardware={**record.hardware, "processor": name}).save(RESULTS / "runs")
        assert (FOREIGN in summary(assemble(workdir / "boards", RESULTS))) == marked
    makers = ["Intel(R) Xeon(R) Processor", "AMD EPYC", "Intel(R) Xeon(R) CPU @ 2.20GHz"]
    runs = [dataclasses.replace(record, hardware={"processor": name}) for name in makers]
    assert processors([*runs, dataclasses.replace(record, hardware={})]) == "AMD EPYC, Intel Xeon, unknown"


def test_the_row_that_validation_prefers_is_the_second_and_says_so(workdir: Path) -> None:
    """Validation's choice stands, though it be the worse one on test."""
    board = write_board(workdir / "boards", MODELS)
    fill(board, workdir / "results", {"AttnSeq (tuned)": 0.2, "AttnSeq": 0.4, "Pop": 0.02})
    prefer(board, "AttnSeq (tuned)", 0.9)
    assert [found["ours"]["name"] for found in rivals(workdir / "boards")] == ["AttnSeq", "AttnSeq (tuned)"]
    assert "| tiny | (tuned) " in summary(assemble(workdir / "boards", RESULTS)).splitlines()[3]


def test_a_row_that_lacks_a_seed_is_not_preferred(workdir: Path) -> None:
    models = {**MODELS, "AttnSeq (tuned)": {**TUNED, "seeds": [2020, 2021]}}
    board = write_board(workdir / "boards", models)
    fill(board, workdir / "results", {"AttnSeq (tuned)": 0.4, "AttnSeq": 0.2, "Pop": 0.02})
    prefer(board, "AttnSeq (tuned)", 0.9)
    assert len(rivals(workdir / "boards")) == 2
    cell = next(cell for cell in cells_of(read_board(board), Path("none")) if cell.seed == 2021)
    cell.record_path(RESULTS / "runs").unlink()
    assert [found["ours"]["name"] for found in rivals(workdir / "boards")] == ["AttnSeq"]


@pytest.mark.parametrize(("valid", "second"), [(0.1, []), (0.9, ["AttnSeq (tuned)"])])
def test_defaults_that_lack_a_seed_step_behind_what_is_ahead_of_them_alone(
    workdir: Path, valid: float, second: list[str]
) -> None:
    board = write_board(workdir / "boards", MODELS)
    fill(board, workdir / "results", {"AttnSeq (tuned)": 0.4, "AttnSeq": 0.2, "Pop": 0.02})
    prefer(board, "AttnSeq", 0.5)
    prefer(board, "AttnSeq (tuned)", valid)
    cell = next(cell for cell in cells_of(read_board(board), Path("none")) if cell.seed == 2)
    cell.record_path(RESULTS / "runs").unlink()
    assert [found["ours"]["name"] for found in rivals(workdir / "boards")] == ["AttnSeq", *second]


def test_a_tuned_row_stands_in_and_says_so(workdir: Path) -> None:
    fill(write_board(workdir / "boards", MODELS), workdir / "results", {"AttnSeq (tuned)": 0.4, "Pop": 0.02})
    assert [found["ours"]["name"] for found in rivals(workdir / "boards")] == ["AttnSeq (tuned)"]
    assert "| tiny | (tuned) " in summary(assemble(workdir / "boards", RESULTS))


@pytest.mark.parametrize("quality", [{"AttnSeq": 0.2}, {"Pop": 0.02, "BPR": 0.16}, {}])
def test_nobody_is_compared_with_nothing(workdir: Path, quality: dict[str, float]) -> None:
    fill(write_board(workdir / "boards", MODELS), workdir / "results", quality)
    assert rivals(workdir / "boards") == []
    assert summary(assemble(workdir / "boards", RESULTS)).count("\n") == 1


def test_p_values_are_corrected_and_what_is_not_significant_is_marked(workdir: Path) -> None:
    sides = {"ours": {"name": "AttnSeq", "score": 0.2, "seeds": 3, "processor": 1200.4}}
    sides["rival"] = {"name": "FPMC", "score": 0.1, "seeds": 3, "processor": 7.0, "bucketed": False}
    found = {**sides, "difference": 0.1, "low": 0.05, "high": 0.15, "run": 1, "listed": 9, "networks": True}
    found |= {"processors": "one", "with_seeds": [0.01, 0.19, 0.03]}
    report: dict[str, Any] = {
        "tables": [
            {"board": name, "dataset": name, "rivals": [{**found, "p": p}], "planned": []}
            for name, p in (("first", 0.02), ("second", 0.04))
        ]
    }
    first, second = summary(report).splitlines()[2:]
    assert first == (
        "| first | 0.2000 (3) | FPMC 0.1000 (3) | 1 of 9 | +0.1000 [+0.0500, +0.1500] | 0.0400 | "
        "[+0.0100, +0.1900] | 0.0600 ≈ | 1,200 against 7 |"
    )
    report["tables"][0]["rivals"][0]["p"] = 0.03
    assert "[+0.0500, +0.1500] | 0.0600 ≈ |" in summary(report).splitlines()[2]
    assert "0.0400" in second
    report["tables"][1]["rivals"][0]["with_seeds"] = None
    first, second = summary(report).splitlines()[2:]
    assert "[+0.0100, +0.1900] | 0.0600 ≈ |" in first, "whether another row has such a test changes nothing here"
    assert "| one seed |  |" in second


@pytest.mark.parametrize(
    ("model", "how", "marked"),
    [("FPMC", True, True), ("FPMC", "bucketed", True), ("FPMC", "grouped", False), ("BPR", True, False)],
)
def test_batches_of_like_lengths_are_marked(workdir: Path, model: str, how: Any, marked: bool) -> None:
    """Where a model's batches were of that kind at all: BPR has no histories."""
    board = write_board(workdir / "boards", {"AttnSeq": None, model: None})
    fill(board, workdir / "results", {"AttnSeq": 0.3, model: 0.1})
    for cell in cells_of(read_board(board), Path("none")):
        record = read_record(cell.record_path(RESULTS / "runs"))
        dataclasses.replace(record, notes={**record.notes, "fast_batches": how}).save(RESULTS / "runs")
    report = assemble(workdir / "boards", RESULTS)
    assert (f"(1) {BUCKETED} |" in summary(report)) == marked
    assert (f"| {model} {BUCKETED} |" in markdown(report)) == marked
    assert f"| AttnSeq {BUCKETED} |" not in markdown(report)


@pytest.mark.parametrize("model", ["BPR", "FPMC", "STAMP"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_weak_comparison_says_so(workdir: Path, model: str, seeds: int) -> None:
    """One seed tells nothing of seeds, and a table where no sequential network of others has run compares nothing."""
    three = [2020, 2021, 2022]
    other = {"seeds": three[:seeds], "settings": {"train_neg_sample_args": None} if model == "STAMP" else {}}
    board = write_board(workdir / "boards", {"AttnSeq": {"seeds": three}, model: other})
    fill(board, workdir / "results", {"AttnSeq": 0.3, model: 0.1})
    line = summary(assemble(workdir / "boards", RESULTS)).splitlines()[-1]
    assert (" of 1 | +0." in line) == (model == "STAMP")
    assert ("no sequential network has run" in line) == (model != "STAMP")
    assert ("| one seed |" in line) == (model == "STAMP" and seeds == 1)
    assert line.count("|") == 10


def test_the_command_writes_it_into_a_page(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = write_board(workdir / "boards", MODELS)
    fill(board, workdir / "results", {"AttnSeq": 0.2, "BPR": 0.16})
    page = workdir / "page.md"
    command = ["leaderboard", "--config", str(board), "--report-only", "--page", str(page)]
    assert main(command) == 2
    assert f"cannot read the page {page}" in capsys.readouterr().err
    page.write_text("no marks", encoding="utf-8")
    assert main(command) == 2
    assert "lacks the marks" in capsys.readouterr().err
    assert not (RESULTS / "LEADERBOARD.md").exists(), "nothing half-written"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n", encoding="utf-8")
    assert main(command) == 0
    table = summary(assemble(workdir / "boards", RESULTS))
    assert page.read_text(encoding="utf-8") == f"before\n{MARKS[0]}\n{table}\n{MARKS[1]}\nafter\n"


def test_a_planned_comparison_is_of_what_validation_prefers_and_of_those_that_it_names(workdir: Path) -> None:
    """Not the default, nor who knows the time; not the best of all others; corrected for its own table alone."""
    timely = {"model": "AttnSeq", "settings": {"trends": [60]}}
    board = write_board(workdir / "boards", {**MODELS, "AttnSeq (trends)": timely}, planned=["Pop", "BPR"])
    scores = {"AttnSeq (trends)": 0.5, "AttnSeq (tuned)": 0.3, "AttnSeq": 0.4, "Pop": 0.02, "BPR": 0.1, "FPMC": 0.2}
    fill(board, workdir / "results", scores)
    prefer(board, "AttnSeq (tuned)", 0.8)
    prefer(board, "AttnSeq (trends)", 0.9)
    report = assemble(workdir / "boards", RESULTS)
    (found,) = report["tables"][0]["planned"]
    assert (found["ours"]["name"], found["rival"]["name"]) == ("AttnSeq (tuned)", "BPR")
    assert (found["run"], found["listed"]) == (2, 2)
    assert len(report["tables"][0]["rivals"]) == 3
    row = {**found, "p": 0.03, "networks": True}
    report["tables"][0]["planned"] = [row]
    assert "| 0.0300 |" in summary(report, "planned"), "the rows of the other table do not count here"
    heading = "## Comparisons that were planned"
    assert heading in markdown(report)
    write_board(workdir / "boards", MODELS)
    assert heading not in markdown(assemble(workdir / "boards", RESULTS))


def test_what_was_searched_meets_what_was_searched_alike(workdir: Path) -> None:
    """Not only the best of all, but whom the same budget made; once, though it be the same."""
    models = {
        "AttnSeq": None,
        "AttnSeq (5 trials)": {"model": "AttnSeq", "tune": {"trials": 5}},
        "BPR (5 trials)": {"model": "BPR", "tune": {"trials": 5}},
        "Pop (5 trials)": {"model": "Pop", "tune": {"trials": 5}},
        "FPMC (9 trials)": {"model": "FPMC", "tune": {"trials": 9}},
    }
    board = write_board(workdir / "boards", models)
    search(board)
    scores = {"AttnSeq": 0.2, "AttnSeq (5 trials)": 0.22, "Pop (5 trials)": 0.02, "BPR (5 trials)": 0.1}
    fill(board, workdir / "results", {**scores, "FPMC (9 trials)": 0.18})
    met = [(found["ours"]["name"], found["rival"]["name"], found["listed"]) for found in rivals(workdir / "boards")]
    assert met[0] == ("AttnSeq", "FPMC (9 trials)", 3)
    assert met[1:] == [("AttnSeq (5 trials)", "FPMC (9 trials)", 3), ("AttnSeq (5 trials)", "BPR (5 trials)", 2)]
    fill(board, workdir / "results", {"BPR (5 trials)": 0.3})
    met = [(found["ours"]["name"], found["rival"]["name"]) for found in rivals(workdir / "boards")]
    assert met.count(("AttnSeq (5 trials)", "BPR (5 trials)")) == 1


def test_a_search_that_found_the_defaults_is_not_shown_beside_them(workdir: Path) -> None:
    models = {
        "AttnSeq": {"seeds": [1, 2]},
        "AttnSeq (5 trials)": {"model": "AttnSeq", "seeds": [1, 2], "tune": {"trials": 5}},
        "BPR": None,
        "BPR (5 trials)": {"model": "BPR", "tune": {"trials": 5}},
    }
    board = write_board(workdir / "boards", models)
    search(board, {"AttnSeq (5 trials)": 0.001})
    fill(board, workdir / "results", {"AttnSeq": 0.2, "BPR": 0.1})
    (table,) = assemble(workdir / "boards", RESULTS)["tables"]
    assert {row["name"] for row in table["rows"] if row["runs"]} == {"AttnSeq", "AttnSeq (5 trials)", "BPR"}
    assert [(found["ours"]["name"], found["rival"]["name"]) for found in table["rivals"]] == [("AttnSeq", "BPR")]
    fill(board, workdir / "results", {"BPR (5 trials)": 0.05})
    met = [(found["ours"]["name"], found["rival"]["name"]) for found in rivals(workdir / "boards")]
    assert met == [("AttnSeq", "BPR"), ("AttnSeq (5 trials)", "BPR (5 trials)")], "its like it meets all the same"
