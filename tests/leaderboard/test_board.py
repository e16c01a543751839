"""Leaderboard configurations: what they mean, and one line for each way of getting them wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import cells_of
from recbole_attnseq.leaderboard.published import PUBLISHED, read_published
from recbole_attnseq.leaderboard.records import protocol
from tests.leaderboard.fakes import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path for path in (ROOT / "configs" / "leaderboard").glob("*.yaml") if path.name != PUBLISHED)
# Data that had no part in choosing defaults (movietweetings: but the user encoder): a short list of models.
UNTUNED = {"amazon-toys", "movietweetings"}


def _board(folder: Path, **values: Any) -> Path:
    path = folder / "board.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def test_what_is_nearer_to_the_run_wins(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("learning_rate: 0.5\n")
    board = read_board(
        _board(
            tmp_path,
            seeds=[1, 2],
            settings={"epochs": 1, "topk": [5], "stopping_step": 1},
            time_limit=60,
            datasets={"x": {"settings": {"epochs": 2, "topk": [6]}, "time_limit": 70}, "y": None},
            models={
                "Pop": None,
                "mine": {
                    "model": "SASRec",
                    "config_files": [str(tmp_path / "a.yaml")],
                    "settings": {"epochs": 3},
                    "datasets": {"x": {"seeds": [9], "settings": {"n_layers": 1}}},
                },
                "BPR": {"only": ["y"]},
            },
        )
    )
    assert [(row.dataset, row.name) for row in board.rows] == [
        ("x", "Pop"), ("x", "mine"), ("y", "Pop"), ("y", "mine"), ("y", "BPR"),
    ]  # fmt: skip
    pop, mine, pop_on_y, *_ = board.rows
    assert pop.settings == {"epochs": 2, "topk": [6], "stopping_step": 1}
    assert mine.settings == {"epochs": 3, "topk": [6], "stopping_step": 1, "n_layers": 1}
    assert pop_on_y.settings == {"epochs": 1, "topk": [5], "stopping_step": 1}
    assert (pop.seeds, mine.seeds, pop.time_limit, pop_on_y.time_limit) == ((1, 2), (9,), 70, 60)
    assert (mine.model, mine.files) == ("SASRec", (str(tmp_path / "a.yaml"),))


GOOD: dict[str, Any] = {"datasets": {"ml-100k": None}, "models": {"Pop": None}}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown model": ({"models": {"SASRek": None}}, r"model 'SASRek'.*Did you mean 'SASRec'"),
    "unknown key": ({"modles": {}}, r"unknown key 'modles'. Did you mean 'models'"),
    "unknown model key": ({"models": {"Pop": {"seed": 1}}}, r"model 'Pop'.*unknown key 'seed'.*'seeds'"),
    "no model": ({"models": {}}, r"'models' names none"),
    "no data set": ({"datasets": None}, r"'datasets' names none"),
    "metric": ({"settings": {"metrics": ["NDGC"]}}, r"unknown metric 'NDGC'"),
    "compared cut-off": (
        {"compare": ["NDCG@7"]},
        r"compare: NDCG@7 has a cut-off that the report does not show; choose",
    ),
    "compared metric": ({"compare": ["NDGC@10"]}, r"compare: unknown metric 'NDGC'. Did you mean 'NDCG'"),
    "planned": ({"planned": ["Pip"]}, r"planned: unknown row 'Pip'. Did you mean 'Pop'"),
    "planned against itself": (
        {"models": {"Pop": None, "AttnSeq": None}, "planned": ["AttnSeq"]},
        r"planned: 'AttnSeq' is AttnSeq itself; name rows of others",
    ),
    "a metric of no user": ({"compare": ["ItemCoverage@10"]}, r"ItemCoverage@10 is no mean over users; choose Recall"),
    "a metric that is no list": ({"compare": "NDCG@10"}, r"compare is 'NDCG@10'; write a list, e.g. \[NDCG@10\]"),
    "a number of metrics": ({"compare": 5}, r"compare is 5; write a list"),
    "a file that is no list": (
        {"models": {"Pop": {"config_files": "a.yaml"}}},
        r"config_files is 'a.yaml'; write a list",
    ),
    "cut-off": ({"compare": ["NDCG"]}, r"'NDCG' has no cut-off"),
    "model on unknown data set": (
        {"models": {"Pop": {"datasets": {"ml-100": {}}}}},
        r"unknown data set 'ml-100'. Did you mean 'ml-100k'",
    ),
    "only elsewhere": ({"models": {"Pop": {"only": ["beauty"]}}}, r"unknown data set 'beauty'"),
    "seeds": ({"seeds": [1, 1]}, r"seeds is \[1, 1\]"),
    "a seed below 0": ({"seeds": [-1]}, r"seeds is \[-1\]; give different whole numbers from 0"),
    "a seed too large": ({"seeds": [2**32]}, r"seeds is \[4294967296\]"),
    "time limit": ({"time_limit": -5}, r"time_limit is -5"),
    "no limit": ({"time_limit": float("nan")}, r"time_limit is nan"),
    "only one": ({"models": {"Pop": {"only": 5}}}, r"only is 5; write a list, e.g. \[5\]"),
    "half a trial": ({"tune": {"trials": 2.5}}, r"tune is \{'trials': 2.5\}"),
    "budget": ({"tune": {"trials": 0}}, r"tune is \{'trials': 0\}"),
    "two budgets": ({"tune": {"trials": 5, "timeout": 9}}, r"tune is"),
    "a setting of the board": ({"settings": {"seed": 3}}, r"'seed' is not a setting of a row"),
    "no mapping": ({"models": {"Pop": 3}}, r"model 'Pop' is 3"),
    "missing file": ({"models": {"Pop": {"config_files": ["none.yaml"]}}}, r"none.yaml does not exist"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_boards_are_refused(case: str, tmp_path: Path) -> None:
    changes, words = BAD[case]
    with pytest.raises(UserError, match=words):
        read_board(_board(tmp_path, **{**GOOD, **changes}))


def test_a_setting_that_a_model_refuses_names_its_row(tmp_path: Path) -> None:
    board = read_board(
        _board(tmp_path, datasets={"ml-100k": None}, models={"wide": {"model": "AttnSeq", "settings": {"n_heads": 5}}})
    )
    with pytest.raises(UserError, match=r"model 'wide' on 'ml-100k'.*n_heads"):
        cells_of(board, tmp_path)


def test_a_table_fills_in_its_breadth_first(tmp_path: Path) -> None:
    models = {"Pop": {"seeds": [1, 2]}, "BPR": {"seeds": [5]}}
    board = read_board(_board(tmp_path, datasets={"ml-100k": None}, models=models, settings=SETTINGS))
    cells = cells_of(board, tmp_path)
    assert [(cell.row.name, cell.seed) for cell in cells] == [("Pop", 1), ("BPR", 5), ("Pop", 2)]
    assert cells[0].config_hash == cells[2].config_hash != cells[1].config_hash


class TestShipped:
    def test_there_is_one_for_each_data_set_of_the_report(self) -> None:
        named = {"ml-100k", "lastfm", "nemig-en", "deskdrop", "amazon-beauty", "ml-1m"}
        assert {path.stem for path in SHIPPED} == named | UNTUNED

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_one_protocol_for_all_and_seeds_as_promised(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)
        board = read_board(path)
        rows = {row.name: row for row in board.rows}
        few = path.stem in UNTUNED
        expected = {"AttnSeq", "Pop", "ItemKNN", "BPR", "FPMC", "GRU4Rec", "SASRec"}
        if not few:
            expected |= {"AttnSeq (reference)", "NARM", "STAMP", "Caser", "BERT4Rec", "CORE", "LightSANs"}
        assert set(rows) >= expected
        for name in ("AttnSeq",) if few else ("AttnSeq", "GRU4Rec", "SASRec"):
            # As many of what these boards compare as their comments say.
            six = path.stem in ("nemig-en", "deskdrop") and name != "GRU4Rec"
            assert len(rows[name].seeds) == (6 if six else 3)
        if not few:
            assert rows["AttnSeq"].seeds == rows["SASRec"].seeds, "what is compared has as many chances"
        cells = cells_of(board, ROOT / "results" / "studies")
        protocols = [protocol(cell.config, sequential=True) for cell in cells]
        assert all(one == protocols[0] for one in protocols)
        assert protocols[0]["exclude_history"]
        for key in ("MAX_ITEM_LIST_LENGTH", "epochs", "stopping_step", "valid_metric", "topk"):
            # RecBole gives general models no length.
            assert len({str(cell.config[key]) for cell in cells if cell.config.get(key) is not None}) == 1, key

    def test_published_figures_are_readable(self) -> None:
        published = read_published(ROOT / "configs" / "leaderboard" / PUBLISHED)
        beauty = {row["model"]: row["metrics"] for row in published["amazon-beauty"]}
        assert beauty["BSARec"] == {"recall@10": 0.1008, "ndcg@10": 0.0611}
        assert published["ml-1m"][0]["protocol"]["exclude_history"] is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": 5}, "data needs users"),
        ({"protocol": "full"}, "protocol is a mapping"),
        ({"rows": {"model": "m"}}, "rows are a list"),
        ({"rows": ["m"]}, "lacks its model"),
        ({"rows": [{"model": "m", "from": "f", "ndcg@10": "high"}]}, "ndcg@10 is 'high', no number"),
        ({"rows": [{"model": "m", "from": "f", "ndcg@10": None}]}, "ndcg@10 is None, no number"),
        ({"rows": [{"model": "m", "from": "f", 5: 0.1}]}, "5"),
    ],
)
def test_published_figures_of_another_form(tmp_path: Path, change: dict[str, object], words: str) -> None:
    about = {"data": {"users": 1, "items": 1, "interactions": 1}, "protocol": {}, "rows": [], **change}
    path = tmp_path / PUBLISHED
    path.write_text(yaml.safe_dump({"beauty": about}))
    with pytest.raises(UserError, match=words) as caught:
        read_published(path)
    assert f"{path}: 'beauty'" in str(caught.value)


def test_published_figures_must_say_what_they_are_of(tmp_path: Path) -> None:
    path = tmp_path / PUBLISHED
    path.write_text("beauty: {rows: []}\n")
    with pytest.raises(UserError, match="needs data, protocol and rows"):
        read_published(path)
    path.write_text(
        "b: {data: {users: 1, items: 1, interactions: 1}, protocol: {}, rows: [{model: m, from: f, NGCD@1: 1}]}\n"
    )
    with pytest.raises(UserError, match="unknown metric 'ngcd'"):
        read_published(path)
    assert read_published(tmp_path / "none.yaml") == {}
