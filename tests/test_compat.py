"""Each remedy has a probe that holds with it and fails without it."""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import recbole
import scipy
import torch
import torch.distributed as dist

from recbole_attnseq.compat import REMEDIES, default_port
from tests.atomic_files import write_interactions, write_table
from tests.remedies import without

pytestmark = pytest.mark.filterwarnings("ignore")

QUIET: dict[str, Any] = {"show_progress": False, "state": "WARNING", "load_col": None, "epochs": 1, "use_gpu": False}
PROBES: dict[str, Callable[[], None]] = {}


def probe(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """File a probe. It imports RecBole itself, runs in a folder with data set 'tiny', and fails by any exception."""

    def add(function: Callable[[], None]) -> Callable[[], None]:
        PROBES[name] = function
        return function

    return add


def config_of(model: str, dataset: str = "tiny", **settings: Any) -> Any:
    from recbole.config import Config

    return Config(model=model, dataset=dataset, config_dict={**QUIET, **settings})


def loaders_of(config: Any) -> Any:
    from recbole.data import create_dataset, data_preparation

    return data_preparation(config, create_dataset(config))


def refused(action: Callable[[], Any], *words: str) -> None:
    from recbole_attnseq.errors import UserError

    with pytest.raises(UserError) as caught:
        action()
    for word in words:
        assert word in str(caught.value)


@probe("ray")
def _ray() -> None:
    importlib.import_module("recbole.quick_start")
    assert "ray" not in sys.modules


@probe("index range")
def _index_range() -> None:
    train, *_ = loaders_of(config_of("BPR"))
    with mock.patch("recbole.data.dataloader.abstract_dataloader.start_iter", True):
        assert isinstance(train.dataset, range)
    assert sum(len(batch) for batch in train) == len(train._dataset)


@probe("kmeans")
def _kmeans() -> None:
    with mock.patch.dict(sys.modules, {"kmeans_pytorch": None}):
        importlib.import_module("recbole.model.general_recommender")


@probe("numpy aliases")
def _numpy_aliases() -> None:
    from recbole.evaluator.metrics import MAP

    before = set(vars(np))
    config = config_of("Pop", metrics=["MAP", "Recall"], valid_metric="MAP@10")
    positions = np.array([[True, False], [False, True]])
    assert MAP(config).metric_info(positions, np.array([1, 1])).tolist() == [[1, 1], [0, 0.5]]
    assert set(vars(np)) == before


@probe("torch.load")
def _torch_load() -> None:
    from recbole.quick_start import run_recbole

    assert run_recbole("Pop", "tiny", config_dict=QUIET)["test_result"]["recall@10"] >= 0


@probe("GPU's checkpoint")
def _checkpoint_of_a_gpu() -> None:
    from recbole.quick_start import load_data_and_model
    from recbole.trainer import Trainer

    trainer = trainer_of("BPR")
    trainer.config.final_config_dict.update(device=torch.device("cuda"), gpu_id="0")
    with mock.patch("torch.serialization.location_tag", return_value="cuda:0"):
        trainer._save_checkpoint(0, verbose=False)
    with mock.patch("torch.cuda.is_available", return_value=False):  # as on a machine without a GPU
        config, model, *_, test = load_data_and_model(str(trainer.saved_model_file))
        assert next(model.parameters()).device.type == config["device"].type == "cpu"
        tested = Trainer(config, model).evaluate(test, model_file=trainer.saved_model_file)
    assert tested["recall@10"] >= 0
    assert torch.equal(model.user_embedding.weight, trainer.model.user_embedding.weight)


@probe("fillna")
def _fillna() -> None:
    from recbole.data import create_dataset

    items = create_dataset(config_of("Pop")).item_feat
    assert not items.isna().any().any()
    gaps = items["year"].to_numpy() == 0
    assert gaps.sum() == 1 + 5  # the padding item, and every sixth of thirty
    mean = items["price"].to_numpy()[0]
    assert mean == pytest.approx(np.mean([i / 2 for i in range(30) if i % 5]))
    assert [len(value) for value in items["class"]].count(0) == 1 + 5


@probe("agg(len)")
def _agg_len() -> None:
    write_benchmark(Path("dataset"))
    settings = {"benchmark_filename": ["train", "valid", "test"], "alias_of_item_id": ["item_id_list"]}
    train, _, _ = loaders_of(config_of("SASRec", "bench", train_neg_sample_args=None, **settings))
    assert train._dataset.inter_feat["item_length"].tolist() == [2, 3]


@probe("benchmark lengths")
def _benchmark_lengths() -> None:
    write_benchmark(Path("dataset"))
    settings = {"benchmark_filename": ["train", "valid", "test"], "alias_of_item_id": ["item_id_list"]}
    config = config_of("SASRec", "bench", train_neg_sample_args=None, MAX_ITEM_LIST_LENGTH=2, **settings)
    dataset = loaders_of(config)[0]._dataset
    names = dataset.field2id_token["item_id"]
    rows = [[names[item] for item in row] for row in dataset.inter_feat["item_id_list"].tolist()]
    assert rows == [["a", "b"], ["c", "a"]]  # "b c a" without its first
    assert dataset.inter_feat["item_length"].tolist() == [2, 2]
    assert dataset.field2seqlen["item_id_list"] == 2


@probe("stable sort")
def _stable_sort() -> None:
    from recbole.data import create_dataset

    rows = [("u", f"i{i}", rating, i % 3) for rating in (1, 2) for i in range(500)]
    header = "user_id:token item_id:token rating:float timestamp:float"
    write_table(Path("dataset/twice/twice.inter"), header, rows)
    dataset = create_dataset(config_of("Pop", "twice", rm_dup_inter="first"))
    assert len(dataset.inter_feat) == 500
    assert set(dataset.inter_feat["rating"]) == {1}


@probe("grad scaler")
def _grad_scaler() -> None:
    trainer = trainer_of("BPR")
    train = loaders_of(trainer.config)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer._train_epoch(train, 0)


@probe("read-only columns")
def _read_only_columns() -> None:
    torch.set_warn_always(True)  # else torch warns once a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            loaders_of(config_of("BPR"))
    finally:
        torch.set_warn_always(False)


@probe("anomaly mode")
def _anomaly_mode() -> None:
    importlib.import_module("recbole.model.sequential_recommender")
    try:
        assert not torch.is_anomaly_enabled()
    finally:
        torch.autograd.set_detect_anomaly(False)


@probe("dok_matrix")
def _dok_matrix() -> None:
    from recbole.utils import get_model

    for model in ("LightGCN", "NGCF"):
        config = config_of(model)
        graph = get_model(model)(config, loaders_of(config)[0]._dataset).norm_adj_matrix
        assert len(graph.coalesce().values()) > 0


@probe("exact time order")
def _exact_time_order() -> None:
    assert wrong_test_items() == 0


@probe("times are numbers")
def _times_are_numbers() -> None:
    from recbole.data import create_dataset

    by_time = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
    header, rows = "user_id:token item_id:token timestamp:token", [("u", f"i{t}", 100 - t) for t in range(5)]
    write_table(Path("dataset/words/words.inter"), header, rows)
    refused(
        lambda: create_dataset(config_of("Pop", "words", eval_args=by_time)), "words.inter:1:", "declare it", ":float"
    )
    assert len(create_dataset(config_of("Pop", "words")).inter_feat) == 5  # at random it may be anything

    # u1's first row has no time: the mean of all, 1000, would make it the last.
    rows = [("u1", "i9", None), *(("u1", f"i{t}", t) for t in range(6)), *(("u2", f"i{t}", 2000) for t in range(6))]
    write_interactions(Path("dataset"), "gap", rows)
    dataset = create_dataset(config_of("Pop", "gap", eval_args=by_time))
    assert len(dataset.inter_feat) == 12
    assert "i9" not in dataset.field2id_token["item_id"]
    assert len(create_dataset(config_of("Pop", "gap")).inter_feat) == 13
    write_interactions(Path("dataset"), "none", [("u", f"i{t}", None) for t in range(5)])
    refused(lambda: create_dataset(config_of("Pop", "none", eval_args=by_time)), "none.inter", "no row has a value")


@probe("rows without ids")
def _rows_without_ids() -> None:
    from recbole.data import create_dataset

    rows = [(None, "i0", 0), ("u", "i1", 1), ("u", None, 2), ("u", "i2", 3), ("u", "i3", 4)]
    write_interactions(Path("dataset"), "holes", rows)
    dataset = create_dataset(config_of("Pop", "holes"))
    items = dataset.field2id_token["item_id"][dataset.inter_feat["item_id"].to_numpy()]
    assert sorted(items) == ["i1", "i2", "i3"]


@probe("arrow loading")
def _arrow_loading() -> None:
    from recbole.data import create_dataset

    path = write_interactions(Path("dataset"), "short", [("u", "i", 1), ("u", "j", 2)])
    path.write_text(path.read_text() + "u\tk\n")
    refused(lambda: create_dataset(config_of("Pop", "short")), "short.inter:4:", "2 columns")


@probe("exact time split")
def _exact_time_split() -> None:
    chosen = np.random.default_rng(1)
    rows = [(f"u{t % 20}", f"i{item}", 880_000_000 + 3 * t) for t, item in enumerate(chosen.permutation(400))]
    write_interactions(Path("dataset"), "dense", rows)
    known = {(user, item): time for user, item, time in rows}
    for model in ("BPR", "FPMC"):
        split = {"split": {"TS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "user", "mode": "full"}
        loaders = loaders_of(config_of(model, "dense", eval_args=split))
        train, valid, test = (times_of(loader._dataset, known) for loader in loaders)
        boundary = np.percentile([*train, *valid, *test], 80)
        assert max([*train, *valid]) <= boundary < min(test)
        for dataset in (loaders[0]._dataset, loaders[1]._dataset):
            assert len(dataset.inter_feat) > 50


@probe("download")
def _download() -> None:
    from tests.file_server import nobody

    module = importlib.import_module("recbole.data.dataset.dataset")
    dataset = module.Dataset.__new__(module.Dataset)
    dataset.config, dataset.dataset_name, dataset.logger = {"local_rank": 0}, "x", mock.Mock()
    dataset.dataset_path = "dataset/x"
    address = nobody("x.zip")
    dataset._get_download_url = lambda name: address
    refused(dataset._download, address, "dataset/x.zip")
    assert not Path("dataset/x").exists()


@probe("something to predict")
def _something_to_predict() -> None:
    write_interactions(Path("dataset"), "single", [(f"u{u}", f"i{u % 4}", u) for u in range(20)])
    refused(lambda: loaders_of(config_of("BPR", "single")), "single.inter", "three interactions")


@probe("fresh caches")
def _fresh_caches() -> None:
    from recbole.data import create_dataset

    def write(items: int, step: int) -> None:
        rows = [(f"u{u}", f"i{u + i}", step * i) for u in range(3) for i in range(items)]
        write_interactions(Path("dataset"), "cached", rows)

    def config(order: str) -> Any:
        by = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": order, "group_by": "user", "mode": "full"}
        return config_of("Pop", "cached", eval_args=by, save_dataset=True, save_dataloaders=True)

    write(items=9, step=-1)
    loaders_of(config("RO"))
    ordered = create_dataset(config("TO")).inter_feat["timestamp"].tolist()
    assert ordered == sorted(ordered)  # the cache of the other order was not taken
    write(items=12, step=-1)
    assert sum(len(loader._dataset.inter_feat) for loader in loaders_of(config("RO"))) == 36
    again = config("RO")
    with mock.patch("recbole.data.dataset.Dataset._load_data", side_effect=AssertionError):
        halves = create_dataset(again)  # one of the same files still is, split as it is asked for now
        halves.config["eval_args"]["split"] = {"RS": [0.5, 0.25, 0.25]}
        assert halves.config is again
        assert [len(part.inter_feat) for part in halves.build()] == [18, 9, 9]
    Path("saved/cached-Dataset.pth").write_bytes(b"no pickle")
    refused(lambda: create_dataset(again), "delete it")
    Path("saved/cached-Dataset.pth").unlink()
    (loaders,) = Path("saved").glob("cached-for-Pop-dataloader.pth")
    loaders.write_bytes(b"no pickle")
    refused(lambda: loaders_of(config("RO")), "delete them")


@probe("log when training")
def _log_when_training() -> None:
    from recbole.utils import get_model, get_trainer, init_logger

    config = config_of("Pop")
    init_logger(config)
    assert not Path("log").exists()
    loaders = loaders_of(config)
    model = get_model("Pop")(config, loaders[0]._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "Pop")
    for name in ("saved", "log_tensorboard"):
        Path(name).touch()
        refused(lambda: trainer(config, model), f"{name} is no folder")
        Path(name).unlink()
    assert not Path("log").exists()
    trainer(config, model)


@probe("streams wrapped once")
def _streams_wrapped_once() -> None:
    from recbole.utils import init_logger

    config = config_of("Pop")
    streams = sys.stdout, sys.stderr
    try:
        init_logger(config)
        wrapped = sys.stdout, sys.stderr
        init_logger(config)
        assert (sys.stdout, sys.stderr) == wrapped
        for _ in range(400):
            init_logger(config)
        print("not too deep")
    finally:
        sys.stdout, sys.stderr = streams


@probe("own checkpoints")
def _own_checkpoints() -> None:
    pop, bpr = trainer_of("Pop"), trainer_of("BPR")
    pop._save_checkpoint(0, verbose=False)
    refused(lambda: bpr.resume_checkpoint(pop.saved_model_file), pop.saved_model_file, "holds a Pop, not a BPR")
    wide = trainer_of("BPR", embedding_size=16)
    wide._save_checkpoint(0, verbose=False)
    refused(lambda: bpr.resume_checkpoint(wide.saved_model_file), "other sizes")
    bpr._save_checkpoint(3, verbose=False)
    bpr.resume_checkpoint(bpr.saved_model_file)
    assert bpr.start_epoch == 4


@probe("named models")
def _named_models() -> None:
    from recbole.utils import get_model

    refused(lambda: get_model("SASRek"), "'SASRek'", "Did you mean 'SASRec'?")
    refused(lambda: get_model("bert4rec"), "Did you mean 'BERT4Rec'?")
    refused(lambda: get_model("Qqqqq"), "AttnSeq, ")
    with mock.patch.dict(sys.modules, {"lightgbm": None, "xgboost": None}):
        refused(lambda: get_model("XGBoost"), "'XGBoost' needs the package lightgbm")


@probe("literals only")
def _literals_only() -> None:
    config = config_of("Pop", danger="__import__('os').getcwd()", sum="2*3", list="[1, 2]", flag="True", word="max")
    assert config["danger"] == "__import__('os').getcwd()"
    assert (config["sum"], config["list"], config["flag"], config["word"]) == (6, [1, 2], True, "max")


@probe("valid metric")
def _valid_metric() -> None:
    refused(lambda: config_of("Pop", topk=[5]), "valid_metric is MRR@10", "topk [5]")
    refused(lambda: config_of("Pop", metrics="NDCG"), "valid_metric is MRR@10", "['NDCG']")
    refused(lambda: config_of("Pop", metrics="NDCG", valid_metric="NDCG"), "valid_metric is NDCG", "such as ndcg@10")
    refused(lambda: config_of("Pop", metrics=["GAUC"], valid_metric="GAUC@10"), "GAUC@10", "such as gauc")
    assert config_of("Pop", topk=5, metrics="Hit", valid_metric="hit@5")["topk"] == [5]
    assert config_of("Pop", metrics=["GAUC"], valid_metric="GAUC")["valid_metric"] == "GAUC"


@probe("lazy prefixes")
def _lazy_prefixes() -> None:
    from recbole_attnseq.data.prefixes import PrefixInteraction

    train, _, test = loaders_of(config_of("FPMC"))
    assert isinstance(train._dataset.inter_feat, PrefixInteraction)
    assert isinstance(test._dataset.inter_feat, PrefixInteraction)


@probe("split hash")
def _split_hash() -> None:
    config = config_of("Pop")
    loaders_of(config)
    assert len(config["split_hash"]) == 16


@probe("processes on CPU")
def _processes_on_cpu() -> None:
    try:
        config = config_of("Pop", **ALONE, port=default_port())
        assert dist.get_backend() == "gloo"
        assert config["device"] == torch.device("cpu")
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def gloo_threads() -> int:
    return sum(task.read_text() == "pt_gloo_runloop\n" for task in Path("/proc/self/task").glob("*/comm"))


@probe("group let go of")
def _group_let_go_of() -> None:
    from recbole_attnseq.compat import GROUPS

    for _ in range(2):  # PyTorch itself holds the first group that a process uses DistributedDataParallel with
        trainer = trainer_of("BPR", **ALONE, port=default_port())
        running = gloo_threads()
        dist.destroy_process_group()
        time.sleep(0.5)  # what may want the GIL has had it, so that this does not hang without the remedy
        del trainer
        gc.collect()
        still = gloo_threads()
        GROUPS.clear()
    assert still == running, "its DistributedDataParallel has ended the group"
    assert gloo_threads() < running


@probe("one checkpoint a run")
def _one_checkpoint_a_run() -> None:
    # Two processes, begun within one second or not.
    trainer = trainer_of("BPR")
    with mock.patch("os.getpid", return_value=os.getpid() + 1):
        files = {trainer_of("BPR").saved_model_file.split("-")[-1], trainer.saved_model_file.split("-")[-1]}
    assert files == {f"{os.getpid()}.pth", f"{os.getpid() + 1}.pth"}


@probe("processes agree")
def _processes_agree() -> None:
    try:
        trainer = trainer_of("BPR", **ALONE, port=default_port())
        assert Path(trainer.saved_model_file).parent == Path("saved")
    finally:
        dist.destroy_process_group()


@probe("collector")
def _collector() -> None:
    metrics = ["ItemCoverage", "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage", "Recall"]
    trainer = trainer_of("Pop", metrics=metrics, valid_metric="Recall@10")
    train, _, test = loaders_of(trainer.config)
    trainer.fit(train, saved=False)
    result = trainer.evaluate(test, load_best_model=False)
    assert 10 / 30 <= result["itemcoverage@10"] <= 1  # one list of ten covers a third, whatever it is
    assert 0 < result["averagepopularity@10"] < len(train._dataset.inter_feat)
    assert len(result) == len(metrics)


@probe("spawned children")
def _spawned_children() -> None:
    module = importlib.import_module("recbole.quick_start.quick_start")
    assert b"recbole_attnseq" in pickle.dumps(module.run_recboles)  # what a child imports first


@probe("tuning on validation")
def _tuning_on_validation() -> None:
    from recbole.quick_start import objective_function
    from recbole.trainer import Trainer

    seen = []
    evaluate = Trainer.evaluate
    with mock.patch.object(Trainer, "evaluate", lambda self, data, **k: seen.append(data) or evaluate(self, data, **k)):
        result = objective_function({**QUIET, "model": "BPR", "dataset": "tiny"}, saved=False)
    assert len(seen) == 1
    assert result["test_result"] == {}
    assert result["best_valid_result"]["recall@10"] >= 0


ALONE = {"local_rank": 0, "world_size": 1, "nproc": 1, "offset": 0, "ip": "127.0.0.1"}

VERSION = recbole.__version__.lstrip("v")

# Where the stack is older than the fault, or RecBole newer, RecBole holds up without the remedy too.
ABSENT = {
    "kmeans": VERSION != "1.2.0",
    "exact time split": VERSION == "1.2.0",  # it has no TS splits
    "collector": VERSION == "1.2.0",
    "fillna": int(pd.__version__.split(".")[0]) < 3,
    "read-only columns": int(pd.__version__.split(".")[0]) < 3,
    "agg(len)": int(pd.__version__.split(".")[0]) < 3,
    "torch.load": tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6),
    "dok_matrix": tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 13),
}


def trainer_of(model: str, **settings: Any) -> Any:
    from recbole.utils import get_model, get_trainer

    config = config_of(model, **settings)
    dataset = loaders_of(config)[0]._dataset
    return get_trainer(config["MODEL_TYPE"], model)(config, get_model(model)(config, dataset))


def write_benchmark(folder: Path) -> None:
    parts = {"train": [("u", "a b", "c", 1), ("v", "b c a", "d", 2)], "valid": [("u", "a", "b", 3)]}
    for part, rows in {**parts, "test": [("v", "d", "a", 4)]}.items():
        header = "user_id:token item_id_list:token_seq item_id:token timestamp:float"
        write_table(folder / "bench" / f"bench.{part}.inter", header, rows)


def wrong_test_items() -> int:
    """Users of ml-100k whose test item is not their last by time, ties in the order of the file."""
    config = config_of("SASRec", "ml-100k", train_neg_sample_args=None, normalize_all=False)
    dataset = loaders_of(config)[2]._dataset
    file = Path(recbole.__path__[0]) / "dataset_example/ml-100k/ml-100k.inter"
    table = pd.read_csv(file, sep="\t", dtype={"user_id:token": str, "item_id:token": str})
    table = table.sort_values("timestamp:float", kind="stable").groupby("user_id:token")["item_id:token"].last()
    users, items = dataset.field2id_token["user_id"], dataset.field2id_token["item_id"]
    given = {
        users[u]: items[i] for u, i in zip(dataset.inter_feat["user_id"], dataset.inter_feat["item_id"], strict=True)
    }
    assert len(given) == len(table) == 943
    return sum(table[user] != item for user, item in given.items())


def times_of(dataset: Any, known: dict[tuple[str, str], int]) -> list[int]:
    """The file's times of a part's interactions."""
    users, items = dataset.field2id_token["user_id"], dataset.field2id_token["item_id"]
    feat = dataset.inter_feat
    return [known[users[u], items[i]] for u, i in zip(feat["user_id"], feat["item_id"], strict=True)]


def test_every_remedy_is_probed() -> None:
    assert sorted(PROBES) == sorted(remedy.name for remedy in REMEDIES)


@pytest.mark.parametrize("name", PROBES)
def test_holds_with_the_remedy(name: str, tiny: str) -> None:
    if name == "exact time split" and VERSION == "1.2.0":
        pytest.skip("RecBole 1.2.0 has no splits by time")
    if name == "group let go of" and sys.platform != "linux":
        pytest.skip("only Linux names a process's threads")
    PROBES[name]()


@pytest.mark.parametrize("name", PROBES)
def test_fails_without_the_remedy(name: str, tiny: str) -> None:
    if ABSENT.get(name):
        pytest.skip("this stack does not have the fault")
    with without(name), pytest.raises((Exception, SystemExit, pytest.fail.Exception)):
        PROBES[name]()


def test_ml_100k_has_149_wrong_test_items_without_exact_times(workdir: Path) -> None:
    with without("exact time order"):
        assert wrong_test_items() == 149
    assert wrong_test_items() == 0


def test_every_remedy_states_why_and_until_when() -> None:
    for remedy in REMEDIES:
        assert remedy.reason
        assert remedy.until
        assert remedy.rewrite or remedy.patches


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh process, with QUIET defined."""
    command = [sys.executable, "-W", "ignore", "-c", f"QUIET = {QUIET!r}\n{code}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran


def test_other_code_sees_its_libraries_as_they_were(tiny: str) -> None:
    """In a fresh process: no name appears in numpy or pandas, and torch.load keeps its safe default."""
    code = """
import numpy, pandas, torch, tempfile, pickle
watched = (numpy, pandas, torch.serialization, pandas.Series, pandas.DataFrame)
before = {m.__name__: dict(vars(m)) for m in (torch, *watched)}
import recbole_attnseq
from recbole.quick_start import run_recbole
run_recbole("Pop", "tiny", config_dict=QUIET)
for m in watched:
    assert {k: v for k, v in vars(m).items() if before[m.__name__].get(k) is not v and not hasattr(v, "__path__")
            and not k.startswith("_")} == {}, m
assert torch.load is before["torch"]["load"]
class Mine: pass
with tempfile.NamedTemporaryFile() as file:
    torch.save(Mine(), file.name)
    try:
        torch.load(file.name)
    except pickle.UnpicklingError:
        print("refused")
"""
    ran = run_code(code)
    assert ran.stdout.strip().endswith("refused")


def test_recbole_may_be_imported_first(tiny: str) -> None:
    """The remedies reach modules, classes and functions that the user has already bound to names."""
    code = """
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from recbole.evaluator import metrics
try:
    from recbole.model.general_recommender import LightGCN
except ModuleNotFoundError:  # RecBole 1.2.0 cannot, before us
    LightGCN = None
from recbole.trainer import Trainer
import torch
import recbole.model.sequential_recommender
assert torch.is_anomaly_enabled()
import recbole_attnseq
from recbole_attnseq.errors import UserError
for name in ("LightGCN", "SASRec", "AttnSeq"):
    given = {**QUIET, "metrics": ["MAP", "F1"], "valid_metric": "F1@10"}
    if name != "LightGCN":
        given["train_neg_sample_args"] = None
    config = Config(model=name, dataset="tiny", config_dict=given)
    train, valid, test = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    assert isinstance(trainer, Trainer) and (name != "LightGCN" or LightGCN is None or isinstance(model, LightGCN))
    trainer.fit(train, valid)
    result = trainer.evaluate(test)
    print(name, result["f1@10"], len(config["split_hash"]))
    assert not torch.is_anomaly_enabled()
assert not train._dataset.item_feat["price"].isnan().any()
try:
    get_model("SASRek")
except UserError as error:
    print(error)
"""
    ran = run_code(code)
    lines = ran.stdout.strip().splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["LightGCN", "SASRec", "AttnSeq"]
    assert all(line.split()[2] == "16" for line in lines[:3])
    assert "Did you mean 'SASRec'?" in lines[3]
