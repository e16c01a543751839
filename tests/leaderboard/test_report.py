"""The report: every figure follows from the records, and the committed one is current."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.ablation import read_trials
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import cells_of, write_failure
from recbole_attnseq.leaderboard.facts import facts_path, popularity_bounds, read_facts
from recbole_attnseq.leaderboard.markdown_page import markdown
from recbole_attnseq.leaderboard.marks import BUCKETED, COARSE
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.picture import picture
from recbole_attnseq.leaderboard.published import PUBLISHED
from recbole_attnseq.leaderboard.records import RunRecord, aligned, read_record
from recbole_attnseq.leaderboard.report import assemble, write_report
from recbole_attnseq.leaderboard.rivals import WITHOUT_TIMES
from recbole_attnseq.leaderboard.significance import compare, holm
from recbole_attnseq.leaderboard.standings import command_of
from recbole_attnseq.training.processes import write_whole
from tests.leaderboard.fakes import SETTINGS, SPLIT, fake_facts, fake_record, fill, ranks, with_config, write_board

ROOT = Path(__file__).resolve().parents[2]
NETWORK = {"settings": {"train_neg_sample_args": None}}  # what RecBole's cross-entropy wants
MODELS = {"AttnSeq": {"seeds": [1, 2]}, "Pop": None, "BPR": None, "STAMP": NETWORK}
QUALITY = {"AttnSeq": 0.2, "Pop": 0.02, "BPR": 0.16}
RESULTS = Path("results")


@pytest.fixture
def boards(workdir: Path) -> Path:
    fill(write_board(workdir / "boards", MODELS), workdir / "results", QUALITY)
    return workdir / "boards"


def test_figures_follow_from_the_records(boards: Path) -> None:
    (table,) = assemble(boards, RESULTS)["tables"]
    assert [row["name"] for row in table["rows"]] == ["AttnSeq", "BPR", "Pop", "STAMP"]
    cells = {(cell.row.name, cell.seed): cell for cell in cells_of(read_board(boards / "tiny.yaml"), Path("none"))}
    records = {key: read_record(c.record_path(RESULTS / "runs")) for key, c in cells.items() if key[0] != "STAMP"}
    ours = [per_target("ndcg@10", records["AttnSeq", seed].ranks) for seed in (1, 2)]
    first = table["rows"][0]
    assert first["metrics"]["ndcg@10"] == pytest.approx(
        [np.mean(ours), np.std([one.mean() for one in ours], ddof=1)], abs=1e-6
    )
    assert table["rows"][1]["metrics"]["ndcg@10"][1] is None  # one seed has no deviation
    others = {name: per_target("ndcg@10", records[name, 2020].ranks) for name in ("BPR", "Pop")}
    mean = np.mean(ours, axis=0)
    found = {name: compare(values, mean) for name, values in others.items()}
    corrected = dict(zip(found, holm([one.p for one in found.values()]), strict=True))
    assert first["versus"]["ndcg@10"]["other"] == "BPR"
    assert first["versus"]["ndcg@10"]["difference"] == pytest.approx(-found["BPR"].difference, abs=1e-6)
    for row in table["rows"][1:3]:
        versus = row["versus"]["ndcg@10"]
        assert versus["other"] == "AttnSeq"
        assert versus["holm"] == pytest.approx(corrected[row["name"]], abs=1e-6)
        assert versus["significant"] == (corrected[row["name"]] < 0.05)
    assert not table["rows"][1]["versus"]["ndcg@10"]["significant"]
    assert table["rows"][2]["versus"]["ndcg@10"]["significant"]


SVG = "{http://www.w3.org/2000/svg}"


def drawn(report: dict[str, Any]) -> list[tuple[list[str], list[ElementTree.Element], list[ElementTree.Element]]]:
    """Texts, bars and whiskers of each panel of the picture."""
    root = ElementTree.fromstring(picture(report))
    found = []
    for panel in root.iter(f"{SVG}g"):
        texts = [element.text or "" for element in panel.iter(f"{SVG}text")]
        found.append((texts, list(panel.iter(f"{SVG}rect")), list(panel.iter(f"{SVG}line"))))
    return found


def test_bars_of_the_picture_are_as_long_as_the_scores(workdir: Path) -> None:
    fill(write_board(workdir / "boards", MODELS), workdir / "results", {**QUALITY, "STAMP": 0.18})
    report = assemble(workdir / "boards", RESULTS)
    (table,) = report["tables"]
    ((texts, bars, whiskers),) = drawn(report)
    assert texts[0] == "tiny"
    marks = [f" {BUCKETED}" if row["bucketed"] else "" for row in table["rows"]]
    assert texts[1::3] == [
        f"{row['name']} ({len(row['runs'])}){mark}" for row, mark in zip(table["rows"], marks, strict=True)
    ]
    assert texts[1].startswith("AttnSeq (2)")
    means = [row["metrics"]["ndcg@10"][0] for row in table["rows"]]
    assert texts[2::3] == [f"{mean:.4f}" for mean in means]
    lengths = [float(bar.attrib["width"]) for bar in bars]
    assert [length / lengths[0] for length in lengths] == pytest.approx([mean / means[0] for mean in means], abs=0.01)
    assert [bar.attrib["class"] for bar in bars] == ["a", "o", "o", "o"]
    (whisker,) = whiskers  # of the row with two seeds
    reach = (float(whisker.attrib["x2"]) - float(whisker.attrib["x1"])) / 2
    assert reach / lengths[0] == pytest.approx(table["rows"][0]["metrics"]["ndcg@10"][1] / means[0], abs=0.01)


def test_the_picture_compares_with_sequential_models_alone(boards: Path) -> None:
    report = assemble(boards, RESULTS)  # of the others Pop and BPR have run
    assert report["tables"][0]["rivals"]
    assert drawn(report) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("AttnSeq (wide)", "AttnSeq (wide)"),
        ("AttnSeq (features, dot product, 3 members)", "features, dot product, 3 members"),
        ("AttnSeq (tuned (a) and more than thirty letters)", "tuned (a) and more than thirt..."),
    ],
)
def test_the_picture_holds_any_row(name: str, shown: str, workdir: Path) -> None:
    """Names of any length, scores of zero, and seeds that spread further than their mean."""
    models = {name: {"model": "AttnSeq", "seeds": [1, 2]}, "STAMP": NETWORK}
    fill(write_board(workdir / "boards", models), workdir / "results", {name: 0.2, "STAMP": 0.1})
    report = assemble(workdir / "boards", RESULTS)
    ours = next(row for row in report["tables"][0]["rows"] if row["name"] == name)
    ours["metrics"]["ndcg@10"] = [0.01, 0.02]
    ((texts, bars, (whisker,)),) = drawn(report)
    assert any(text.startswith(f"{shown} (2)") for text in texts)
    assert float(whisker.attrib["x1"]) == float(bars[0].attrib["x"])
    for row in report["tables"][0]["rows"]:
        row["metrics"]["ndcg@10"] = [0.0, None]
    ((_, bars, _),) = drawn(report)
    assert [float(bar.attrib["width"]) for bar in bars] == [0.0, 0.0]


def test_groups_of_users_add_up_to_the_whole(boards: Path) -> None:
    (table,) = assemble(boards, RESULTS)["tables"]
    for kind in ("history", "popularity"):
        sizes = [count for _, count in table[f"{kind}_groups"]]
        assert sum(sizes) == 200
        for row in table["rows"][:3]:
            parts = [value or 0 for value in row[kind]["ndcg@10"]]
            assert np.dot(parts, sizes) / 200 == pytest.approx(row["metrics"]["ndcg@10"][0], abs=1e-5)


def test_groups_of_the_facts() -> None:
    facts = fake_facts("x", users=6, history=[1, 5, 6, 20, 21, 51], popularity=[0, 1, 10, 49, 50, 99])
    assert facts.history_group().tolist() == [0, 0, 1, 2, 3, 4]
    assert facts.popularity_group().tolist() == [3, 2, 1, 1, 0, 0]
    # 30 interactions: the item of 12 holds the first third, those of 5 the second.
    assert popularity_bounds([0, 12, 5, 5, 2, 2, 2, 1, 1]) == (12, 5)


def test_empty_cells_say_so(boards: Path) -> None:
    cells = cells_of(read_board(boards / "tiny.yaml"), Path("none"))
    (empty,) = [cell for cell in cells if cell.row.name == "STAMP"]
    text = markdown(assemble(boards, RESULTS))
    assert "not run yet: STAMP (2020)" in text
    write_failure(empty.failure_path(RESULTS / "runs"), {"reason": "killed by SIGKILL", "time_limit": 5})
    assert "killed by SIGKILL: STAMP (2020)" in markdown(assemble(boards, RESULTS))
    (gone,) = [cell for cell in cells if cell.row.name == "AttnSeq" and cell.seed == 2]
    gone.record_path(RESULTS / "runs").unlink()
    report = assemble(boards, RESULTS)
    assert "| AttnSeq | 1 of 2 |" in markdown(report)


def test_bad_records_are_counted_and_named_and_change_nothing(boards: Path) -> None:
    before = assemble(boards, RESULTS)
    (RESULTS / "runs" / "tiny" / "broken.json").write_text("{")
    after = assemble(boards, RESULTS)
    assert after["tables"] == before["tables"]
    assert "1 files could not be used" in markdown(after)
    assert "runs/tiny/broken.json is corrupt" in after["skipped"][0]


def test_a_record_of_another_split_is_never_averaged_in(boards: Path) -> None:
    (cell,) = [c for c in cells_of(read_board(boards / "tiny.yaml"), Path("none")) if c.row.name == "STAMP"]
    fake_record(cell, ranks(5, 0.5), split="0" * 16).save(RESULTS / "runs")
    (table,) = assemble(boards, RESULTS)["tables"]
    (row,) = [row for row in table["rows"] if row["name"] == "STAMP"]
    assert row["runs"] == []
    assert "left out" in table["notes"][0]


def test_a_record_of_another_protocol_is_never_averaged_in(boards: Path) -> None:
    """Ranked among seen items, too: on the same split, and yet another question."""
    (cell,) = [c for c in cells_of(read_board(boards / "tiny.yaml"), Path("none")) if c.row.name == "STAMP"]
    record = fake_record(cell, ranks(5, 0.5))
    other = not record.protocol["exclude_history"]
    dataclasses.replace(record, protocol={**record.protocol, "exclude_history": other}).save(RESULTS / "runs")
    (table,) = assemble(boards, RESULTS)["tables"]
    (row,) = [row for row in table["rows"] if row["name"] == "STAMP"]
    assert row["runs"] == []
    assert row["empty"] == [[2020, "its record is of another split or protocol, or has other users"]]
    assert f"exclude_history {other}, the table's {not other}" in table["notes"][0]


def test_a_record_of_other_users_is_named_and_left_out(boards: Path) -> None:
    """With the split's facts they say who is wrong; without, the many do."""
    (cell,) = [c for c in cells_of(read_board(boards / "tiny.yaml"), Path("none")) if c.row.name == "STAMP"]
    record = fake_record(cell, ranks(5, 0.9))  # it would be the first
    dataclasses.replace(record, users=record.users[1:], ranks=record.ranks[1:]).save(RESULTS / "runs")
    for _ in range(2):
        (table,) = assemble(boards, RESULTS)["tables"]
        assert [row["name"] for row in table["rows"] if row["runs"]] == ["AttnSeq", "BPR", "Pop"]
        assert any(f"{record.name} has other users than its split: left out" in note for note in table["notes"])
        facts_path(RESULTS / "runs", "tiny", SPLIT).unlink(missing_ok=True)


def test_the_split_that_the_data_give_now_decides(boards: Path) -> None:
    """Data were made anew and one cell ran on them: it counts, the others are to be run again."""
    board = read_board(boards / "tiny.yaml")
    (cell,) = [c for c in cells_of(board, Path("none")) if c.row.name == "STAMP"]
    fake_record(cell, ranks(5, 0.5), split="0" * 16).save(RESULTS / "runs")
    fake_facts("tiny", split="0" * 16).save(RESULTS / "runs")
    (table,) = assemble(boards, RESULTS, splits={board.path: {"tiny": "0" * 16}})["tables"]
    assert [row["name"] for row in table["rows"] if row["runs"]] == ["STAMP"]
    assert {why for row in table["rows"] for _, why in row["empty"]} == {"to be run again"}
    (table,) = assemble(boards, RESULTS)["tables"]
    assert "STAMP" not in [row["name"] for row in table["rows"] if row["runs"]], "where they are not known, most do"


def test_marks_of_how_a_row_was_made(boards: Path) -> None:
    """Ranked in bfloat16 by older code: a mark and its meaning; trained in two precisions: a note."""
    assert COARSE not in markdown(assemble(boards, RESULTS))
    cells = [c for c in cells_of(read_board(boards / "tiny.yaml"), Path("none")) if c.row.name == "AttnSeq"]
    for cell, notes in zip(cells, ({"ranking": "bfloat16"}, {}), strict=True):
        record = read_record(cell.record_path(RESULTS / "runs"))
        precision = "bfloat16" if notes else "float32"
        changed = {**record.notes, **notes, "resolved": {"precision": precision}}
        dataclasses.replace(record, notes=changed).save(RESULTS / "runs")
    page = markdown(assemble(boards, RESULTS))
    assert f"| AttnSeq {COARSE} | 2 |" in page
    assert f"{COARSE}: some of its records" in page
    assert "- AttnSeq: its seeds were trained in different precisions (bfloat16, float32)." in page


def test_every_compared_metric_is_shown(workdir: Path) -> None:
    fill(write_board(workdir / "boards", MODELS, compare=["NDCG@10", "Recall@5"]), RESULTS, QUALITY)
    report = assemble(workdir / "boards", RESULTS)
    found = report["tables"][0]["rows"][0]["versus"]["recall@5"]
    page = markdown(report)
    assert "<summary>Against the best other row by Recall@5</summary>" in page
    assert f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}] BPR" in page


def test_equal_settings_that_gave_two_results_are_two_trials(workdir: Path) -> None:
    board = write_board(workdir / "boards", {"AttnSeq": None})
    (cell,) = cells_of(read_board(board), Path("none"))
    record = fake_record(cell, ranks(5, 0.5))
    folder = workdir / "ablation" / "tiny"
    trials = {"old": record, "copy": record, "new": dataclasses.replace(record, ranks=ranks(6, 0.2), commit="b" * 12)}
    for name, trial in trials.items():
        write_whole(folder / f"{name}.json", json.dumps(dataclasses.asdict(trial)))
    ((group,), skipped) = read_trials(workdir / "ablation", {}, {})
    assert sorted(bar["name"] for bar in group["bars"]) == ["copy", "new"]
    assert not skipped


def test_a_trial_is_told_from_the_default_that_it_is_nearer_to(workdir: Path) -> None:
    """Trials of before the default read waits changed what was the default then."""
    plain = {"user_encoder": "transformer"}
    rows = {
        "AttnSeq": {"seeds": [2020]},
        "AttnSeq (transformer)": {"model": "AttnSeq", "settings": plain},
        WITHOUT_TIMES: {"model": "AttnSeq", "settings": {"time_gaps": False}},
    }
    trials = {
        "AttnSeq (old)": {"time_gaps": False, "n_layers": 1},
        "AttnSeq (mid)": {**plain, "n_layers": 1},
        "AttnSeq (new)": {"n_layers": 1},
    }
    board = write_board(
        workdir / "boards", {**rows, **{n: {"model": "AttnSeq", "settings": s} for n, s in trials.items()}}
    )
    fake_facts("tiny", waits=9).save(RESULTS / "runs")
    quality = {"AttnSeq": 0.3, WITHOUT_TIMES: 0.2, "AttnSeq (old)": 0.1, "AttnSeq (new)": 0.4}
    quality |= {"AttnSeq (transformer)": 0.25, "AttnSeq (mid)": 0.27}
    for cell in cells_of(read_board(board), Path("none")):
        record = fake_record(cell, ranks(5, quality[cell.row.name]))
        record = dataclasses.replace(record, valid={"ndcg@10": quality[cell.row.name]})
        if cell.row.name in rows:
            record.save(RESULTS / "runs")
        else:
            write_whole(RESULTS / f"ablation/tiny/{cell.row.name[9:12]}.json", json.dumps(dataclasses.asdict(record)))

    def shown() -> dict[str, Any]:
        (group,) = assemble(workdir / "boards", RESULTS)["ablation"]
        return {bar["name"]: (bar["differs"], bar["against"], bar["near"]) for bar in group["bars"]}

    expected = {
        "new": ("n_layers=1", 0.1, True),
        "the default": ("", 0.0, True),
        "mid": ("mean_dropout_prob=0.0, n_layers=1, user_encoder=transformer", 0.02, True),
        "the transformer": ("mean_dropout_prob=0.0, user_encoder=transformer", -0.05, True),
        "the default before": ("mean_dropout_prob=0.0, time_gaps=False, user_encoder=transformer", -0.1, True),
        "old": ("mean_dropout_prob=0.0, n_layers=1, time_gaps=False, user_encoder=transformer", -0.1, True),
    }
    assert shown() == expected
    # Records that keep what auto came to are no nearer to each other for it than to those that do not.
    for path in (*(RESULTS / "ablation/tiny").glob("*.json"), *(RESULTS / "runs/tiny").glob("*.json")):
        record = read_record(path)
        if record.config["time_gaps"] == "auto" or "ablation" in path.parts:
            notes = {"resolved": {"precision": "float32", "sparse_updates": False, "time_gaps": True}}
            write_whole(path, json.dumps(dataclasses.asdict(dataclasses.replace(record, notes=notes))))
    assert shown() == expected
    for path in (RESULTS / "runs/tiny").glob("*.json"):
        if read_record(path).row == "AttnSeq":
            path.unlink()
    assert shown()["the transformer"] == ("", 0.0, True), "and not called the default where that has not run"
    assert "the default" not in shown()


def test_the_report_does_not_depend_on_where_it_is_made(boards: Path, tmp_path: Path) -> None:
    (RESULTS / "runs" / "tiny" / "broken.json").write_text("{")
    here = assemble(boards, RESULTS)
    shutil.copytree(RESULTS, tmp_path / "far" / "away")
    assert assemble(boards, tmp_path / "far" / "away") == here


def test_published_figures_only_where_data_and_protocol_are_the_same(boards: Path) -> None:
    split, mode = "{LS: valid_and_test}", "order: TO, group_by: user, candidates: full"
    rows = "rows: [{model: Theirs, from: a paper, NDCG@10: 0.5}]"

    def shown(users: int, exclude: bool) -> list[str]:
        (boards / PUBLISHED).write_text(
            f"tiny:\n  data: {{users: {users}, items: 90, interactions: 4000}}\n"
            f"  protocol: {{split: {split}, {mode}, exclude_history: {exclude}}}\n  {rows}\n"
        )
        (table,) = assemble(boards, RESULTS)["tables"]
        return [row["model"] for row in table["published"]]

    assert shown(200, True) == ["Theirs"]
    assert "Reported by others" in markdown(assemble(boards, RESULTS))
    assert "| a paper |" in markdown(assemble(boards, RESULTS))
    rows = rows.replace("from: a paper", "from: a paper, differs: other items")
    assert shown(200, True) == ["Theirs"]
    assert "| a paper; differs: other items |" in markdown(assemble(boards, RESULTS))
    assert shown(201, True) == []
    assert shown(200, False) == []


def test_writing_twice_changes_nothing(boards: Path) -> None:
    first = [(path, path.stat().st_mtime_ns) for path in write_report(boards, RESULTS)]
    assert [(path, path.stat().st_mtime_ns) for path in write_report(boards, RESULTS)] == first


def test_commands_name_the_data_and_the_row(boards: Path) -> None:
    record = fake_record(cells_of(read_board(boards / "tiny.yaml"), Path("none"))[0], [1, 2, 3])
    assert command_of(record, record.row).startswith(f"attnseq run --model={record.model} --dataset=tiny --seed=")
    assert " --data_path=datasets " in command_of(record, record.row)
    assert "--row" not in command_of(record, record.row)
    tuned = dataclasses.replace(record, row="AttnSeq (tuned)", dataset="ml-100k")
    assert " '--row=AttnSeq (tuned)' --record=" in command_of(tuned, tuned.row)
    assert "data_path" not in command_of(tuned, tuned.row), "RecBole brings it"
    older = with_config(tuned, {key: value for key, value in tuned.config.items() if key != "time_gaps"})
    command = command_of(dataclasses.replace(older, model="AttnSeq"), "AttnSeq (without times)")
    assert " --time_gaps=False " in command, "it was made before there was anything else"
    assert " '--row=AttnSeq (without times)' " in command, "of the row that it stands in now"
    assert "time_gaps" not in command_of(dataclasses.replace(older, model="SASRec"), "SASRec")
    notes = {"resolved": {"hidden_dropout_prob": 0.4}, "counts": {"targets": 900, "users": 100, "items": 50}}
    of_then = dataclasses.replace(with_config(older, {"hidden_dropout_prob": "auto"}), model="AttnSeq", notes=notes)
    assert " --hidden_dropout_prob=0.4 " in command_of(of_then, "AttnSeq"), "auto would be 0.5 today"
    of_then = dataclasses.replace(with_config(older, {"user_encoder": "transformer"}), model="AttnSeq")
    assert " --user_encoder=transformer " in command_of(of_then, "AttnSeq"), "the default then"


def test_ranks_follow_the_users(boards: Path) -> None:
    cell = cells_of(read_board(boards / "tiny.yaml"), Path("none"))[0]
    record = dataclasses.replace(fake_record(cell, [1, 2, 3]), users=["a", "b", "a"])
    assert aligned(record, ["b", "a", "a"]) == [2, 1, 3]
    with pytest.raises(ValueError, match="other users"):
        aligned(record, ["a", "b", "c"])


def test_facts_survive_their_file(workdir: Path) -> None:
    facts = fake_facts("tiny")
    assert facts.save("runs") == facts_path("runs", "tiny", SPLIT)
    assert read_facts(facts_path("runs", "tiny", SPLIT)) == facts
    timed = fake_facts("tiny", waits=12)
    timed.save("runs")
    assert read_facts(facts_path("runs", "tiny", SPLIT)).counts()["waits"] == 12
    facts.save("runs")
    assert read_facts(facts_path("runs", "tiny", SPLIT)) == timed, "who asks for no times forgets none"
    fake_facts("tiny", users=7).save("runs")
    assert read_facts(facts_path("runs", "tiny", SPLIT)).waits is None, "of another split, nothing is kept"


@pytest.mark.parametrize("change", [{"history": [1]}, {"popularity": None}, {"users": ["a", "b"]}, {"history": ["x"]}])
def test_spoilt_facts_are_refused(workdir: Path, change: dict[str, Any]) -> None:
    path = fake_facts("tiny", users=1).save("runs")
    path.write_text(json.dumps({**json.loads(path.read_text()), "history": [3], "popularity": [0]} | change))
    if change == {"history": [1]}:
        assert read_facts(path).history == [1]
        return
    with pytest.raises(UserError, match="are corrupt"):
        read_facts(path)


def test_one_change_stands_beside_the_default(workdir: Path) -> None:
    """Seeds of a trial are one bar, against the default's same seeds; what auto meant is no change."""
    board = write_board(workdir / "boards", {"AttnSeq": {"seeds": [2020, 2021, 2022]}})
    fill(board, RESULTS, {"AttnSeq": 0.2})
    place = RESULTS / "ablation" / "tiny"
    place.mkdir(parents=True)

    def trial(name: str, record: RunRecord, gain: float, **settings: object) -> None:
        valid = {"ndcg@10": record.valid["ndcg@10"] + gain}
        config = {**record.config, "embedding_dropout_prob": 0.5, **settings}
        changed = with_config(record, config, valid=valid)
        changed.save("scratch").rename(place / f"{name}_{record.seed}.json")

    for cell, valid in zip(cells_of(read_board(board), Path("none")), (0.3, 0.2, 0.1), strict=True):
        record = read_record(cell.record_path(RESULTS / "runs"))
        assert (record.config["embedding_dropout_prob"], record.config["history_negatives"]) == ("auto", "auto")
        record = dataclasses.replace(record, valid={"ndcg@10": valid})
        record.save(RESULTS / "runs")
        if record.seed != 2022:
            trial("wide", record, 0.05, hidden_size=128)
        trial("three_changes", record, 0.5, hidden_size=1, history_negatives=True, embedding_dropout_prob=0.1)
        trial("other_code", record, 0.5, experiment="a filter")
        old = {key: value for key, value in record.config.items() if key != "history_negatives"}
        before = with_config(record, old, ranks=[*record.ranks[1:], record.ranks[0]])
        trial("before_the_key", before, -0.05)
        other_rule = dataclasses.replace(record, notes={"resolved": {"embedding_dropout_prob": 0.3}})
        trial("other_rule", other_rule, -0.06, embedding_dropout_prob="auto")
    report = assemble(workdir / "boards", RESULTS)
    (group,) = report["ablation"]
    bars = {bar["name"]: bar for bar in group["bars"]}
    assert [name for name in bars if bars[name]["near"]] == ["wide", "the default", "before_the_key", "other_rule"]
    assert sorted(bars) == ["before_the_key", "other_code", "other_rule", "the default", "three_changes", "wide"]
    assert bars["before_the_key"]["differs"] == "history_negatives=True"  # auto leaves histories out of such dense data
    assert bars["other_rule"]["differs"] == "embedding_dropout_prob=0.3"  # what auto came to then, not today
    wide = bars["wide"]
    assert (wide["valid"], wide["low"], wide["high"]) == (0.3, 0.25, 0.35)
    assert wide["against"] == 0.05  # of the seeds that both have; the default's mean over three is 0.2
    assert wide["differs"] == "hidden_size=128"
    assert [seed for seed, _ in wide["files"]] == [2020, 2021]
    assert all((RESULTS / file).is_file() for bar in group["bars"] for _, file in bar["files"])
    assert bars["other_code"]["differs"] == "experiment=a filter"
    assert bars["the default"]["valid"] == 0.2
    near, others = markdown(report).split("## What one change does")[1].split("## Other trials")
    assert "0.3000 (0.2500 to 0.3500) | +0.0500 |" in near
    assert "three_changes" not in near
    assert "three_changes" in others


def test_a_run_cut_short_is_no_change_of_one_setting(workdir: Path) -> None:
    """Its figure tells of the cut; one that ends by its patience has one evaluation more after its best."""
    settings = {**SETTINGS, "stopping_step": 3, "epochs": 100}
    board = write_board(workdir / "boards", {"AttnSeq": None}, settings=settings)
    fill(board, RESULTS, {"AttnSeq": 0.2})
    cell = cells_of(read_board(board), Path("none"))[0]
    record = read_record(cell.record_path(RESULTS / "runs"))
    place = RESULTS / "ablation" / "tiny"
    place.mkdir(parents=True)
    curve = [{"epoch": epoch, "valid": 0.1, "processor_seconds": 1.0} for epoch in range(10)]
    record = dataclasses.replace(record, best_epoch=5, curve=curve)
    record.save(RESULTS / "runs")
    for name, width, epochs in (("cut", 32, 9), ("whole", 128, 10)):
        changed = with_config(record, {**record.config, "hidden_size": width}, curve=curve[:epochs])
        changed.save("scratch").rename(place / f"{name}.json")
    (group,) = assemble(workdir / "boards", RESULTS)["ablation"]
    bars = {bar["name"]: (bar["near"], bar["differs"]) for bar in group["bars"] if bar["name"] != "the default"}
    assert bars == {"cut": (False, "epochs=9, hidden_size=32"), "whole": (True, "hidden_size=128")}


def test_seeds_of_two_codes_are_two_trials(workdir: Path) -> None:
    """Where the same settings and seed gave two results, each commit's seeds stay together."""
    board = write_board(workdir / "boards", {"AttnSeq": None})
    fill(board, RESULTS, {"AttnSeq": 0.2})
    record = read_record(cells_of(read_board(board), Path("none"))[0].record_path(RESULTS / "runs"))
    place = RESULTS / "ablation" / "tiny"
    place.mkdir(parents=True)
    for name, seed, commit, shift in (("a", 2020, "old", 1), ("b_2020", 2020, "new", 2), ("b_2021", 2021, "new", 3)):
        ranks = [*record.ranks[shift:], *record.ranks[:shift]]
        config = {**record.config, "width": 128}
        changed = with_config(record, config, seed=seed, commit=commit, ranks=ranks)
        changed.save("scratch").rename(place / f"{name}.json")
    (group,) = assemble(workdir / "boards", RESULTS)["ablation"]
    seeds = {bar["name"]: [seed for seed, _ in bar["files"]] for bar in group["bars"]}
    assert seeds == {"a": [2020], "b": [2020, 2021], "the default": [2020]}


def test_trials_are_apart_by_candidates_and_say_what_they_changed(boards: Path) -> None:
    place = RESULTS / "ablation" / "tiny"
    record = read_record(next((RESULTS / "runs" / "tiny").glob("Pop-*.json")))

    def trial(name: str, valid: float, seen_left_out: bool, **settings: object) -> None:
        changed = with_config(
            record,
            {"dropout": 0.5, "epochs": 3, **settings},
            valid={**record.valid, "ndcg@10": valid},
            protocol={**record.protocol, "exclude_history": seen_left_out},
        )
        changed.save(place.parent.parent / "scratch").rename(place / f"{name}.json")

    place.mkdir(parents=True)
    trial("low", 0.1, True, dropout=0.2, epochs=9, members=2)
    trial("high", 0.2, True, new_key=1)
    trial("other", 0.3, False, members=3)
    write_board(boards, {"Pop": None})  # no default to differ from: the best of the group then
    groups = assemble(boards, RESULTS)["ablation"]
    assert [(g["candidates"], [(b["name"], b["differs"]) for b in g["bars"]]) for g in groups] == [
        ("new items", [("high", ""), ("low", "dropout=0.2, members=2")]),
        ("all items", [("other", "members=3")]),
    ]


def test_a_page_of_anothers_board_says_what_that_board_says_and_nothing_of_ours(workdir: Path) -> None:
    notes = ["Settings were chosen elsewhere."]
    fill(write_board(workdir / "boards", MODELS, notes=notes), workdir / "results", QUALITY)
    report = assemble(workdir / "boards", RESULTS)
    text = markdown(report)
    assert "\n- Settings were chosen elsewhere.\n" in text
    names = [path.stem for path in (ROOT / "configs" / "leaderboard").glob("*.yaml")]
    assert len(names) > 5
    assert not [name for name in names if name in text], "of our own data sets"
    assert BUCKETED not in text, "a mark that no row bears is not explained"
