"""Trends through RecBole: nothing at or after a request is counted, and what is going round is learnt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction

import recbole_attnseq
from recbole_attnseq.cli import main
from recbole_attnseq.data.dataset import MOMENT, sequence_store, training_events
from recbole_attnseq.errors import UserError
from recbole_attnseq.training.runs import load_run
from recbole_attnseq.training.session import configure, make_trainer, train
from recbole_attnseq.training.trainer import AttnSeqTrainer
from tests.atomic_files import write_given, write_interactions, write_tiny

START = 1_500_000_000


def write_news(folder: Path, users: int = 300, days: int = 40, stay: int = 25) -> str:
    """Every day two other articles go round for ten hours, and whoever is there reads one of them.

    Of taste there is none. Users come and go, so that others train on most of the days that somebody is asked about
    last, and miss many days, so that what they read last says little of what they read next.
    """
    random = np.random.default_rng(5)
    rows = []
    for user in range(users):
        for day in int(random.integers(days - stay + 1)) + np.sort(random.choice(stay, 7, replace=False)):
            second = int(random.integers(36_000))
            rows.append((f"u{user}", f"i{2 * day + random.integers(2)}", START + 86_400 * int(day) + second))
    write_interactions(folder, "news", rows)
    return "news"


@pytest.fixture
def news(workdir: Path) -> str:
    return write_news(workdir / "dataset")


def loaders(name: str, quiet: dict[str, Any], **settings: Any) -> tuple[Any, list[Any]]:
    config = configure("AttnSeq", name, settings={**quiet, **settings})
    return config, list(data_preparation(config, create_dataset(config)))


@pytest.mark.parametrize(
    "split", [{"LS": "valid_and_test"}, {"RS": [0.7, 0.2, 0.1]}, {"TS": [0.7, 0.2, 0.1]}], ids=["LS", "RS", "TS"]
)
def test_events_are_what_training_knows_and_moments_are_the_files(
    tiny: str, quiet: dict[str, Any], split: dict[str, Any]
) -> None:
    args = {"split": split, "order": "TO", "group_by": "user", "mode": "full"}
    _, (train_data, *others) = loaders(tiny, quiet, trends=[100], eval_args=args)
    dataset = train_data._dataset
    tokens = dataset.field2id_token
    lines = Path("dataset/tiny/tiny.inter").read_text().splitlines()[1:]
    when = {(user, item): float(time) for user, item, _, time in (line.split("\t") for line in lines)}
    assert len(when) == len(lines), "every user takes an item once"

    def pairs(part: Any) -> list[tuple[str, str]]:
        feat = part.inter_feat
        return [
            (tokens["user_id"][u], tokens["item_id"][i])
            for u, i in zip(feat["user_id"].tolist(), feat["item_id"].tolist(), strict=True)
        ]

    held_out = set()
    for loader in (train_data, *others):
        part = loader._dataset
        moments = sequence_store(part).moment
        assert moments is not None
        before = part.inter_feat.interaction.flat["item_id"][sequence_store(part).target - 1].tolist()
        assert moments.tolist() == [
            [when[user, item], when[user, tokens["item_id"][last]]]
            for (user, item), last in zip(pairs(part), before, strict=True)
        ]
        if loader is not train_data:
            held_out.update(pairs(part))
    times, items = training_events(dataset)
    known = {(user, item) for user, item in when if (user, item) not in held_out}
    reached = {user for user, _ in pairs(dataset)}  # a user without a training target is no part of training
    expected = sorted((when[pair], pair[1]) for pair in known if pair[0] in reached)
    assert sorted(zip(times.tolist(), (tokens["item_id"][i] for i in items.tolist()), strict=True)) == expected
    assert len(expected) > 100


def test_a_request_counts_neither_its_own_answer_nor_what_comes_later(tiny: str, quiet: dict[str, Any]) -> None:
    """Planted: were the answer counted, it would stand out by its own count."""
    config, (train_data, *_) = loaders(tiny, quiet, trends=[1e9])
    model = make_trainer(config, train_data).model
    store = sequence_store(train_data._dataset)
    times, items = training_events(train_data._dataset)
    found = model.network.trends.paired_features(store.moment, store.items[store.target])[:, 0].expm1().round()
    expected = [
        int(((times < moment) & (items == item)).sum())
        for moment, item in zip(store.moment[:, 0].tolist(), store.items[store.target].tolist(), strict=True)
    ]
    assert found.tolist() == expected
    whole = torch.bincount(items)[store.items[store.target]]
    assert (found < whole).all(), "at least the answer itself is missing"


def test_what_goes_round_is_learnt_and_found_again_by_every_route(news: str, quiet: dict[str, Any]) -> None:
    from recbole.trainer import Trainer

    common = {
        **quiet, "epochs": 12, "stopping_step": 12, "metrics": ["Hit", "NDCG"], "topk": [2], "valid_metric": "Hit@2",
        "hidden_size": 16, "n_layers": 1, "inner_size": 16, "precision": "float32", "learning_rate": 0.005,
        "train_batch_size": 32,
    }  # fmt: skip
    blind = train(configure("AttnSeq", news, settings=common)).test_result["hit@2"]
    for changes in ({}, {"members": 2}, {"attention": "dot"}, {"loss_type": "sampled_softmax", "num_negatives": 10}):
        session = train(configure("AttnSeq", news, settings={**common, "trends": [3600, 40_000], **changes}))
        assert session.test_result["hit@2"] > max(0.7, blind + 0.3), (changes, blind)
    theirs = Trainer.evaluate(session.trainer, session.test, load_best_model=False)  # by batches of RecBole's own
    assert {name: float(value) for name, value in theirs.items()} == session.test_result
    model = session.trainer.model
    batch = next(iter(session.test))[0]
    everything = model.full_sort_predict(batch)
    torch.testing.assert_close(model.predict(batch), everything.gather(1, batch["item_id"][:, None])[:, 0])
    row = next(iter(session.train))
    assert MOMENT in row
    assert model.calculate_loss(row) > 0


def test_two_processes_learn_what_goes_round(news: str, quiet: dict[str, Any]) -> None:
    settings = {
        **quiet, "epochs": 12, "stopping_step": 12, "metrics": ["Hit"], "topk": [2], "valid_metric": "Hit@2",
        "hidden_size": 16, "n_layers": 1, "inner_size": 16, "learning_rate": 0.005, "train_batch_size": 32,
        "trends": [3600, 40_000],
    }  # fmt: skip
    result = recbole_attnseq.run("AttnSeq", news, config_dict=settings, nproc=2)
    assert result is not None
    assert result["test_result"]["hit@2"] > 0.7
    config, model, _, _, _, test = load_run(result["checkpoint"])
    alone = AttnSeqTrainer(config, model).evaluate(test, load_best_model=False)
    assert alone == result["test_result"]


def test_a_model_of_recboles_is_not_told_in_vain(news: str, quiet: dict[str, Any]) -> None:
    negatives = {"train_neg_sample_args": None}
    for given, words in (({"trends": [3600]}, "trends is [3600], but SASRec"), ({"members": 2}, "members is 2")):
        with pytest.raises(UserError, match=re.escape(words)):
            configure("SASRec", news, settings={**quiet, **negatives, **given})
    configure("SASRec", news, settings={**quiet, **negatives, "trends": [], "members": 1})


def test_recent_popularity_alone_is_a_model_too(news: str, quiet: dict[str, Any]) -> None:
    from recbole.trainer import Trainer

    common = {**quiet, "epochs": 9, "metrics": ["Hit"], "topk": [2], "valid_metric": "Hit@2", "exclude_history": True}
    session = train(configure("RecentPop", news, settings={**common, "trends": [40_000]}), ranked=True)
    assert isinstance(session.trainer, Trainer)
    assert len(session.curve) == 1, "nothing is learnt, so what is asked for beyond an epoch would be idle"
    assert session.test_result["hit@2"] > 0.7
    assert session.ranking is not None
    assert float((session.ranking.rank <= 2).float().mean()) == pytest.approx(session.test_result["hit@2"], abs=1e-4)
    model, batch = session.trainer.model, next(iter(session.test))[0]
    everything = model.full_sort_predict(batch)
    torch.testing.assert_close(model.predict(batch), everything.gather(1, batch["item_id"][:, None])[:, 0])
    with pytest.raises(UserError, match="members is 2, but RecentPop"):
        configure("RecentPop", news, settings={**common, "trends": [40_000], "members": 2})
    with pytest.raises(UserError, match="RecentPop needs trends"):
        train(configure("RecentPop", news, settings=common))


def test_prefixes_and_windows_ask_at_the_same_moments(news: str, quiet: dict[str, Any]) -> None:
    losses = []
    for batches in ("windows", "prefixes"):
        config, (train_data, *_) = loaders(
            news, quiet, trends=[86400], train_batches=batches, train_context="exact", train_batch_size=4096,
            embedding_dropout_prob=0.0, hidden_dropout_prob=0.0, precision="float32", n_layers=1,
        )  # fmt: skip
        trainer = make_trainer(config, train_data)
        with torch.no_grad():
            trainer.model.network.trends.weights.fill_(0.3)
        (batch,) = trainer.batches(train_data).epoch(0)
        losses.append(float(trainer._step(batch, 1)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("spans", [[0], ["day"], 86400, [], [True], [float("inf")], "[1, 2"])
def test_what_are_no_spans_is_refused(tiny: str, quiet: dict[str, Any], spans: object) -> None:
    with pytest.raises(UserError, match=r"trends is .*list of lengths of time"):
        configure("AttnSeq", tiny, settings={**quiet, "trends": spans})


def test_times_are_needed(tiny: str, quiet: dict[str, Any]) -> None:
    args = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user", "mode": "full"}
    with pytest.raises(UserError, match="order"):
        loaders(tiny, quiet, trends=[100], eval_args=args)


def test_a_split_that_comes_as_files_has_no_times(workdir: Path, quiet: dict[str, Any]) -> None:
    settings = {**quiet, **write_given(workdir / "dataset"), "trends": [100]}
    config = Config(model="AttnSeq", dataset="given", config_dict=settings)
    train_data, *_ = data_preparation(config, create_dataset(config))
    with pytest.raises(UserError, match="leave benchmark_filename out"):
        make_trainer(config, train_data)


def test_without_trends_nothing_is_kept(workdir: Path, quiet: dict[str, Any]) -> None:
    write_tiny(workdir / "dataset")
    config, (train_data, *_) = loaders("tiny", quiet, time_gaps=False)
    assert sequence_store(train_data._dataset).moment is None
    assert not hasattr(train_data._dataset, "exact_times")
    names = make_trainer(config, train_data).model.state_dict()
    assert not [name for name in names if "trends" in name]


def test_a_checkpoint_is_scored_as_it_was(news: str, quiet: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"epochs": 2, "metrics": ["Hit"], "topk": [2], "valid_metric": "Hit@2", "trends": [3600, 40_000]}
    session = train(configure("AttnSeq", news, settings={**quiet, **changes}))
    assert main(["evaluate", session.trainer.saved_model_file]) == 0
    assert f"hit@2 {session.test_result['hit@2']:.4f}" in capsys.readouterr().out


def test_a_kept_data_set_without_times_is_read_again(news: str, quiet: dict[str, Any]) -> None:
    kept = {"save_dataset": True, "epochs": 1}
    loaders(news, quiet, **kept)
    assert list(Path("saved").glob("*.pth"))
    config, (train_data, *_) = loaders(news, quiet, **kept, trends=[3600])
    assert make_trainer(config, train_data).model.timely


def test_a_request_without_its_time_is_told(news: str, quiet: dict[str, Any]) -> None:
    config, (train_data, _, test_data) = loaders(news, quiet, trends=[3600], time_gaps=False)
    model = make_trainer(config, train_data).model
    batch = next(iter(test_data))[0]
    hand_made = Interaction({name: batch[name] for name in (model.ITEM_SEQ, model.ITEM_SEQ_LEN)})
    with pytest.raises(UserError, match=MOMENT):
        model.full_sort_predict(hand_made)
