"""RecBole on prepared data: it must count what the record counts, and take the configurations as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import recbole
from recbole.config import Config
from recbole.data import create_dataset

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.catalogue import SOURCES
from recbole_attnseq.data.prepare.collect import Options
from recbole_attnseq.data.prepare.generic import prepare_files
from tests.data.prepare.helpers import made, text, write

_CONFIGS = Path(__file__).parents[3] / "configs" / "dataset"
_ML_100K = Path(recbole.__path__[0]) / "dataset_example" / "ml-100k" / "ml-100k.inter"


def _config(name: str, folder: Path, **settings: object) -> Config:
    return Config(
        model="SASRec",
        dataset=name,
        config_file_list=[str(_CONFIGS / f"{name}.yaml")],
        config_dict={"data_path": str(folder), "use_gpu": False, "train_neg_sample_args": None, **settings},
    )


def test_movielens_100k_counts_and_last_items(tmp_path: Path) -> None:
    prepared = prepare_files(
        Raw(_ML_100K), tmp_path / "ml-100k", user="user_id:token", item="item_id:token", time="timestamp:float",
        rating="rating:float",
    )  # fmt: skip
    assert (prepared.summary.users, prepared.summary.items, prepared.summary.interactions) == (943, 1682, 100000)
    bounds = {"user_inter_num_interval": "[0,inf)", "item_inter_num_interval": "[0,inf)"}
    dataset = create_dataset(_config("ml-100k", tmp_path, **bounds))
    # RecBole counts its padding as one more of each.
    assert (dataset.user_num, dataset.item_num, dataset.inter_num) == (944, 1683, 100000)
    rows = np.loadtxt(prepared.folder / "ml-100k.inter", skiprows=1, dtype=np.int64)
    assert (np.diff(rows[:, 2])[np.diff(rows[:, 0]) == 0] >= 0).all()
    cored = create_dataset(_config("ml-100k", tmp_path))
    core = prepare_files(
        Raw(_ML_100K), tmp_path / "core", user="user_id:token", item="item_id:token", time="timestamp:float",
        options=Options(user_min=5, item_min=5),
    )  # fmt: skip
    # Our core is RecBole's own.
    assert (cored.user_num - 1, cored.item_num - 1, cored.inter_num) == (
        core.summary.users,
        core.summary.items,
        core.summary.interactions,
    )


def test_odd_ids_and_side_fields(tmp_path: Path) -> None:
    raw = write(
        tmp_path / "raw",
        **{
            "MicroLens-100k_pairs__csv": text(
                "user,item,timestamp",
                "null,1,1583378620552",
                'o\'brien,"a ""b""",1583378620552',
                "o'brien,#2,1583378620553",
                "o'brien,1,1583378620551",
                "-,#2,1583378620551",
            ),
            "MicroLens-100k_title_en__csv": text('#2,"""Quoted" to\tthe end', "1,nan", '5,"never seen"'),
        },
    )
    prepared = made("microlens", raw, tmp_path)
    bounds = {"user_inter_num_interval": "[0,inf)", "item_inter_num_interval": "[0,inf)"}
    load = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "title"]}
    dataset = create_dataset(_config("microlens", tmp_path, load_col=load, **bounds))
    assert prepared.report.dropped == {"without a user": 1}
    assert (dataset.user_num - 1, dataset.item_num - 1, dataset.inter_num) == (2, 3, 4)
    assert set(dataset.field2id_token["item_id"][1:]) == {"1", 'a "b"', "#2"}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_recbole_takes_the_configuration(name: str, tmp_path: Path) -> None:
    config = _config(name, tmp_path)
    assert config["eval_args"]["split"] == {"LS": "valid_and_test"}
    assert config["valid_metric"] == "NDCG@10"
    assert config["MAX_ITEM_LIST_LENGTH"] >= 20
    assert config["load_col"]["inter"] == ["user_id", "item_id", "timestamp"]


def test_sessions_in_the_place_of_users(tmp_path: Path) -> None:
    """As the pages say: sessions from a gap are sequences of their own for RecBole, and its filter counts them."""
    rows = [f"u{u},i{(u + t) % 7},{u * 10 + t * 100 + 5000 * (t // 4)}" for u in range(6) for t in range(10)]
    prepared = prepare_files(
        Raw(write(tmp_path / "raw", x__csv=text("u,i,t", *rows)) / "x.csv"), tmp_path / "mine",
        user="u", item="i", time="t", options=Options(session_gap=1000),
    )  # fmt: skip
    settings = {
        "data_path": str(tmp_path), "USER_ID_FIELD": "session_id", "user_inter_num_interval": "[3,inf)",
        "load_col": {"inter": ["session_id", "item_id", "timestamp"]}, "train_neg_sample_args": None,
    }  # fmt: skip
    dataset = create_dataset(Config(model="SASRec", dataset="mine", config_dict=settings))
    # Sessions of four, four and two interactions a user; the short one goes.
    assert prepared.summary.interactions == 60
    assert (dataset.user_num - 1, dataset.inter_num) == (12, 48)
