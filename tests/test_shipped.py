"""configs/ comes along: settings of a data set apply to what ``attnseq prepare`` made, and below the user's own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config

from recbole_attnseq import shipped
from recbole_attnseq.cli import main
from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.records import config_identity, hash_of
from recbole_attnseq.training.session import configure, train
from tests.atomic_files import write_interactions

ROOT = Path(__file__).resolve().parents[1]


def _config(model: str = "AttnSeq", dataset: str = "ml-1m", files: tuple[str, ...] = (), **settings: Any) -> Config:
    return Config(model=model, dataset=dataset, config_file_list=list(files), config_dict=settings)


@pytest.fixture
def prepared(workdir: Path) -> Path:
    """A folder dataset/ml-1m as ``attnseq prepare ml-1m --recbole`` leaves it."""
    path = workdir / "dataset/ml-1m/ml-1m.meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"name": "ml-1m", "source": "ml-1m"}))
    return path


@pytest.mark.parametrize("model", ["AttnSeq", "SASRec", "BPR"])
def test_prepared_folder_brings_its_settings(model: str, prepared: Path) -> None:
    config = _config(model, train_neg_sample_args={"sample_num": 1} if model == "BPR" else None)
    assert config["MAX_ITEM_LIST_LENGTH"] == 200
    assert config["user_inter_num_interval"] == "[5,inf)"
    assert config["load_col"] == {"inter": ["user_id", "item_id", "timestamp"]}
    assert (config["exclude_history"], config["valid_metric"], config["topk"]) == (True, "NDCG@10", [5, 10, 20])


def test_they_are_those_of_the_file_given_by_hand(prepared: Path) -> None:
    by_itself = _config()
    prepared.unlink()
    by_hand = _config(files=(str(ROOT / "configs/dataset/ml-1m.yaml"),))
    assert dict(by_itself.final_config_dict) == dict(by_hand.final_config_dict)
    assert hash_of(config_identity(_config(dataset_config=True))) == hash_of(config_identity(by_hand))


def test_files_and_settings_of_the_user_win(prepared: Path) -> None:
    Path("my.yaml").write_text("MAX_ITEM_LIST_LENGTH: 30\nexclude_history: False\n")
    config = _config(files=("my.yaml",), topk=[10])
    assert (config["MAX_ITEM_LIST_LENGTH"], config["exclude_history"], config["topk"]) == (30, False, [10])
    assert config["user_inter_num_interval"] == "[5,inf)"


def test_context_models_keep_their_own_evaluation(prepared: Path) -> None:
    """RecBole's files of a model type come after a data set's; so they do here."""
    assert _config("FM")["valid_metric"] == "AUC"


def test_a_folder_that_others_made_keeps_its_meaning(prepared: Path) -> None:
    prepared.write_text(json.dumps({"name": "ml-1m", "source": "generic"}))
    assert _config()["user_inter_num_interval"] == "[0,inf)"
    prepared.unlink()
    assert _config()["MAX_ITEM_LIST_LENGTH"] == 50
    assert _config(dataset_config=True)["MAX_ITEM_LIST_LENGTH"] == 200


@pytest.mark.parametrize("model", ["AttnSeq", "SASRec", "BPR"])
def test_columns_that_attnseq_prepare_wrote_are_loaded(model: str, workdir: Path) -> None:
    path = workdir / "dataset/mine/mine.meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"name": "mine", "source": "generic"}))
    loss = {"train_neg_sample_args": {"sample_num": 1} if model == "BPR" else None}
    times = {"inter": ["user_id", "item_id", "timestamp"]}
    assert _config(model, "mine", **loss)["load_col"] == times
    assert _config(model, "mine", **loss, dataset_config=True)["load_col"] == times
    assert _config(model, "mine", **loss, dataset_config=False)["load_col"] != times
    assert _config(model, "mine", **loss, load_col={"inter": ["user_id"]})["load_col"] == {"inter": ["user_id"]}
    path.write_text("[]")
    assert _config(model, "mine", **loss)["load_col"] != times


def test_the_command_that_prepare_prints_trains(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{u},{(u + t) % 9},{t}" for u in range(30) for t in range(8)]
    Path("events.csv").write_text("\n".join(["u,i,t", *lines]) + "\n")
    columns = ["--user=u", "--item=i", "--time=t", "--out=my data/of-mine"]
    assert main(["prepare", "generic", "--raw=events.csv", "--quiet", *columns]) == 0
    printed = capsys.readouterr().out.strip().split("\n")[-1]
    assert printed == "Run it with: attnseq run --dataset=of-mine '--data_path=my data'"
    command = shlex.split(printed.partition(": ")[2])
    small = ["--epochs=1", "--hidden_size=16", "--inner_size=16", "--use_gpu=False", "--show_progress=False"]
    assert main([*command[1:], *small]) == 0
    assert "ndcg@10 0." in capsys.readouterr().out


def test_own_data_cannot_have_the_name_that_recbole_reads_its_copy_by(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("e.csv").write_text("u,i,t\n1,2,3\n")
    columns = ["--user=u", "--item=i", "--time=t", "--out=mine/ml-100k"]
    assert main(["prepare", "generic", "--raw=e.csv", "--quiet", *columns]) == 2
    assert "RecBole reads its own ml-100k wherever yours lies; give another name" in capsys.readouterr().err
    assert not Path("mine").exists()


def test_can_be_left_out(prepared: Path) -> None:
    config = _config(dataset_config=False)
    assert (config["MAX_ITEM_LIST_LENGTH"], config["exclude_history"]) == (50, False)


def test_ml_100k_is_recboles(workdir: Path) -> None:
    """Its committed records were made with RecBole's own file, and can be made again."""
    path = workdir / "dataset/ml-100k/ml-100k.meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"name": "ml-100k", "source": "ml-100k"}))
    assert _config(dataset="ml-100k")["load_col"] == {"inter": ["user_id", "item_id", "rating", "timestamp"]}
    with pytest.raises(UserError, match="RecBole has settings of its own for 'ml-100k'"):
        _config(dataset="ml-100k", dataset_config=True)


@pytest.mark.parametrize(
    ("dataset", "wanted", "message"),
    [("tiny", True, "no settings for a data set 'tiny'"), ("ml-1m", "yes", "choose auto, True or False")],
)
def test_refusals(dataset: str, wanted: Any, message: str, workdir: Path) -> None:
    with pytest.raises(UserError, match=message):
        _config(dataset=dataset, dataset_config=wanted)


def test_says_what_applies_once(prepared: Path, caplog: pytest.LogCaptureFixture) -> None:
    shipped._SAID.clear()
    for _ in range(2):
        _config()
    said = [record.message for record in caplog.records if "data set settings" in record.message]
    assert len(said) == 1
    assert "ml-1m.yaml (dataset_config=False leaves them out)" in said[0]


def test_where_attnseq_prepare_put_it_is_said(workdir: Path) -> None:
    """RecBole would fetch its own ml-1m instead, unfiltered."""
    (workdir / "datasets/ml-1m").mkdir(parents=True)
    with pytest.raises(UserError, match=r"lies in datasets/ml-1m, not in dataset/; add --data_path=datasets\."):
        configure("AttnSeq", "ml-1m")


def test_seen_items_leave_the_ranking_of_recboles_models_too(workdir: Path, quiet: dict[str, Any]) -> None:
    """By RecBole's own entry point: the first items rule every ranking, unless users who had them are spared."""
    rows = [(f"u{u}", f"i{t if t < 4 else 4 + (u + t) % 9}", t) for u in range(40) for t in range(9)]
    write_interactions(workdir / "dataset", "mine", rows)
    from recbole.quick_start import run_recbole

    settings = {
        **quiet, "epochs": 1, "train_neg_sample_args": None, "use_gpu": False, "metrics": ["Hit"], "topk": [9],
        "valid_metric": "Hit@9", "hidden_size": 16, "inner_size": 16,
    }  # fmt: skip
    left_out = run_recbole("SASRec", "mine", config_dict={**settings, "exclude_history": True}, saved=False)
    # 13 items, 8 of them had before: the target is always among the nine best of the five that are left.
    assert left_out["test_result"]["hit@9"] == 1.0
    assert run_recbole("SASRec", "mine", config_dict=settings, saved=False)["test_result"]["hit@9"] < 1.0
    session = train(configure("SASRec", "mine", settings={**settings, "exclude_history": True}))
    assert session.test_result["hit@9"] == 1.0


def test_an_installed_package_has_them(tmp_path: Path) -> None:
    """The wheel holds every file of configs/, at the place where the package looks."""
    pytest.importorskip("setuptools", reason="building a wheel needs setuptools")
    code = (
        "import sys, os; os.chdir(sys.argv[1]); from setuptools import build_meta as b; "
        "print(b.build_wheel(sys.argv[2]))"
    )
    copy = tmp_path / "checkout"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    wanted = [name for name in tracked if name.startswith(("recbole_attnseq/", "configs/"))]
    if not wanted:
        pytest.skip("no git checkout to build from")
    for name in [*wanted, "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE"]:
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            target.write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", code, str(copy), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        names = set(wheel.namelist())
    files = {name for name in wanted if name.startswith("configs/")}
    assert {f"recbole_attnseq/{name}" for name in files} <= names
    assert not any(name.startswith("configs/") for name in names)


def test_every_kind_is_found() -> None:
    found = [shipped.shipped(*pair) for pair in (("dataset", "ml-1m"), ("space", "SASRec"), ("model", "gru"))]
    assert all(path is not None and path.is_file() for path in found)
    assert shipped.shipped("dataset", "nowhere") is None
