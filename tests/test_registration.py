"""After one import RecBole knows AttnSeq: names, defaults, modes of evaluation, checkpoints, several processes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.config import Config
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.utils.case_study import full_sort_scores, full_sort_topk

import recbole_attnseq
from recbole_attnseq.errors import UserError
from recbole_attnseq.registration import defaults, register
from recbole_attnseq.training.runs import load_run, read_checkpoint
from recbole_attnseq.training.session import configure

pytestmark = pytest.mark.filterwarnings("ignore")

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "inner_size": 32,
    "n_layers": 1,
    "train_batch_size": 64,
    "learning_rate": 0.01,
    "MAX_ITEM_LIST_LENGTH": 8,
    "embedding_dropout_prob": 0.1,
    "hidden_dropout_prob": 0.0,
    "stopping_step": 2,
    "use_gpu": False,
}
HIT = {"metrics": ["Hit"], "topk": [1], "valid_metric": "Hit@1"}


def only_checkpoint() -> str:
    (path,) = Path("saved").glob("*.pth")
    return str(path)


def test_run_recbole_learns_the_cycle_and_gives_it_back(cycle: str, quiet: dict[str, Any]) -> None:
    """The whole path: training, checkpoint, loading, and RecBole's case study agree on the known answer."""
    result = run_recbole(model="AttnSeq", dataset=cycle, config_dict={**quiet, **SMALL, **HIT, "epochs": 12})
    assert result["test_result"]["hit@1"] > 0.95

    config, model, dataset, _, _, test = load_data_and_model(only_checkpoint())
    assert (config["model"], type(model).__name__) == ("AttnSeq", "AttnSeq")
    users = dataset.token2id("user_id", [f"u{u}" for u in range(10)])
    scores = full_sort_scores(users, model, test)
    best, items = full_sort_topk(users, model, test, k=3)
    assert scores.shape == (10, dataset.item_num)
    assert scores[:, 0].tolist() == [-math.inf] * 10
    assert torch.equal(best, scores.topk(3).values)
    feat = test.dataset.inter_feat
    answer = {int(user): int(item) for user, item in zip(feat["user_id"], feat["item_id"], strict=True)}
    assert items[:, 0].tolist() == [answer[int(user)] for user in users]


def test_predict_agrees_with_full_sort_predict(tiny: str, quiet: dict[str, Any]) -> None:
    recbole_attnseq.run("AttnSeq", tiny, config_dict={**quiet, **SMALL, "epochs": 1})
    _, model, _, _, _, test = load_run(only_checkpoint())
    model.eval()
    with torch.no_grad():
        batch = next(iter(test))[0]
        every = model.full_sort_predict(batch)
        assert torch.allclose(model.predict(batch), every.gather(1, batch["item_id"][:, None])[:, 0], atol=1e-5)


@pytest.mark.parametrize("mode", ["full", "uni5", "pop5"])
def test_evaluates_in_every_mode(mode: str, cycle: str, quiet: dict[str, Any]) -> None:
    eval_args = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": mode}
    settings = {**quiet, **SMALL, **HIT, "epochs": 12, "eval_args": eval_args}
    result = recbole_attnseq.run("AttnSeq", cycle, config_dict=settings)
    assert result is not None
    assert result["test_result"]["hit@1"] > 0.95


def test_may_train_on_everything(cycle: str, quiet: dict[str, Any]) -> None:
    """Before it is put to use a model learns from all data: no part is left to validate or test on."""
    eval_args = {"split": {"RS": [1, 0, 0]}, "order": "TO", "group_by": "user", "mode": "full"}
    settings = {**quiet, **SMALL, **HIT, "epochs": 2, "eval_args": eval_args}
    result = recbole_attnseq.run("AttnSeq", cycle, config_dict=settings)
    assert result is not None
    assert result["test_result"] is None
    _, _, _, train, _, _ = load_run(result["checkpoint"])
    assert len(train.dataset.inter_feat) == 60 * 13


def config_of(dataset: str, **settings: Any) -> Config:
    return Config(model="AttnSeq", dataset=dataset, config_dict=settings)


def test_defaults_lie_below_file_dictionary_and_flags(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = defaults(config_of(tiny).yaml_loader)
    config = config_of(tiny)
    assert {key: config[key] for key in ours if key != "train_neg_sample_args"} == {
        key: value for key, value in ours.items() if key != "train_neg_sample_args"
    }
    Path("my.yaml").write_text("n_layers: 3\nn_heads: 4\nhidden_size: 32\nlayer_norm_eps: 1e-6\n")
    monkeypatch.setattr("sys.argv", ["prog", "--n_heads=8", "--attention=multihead"])
    given = {"hidden_size": 16, "n_heads": 2, "attention_heads": "2*2"}
    config = Config(model="AttnSeq", dataset=tiny, config_file_list=["my.yaml"], config_dict=given)
    keys = ("n_layers", "hidden_size", "n_heads", "attention", "attention_heads", "layer_norm_eps", "n_items")
    assert [config[key] for key in keys] == [3, 16, 8, "multihead", 4, 1e-6, None]


def test_defaults_do_not_reach_other_models(tiny: str) -> None:
    given = {"train_neg_sample_args": None, "anything": 1}
    config = Config(model="GRU4Rec", dataset=tiny, config_dict=given)
    assert (config["hidden_size"], config["user_encoder"], config["valid_metric"]) == (128, None, "MRR@10")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("hiden_size", "hidden_size"),
        ("n_head", "n_heads"),
        ("user_encode", "user_encoder"),
        ("losstype", "loss_type"),
        ("learning_rates", "learning_rate"),
        ("train_batchsize", "train_batch_size"),
        ("MAX_ITEM_LIST_LENGHT", "MAX_ITEM_LIST_LENGTH"),
        ("epoch", "epochs"),
    ],
)
def test_a_misspelt_parameter_names_the_real_one(key: str, meant: str, tiny: str) -> None:
    with pytest.raises(UserError, match=f"'{key}'.*Did you mean '{meant}'"):
        config_of(tiny, **{key: 1})


@pytest.mark.parametrize(
    ("model", "key", "meant"),
    [
        ("SASRec", "n_layer", "n_layers"),
        ("SASRec", "attn_dropout", "attn_dropout_prob"),
        ("GRU4Rec", "train_batchsize", "train_batch_size"),
        ("RecentPop", "epoch", "epochs"),
    ],
)
def test_and_so_it_does_for_other_models(model: str, key: str, meant: str, tiny: str) -> None:
    with pytest.raises(UserError, match=f"'{key}'.*Did you mean '{meant}'"):
        Config(model=model, dataset=tiny, config_dict={"train_neg_sample_args": None, key: 1})


@pytest.mark.parametrize("key", ["num_layers", "user_encoder", "my_note"])
def test_a_file_may_be_shared_with_another_model(key: str, tiny: str) -> None:
    given = {"train_neg_sample_args": None, key: 1}
    assert Config(model="SASRec", dataset=tiny, config_dict=given)["n_layers"] == 2


def test_a_key_of_the_users_own_is_let_through(tiny: str) -> None:
    assert config_of(tiny, experiment_note="a")["experiment_note"] == "a"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"user_encoder": "gruu"}, "Did you mean 'gru'"),
        ({"item_encoder": "ids"}, "Did you mean 'id'"),
        ({"attention": "dott"}, "Did you mean 'dot'"),
        ({"similarity": "cosin"}, "Did you mean 'cosine'"),
        ({"loss_type": "softmx"}, "Did you mean 'softmax'"),
        ({"n_heads": 3}, "n_heads is 3"),
        ({"attention": "multihead", "attention_heads": 7}, "attention_heads is 7"),
        ({"hidden_size": "64.5"}, "hidden_size is 64.5"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"MAX_ITEM_LIST_LENGTH": 0}, "MAX_ITEM_LIST_LENGTH is 0"),
        ({"hidden_dropout_prob": 1}, "hidden_dropout_prob is 1"),
        ({"hidden_dropout_prob": "atuo"}, "hidden_dropout_prob is 'atuo'; give a probability in [0, 1), or auto"),
        ({"temperature": -1}, "temperature is -1"),
        ({"train_batches": "all"}, "train_batches is 'all'"),
        ({"train_batch_size": 0}, "train_batch_size is 0"),
        ({"memory_budget": "none"}, "memory_budget is 'none'"),
        ({"memory_budget": float("inf")}, "memory_budget is inf"),
        ({"memory_budget": float("nan")}, "memory_budget is nan"),
        ({"memory_budget": 1e-8}, "memory_budget is 1e-08"),
        ({"train_neg_sample_args": {"distribution": "popularity", "sample_num": 3}}, "train_neg_sample_args is"),
        ({"shuffle": False}, "shuffle is False, but AttnSeq"),
        ({"enable_scaler": True}, "enable_scaler is True, but AttnSeq"),
        ({"history_negatives": "some"}, "history_negatives is 'some'"),
        ({"members": 0}, "members is 0; give the number of networks"),
        ({"members": "two"}, "members is 'two'"),
        ({"item_encoder": "features"}, "selected_features is None"),
        ({"item_encoder": "features", "selected_features": "class"}, "selected_features is 'class'"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"epochs": -1}, "epochs is -1"),
        ({"user_inter_num_interval": 5}, "user_inter_num_interval is 5; write an interval"),
        ({"item_inter_num_interval": "five"}, "item_inter_num_interval is 'five'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_value_that_cannot_work_is_refused_at_once(given: dict[str, Any], words: str, tiny: str) -> None:
    with pytest.raises(UserError) as caught:
        config_of(tiny, **given)
    assert words in str(caught.value)
    assert sorted(path.name for path in Path().iterdir()) == ["dataset"]


def test_registering_again_changes_nothing(tiny: str) -> None:
    before = Config._load_internal_config_dict
    register()
    assert Config._load_internal_config_dict is before


class TestLoadRun:
    """Checkpoints that load, and those that cannot."""

    @pytest.fixture
    def checkpoint(self, tiny: str, quiet: dict[str, Any]) -> str:
        recbole_attnseq.run("AttnSeq", tiny, config_dict={**quiet, **SMALL, "epochs": 1})
        return only_checkpoint()

    def test_gives_what_recbole_gives(self, checkpoint: str) -> None:
        config, model, dataset, train, _, test = load_run(checkpoint, model="AttnSeq")
        stored = read_checkpoint(checkpoint)
        assert config["split_hash"] == stored["config"]["split_hash"]
        assert all(torch.equal(value, stored["state_dict"][key]) for key, value in model.state_dict().items())
        assert dataset.item_num == train.dataset.item_num == test.dataset.item_num

    @pytest.mark.parametrize("size", [0, 10, 1000, -100])
    def test_truncated(self, checkpoint: str, size: int) -> None:
        whole = Path(checkpoint).read_bytes()
        Path("short.pth").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"short\.pth cannot be read: it is truncated"):
            load_run("short.pth")

    def test_of_something_else(self, checkpoint: str) -> None:
        torch.save({"weights": torch.ones(2)}, "other.pth")
        with pytest.raises(UserError, match=r"other\.pth was not written by RecBole"):
            load_run("other.pth")

    def test_missing(self, workdir: Path) -> None:
        with pytest.raises(UserError, match=r"none\.pth does not exist"):
            load_run("none.pth")

    def test_of_another_model(self, checkpoint: str) -> None:
        with pytest.raises(UserError, match="holds a AttnSeq, not a SASRec"):
            load_run(checkpoint, model="SASRec")

    def test_with_the_weights_of_another_model(self, checkpoint: str) -> None:
        state = read_checkpoint(checkpoint)
        state["state_dict"] = {"weight": torch.ones(1)}
        torch.save(state, "mixed.pth")
        with pytest.raises(UserError, match=r"mixed\.pth does not fit"):
            load_run("mixed.pth")

    def test_of_data_that_are_gone_or_have_changed(self, checkpoint: str, caplog: pytest.LogCaptureFixture) -> None:
        path = Path("dataset/tiny/tiny.inter")
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:-1]))
        load_run(checkpoint)
        assert "not comparable" in caplog.text
        path.write_text("".join([*lines, "u0\tnew\t3\t880000000\n"]))
        with path.with_suffix(".item").open("a") as items:
            items.write("new\t\t\t\n")
        with pytest.raises(UserError, match="data set 'tiny' has changed since"):
            load_run(checkpoint)
        path.parent.rename("dataset/elsewhere")
        with pytest.raises(UserError, match="data set 'tiny': no folder"):
            load_run(checkpoint)


def test_a_name_that_yaml_reads_otherwise_is_told(tiny: str, quiet: dict[str, Any]) -> None:
    Path("c.yaml").write_text("on: 5\n")
    with pytest.raises(UserError, match="a setting is named True"):
        configure("AttnSeq", tiny, ["c.yaml"], quiet)


class TestTwoProcesses:
    """``recbole_attnseq.run(nproc=2)`` on CPUs, with gloo, on a free port."""

    def test_attnseq_learns_and_keeps_one_checkpoint(self, cycle: str, quiet: dict[str, Any]) -> None:
        settings = {**quiet, **SMALL, **HIT, "epochs": 12}
        result = recbole_attnseq.run("AttnSeq", cycle, config_dict=settings, nproc=2)
        assert result is not None
        assert result["test_result"]["hit@1"] > 0.95
        assert result["checkpoint"] == only_checkpoint()
        alone = recbole_attnseq.run("AttnSeq", cycle, config_dict={**settings, "epochs": 1}, saved=False)
        assert alone is not None
        assert result["split_hash"] == alone["split_hash"]
        config, model, _, _, _, test = load_run(result["checkpoint"])
        assert config["device"] == torch.device("cpu")
        assert model.full_sort_predict(next(iter(test))[0]).isfinite().all()

    @pytest.mark.parametrize("model", ["BPR", "GRU4Rec"])
    def test_recboles_own_models(self, model: str, tiny: str, quiet: dict[str, Any]) -> None:
        negatives = {"train_neg_sample_args": None} if model == "GRU4Rec" else {}
        result = recbole_attnseq.run(model, tiny, config_dict={**quiet, **negatives, "epochs": 2}, nproc=2)
        assert result is not None
        assert result["checkpoint"] == only_checkpoint()
        assert all(0 <= value <= 1 for value in result["test_result"].values())

    def test_an_error_of_a_child_arrives_in_one_line(self, tiny: str, quiet: dict[str, Any]) -> None:
        with pytest.raises(UserError, match=r"^n_heads is 3, which does not divide hidden_size 32"):
            recbole_attnseq.run("AttnSeq", tiny, config_dict={**quiet, **SMALL, "n_heads": 3}, nproc=2)
        assert sorted(path.name for path in Path().iterdir()) == ["dataset"]
