"""Settings that follow the data: dropout (what the loss compares with is tested beside the histories)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_attnseq import data_rules
from recbole_attnseq.data_rules import dropout, dropouts, network_follows, what_auto_means
from recbole_attnseq.leaderboard.facts import read_facts
from recbole_attnseq.model import AttnSeq
from recbole_attnseq.registration import network_settings
from tests.data.test_dataset import parts
from tests.test_registration import config_of


@pytest.mark.parametrize(
    ("data", "targets", "items", "expected"),
    [
        ("nemig-en", 19_106, 4_122, 0.5),
        ("ml-100k", 97_171, 1_682, 0.5),
        ("a quarter of ml-1m", 236_661, 3_029, 0.3),
        ("between the two", 110 * 3_000, 3_000, 0.2),
        ("ml-1m", 981_491, 3_416, 0.1),
    ],
)
def test_dense_data_bear_less_dropout(data: str, targets: int, items: int, expected: float) -> None:
    assert dropout(targets, items) == expected


def test_it_never_rises_with_the_targets_and_never_leaves_its_range() -> None:
    values = [dropout(targets, 100) for targets in range(0, 1_000_000, 500)]
    assert values[0] == 0.5
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0.1
    assert dropout(0, 0) == 0.5


def test_only_auto_follows() -> None:
    given: dict[str, Any] = {"embedding_dropout_prob": "auto", "hidden_dropout_prob": 0.3}
    assert dropouts(given, 10**6, 1000) == {"embedding_dropout_prob": 0.1, "hidden_dropout_prob": 0.3}
    assert dropouts(given) == {"embedding_dropout_prob": 0.5, "hidden_dropout_prob": 0.3}
    assert network_settings(items=10, max_length=5).hidden_dropout_prob == 0.5


@pytest.mark.parametrize(
    ("given", "timed", "targets", "encoder", "thinned"),
    [
        ({}, True, 600, "transformer_mean", 0.5),
        ({}, True, 610, "transformer", 0.0),
        ({}, False, 600, "transformer", 0.0),
        ({"mean_dropout_prob": 0.2}, True, 600, "transformer_mean", 0.2),
        ({"user_encoder": "gru"}, True, 600, "gru", 0.0),
        ({"user_encoder": "transformer_mean"}, False, 10**6, "transformer_mean", 0.5),
        ({"user_encoder": "transformer_mean", "mean_dropout_prob": None}, True, 600, "transformer_mean", 0.0),
    ],
)
def test_the_user_encoder_follows_waits_and_targets(
    given: dict[str, Any], timed: bool, targets: int, encoder: str, thinned: float
) -> None:
    auto = dict.fromkeys((*data_rules.DROPOUTS, "user_encoder", "mean_dropout_prob"), "auto")
    made = network_follows({**auto, **given}, timed, targets, 10)
    assert (made["user_encoder"], made["mean_dropout_prob"]) == (encoder, thinned)
    if None not in given.values():
        counts = {"targets": targets, "users": 5, "items": 10}
        meant = what_auto_means({**auto, "time_gaps": timed, **given}, True, **counts)
        assert {**auto, **given, **meant} == made


def test_what_is_not_known_of_waits_says_nothing_of_the_encoder() -> None:
    auto = {"user_encoder": "auto", "mean_dropout_prob": "auto", "time_gaps": "auto"}
    assert what_auto_means(auto, True, targets=600, users=5, items=10) == {}
    known = what_auto_means(auto, True, targets=600, users=5, items=10, waits=7)
    assert known == {"user_encoder": "transformer_mean", "mean_dropout_prob": 0.5, "time_gaps": True}


def test_the_network_is_built_by_the_rule_and_the_log_says_so(
    tiny: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train = parts(tiny)[0]
    each = train.inter_num / (train.item_num - 1)
    monkeypatch.setattr(data_rules, "FEW_TARGETS", each / 1.4)  # so that this data set is a dense one
    with caplog.at_level("INFO"):
        network = AttnSeq(config_of(tiny, hidden_dropout_prob=0.1), train).network
    assert network.input_dropout.probability == 0.3
    assert network.settings.hidden_dropout_prob == 0.1
    assert f"network: auto, with {each:.3g} targets an item" in caplog.text
    network = AttnSeq(config_of(tiny, embedding_dropout_prob="auto", hidden_dropout_prob="auto"), train).network
    assert (network.settings.embedding_dropout_prob, network.settings.hidden_dropout_prob) == (0.3, 0.3)


# Dropout, and whether the loss compares with histories, of the committed runs that did not yet keep what auto came to.
# A rule that would give another value makes those records stale: run them again, then change this.
COMMITTED = {
    "amazon-beauty": (0.5, True),
    "amazon-toys": (0.5, True),
    "deskdrop": (0.5, True),
    "lastfm": (0.5, True),
    "ml-100k": (0.5, False),
    "ml-1m": (0.1, False),
    "movietweetings": (0.5, True),
    "nemig-en": (0.5, True),
}


@pytest.mark.parametrize("dataset", COMMITTED)
def test_auto_means_today_what_it_meant_in_the_committed_runs(dataset: str) -> None:
    files = list(Path("results/runs", dataset, "splits").glob("*.json"))
    assert files
    strength, compared = COMMITTED[dataset]
    for facts in map(read_facts, files):
        counts = facts.counts()
        settings = dict.fromkeys((*data_rules.DROPOUTS, "history_negatives"), "auto")
        expected = {**dict.fromkeys(data_rules.DROPOUTS, strength), "history_negatives": compared}
        assert what_auto_means(settings, True, **counts) == expected
        assert what_auto_means({"history_negatives": "auto"}, False, **counts) == {"history_negatives": True}
        assert what_auto_means({"hidden_dropout_prob": 0.1}, True, **counts) == {}
        # Where the copies in use have times; the others' places in a history stand for them.
        timed = dataset in ("deskdrop", "ml-100k", "ml-1m", "movietweetings")
        assert what_auto_means({"time_gaps": "auto"}, True, **counts) == {"time_gaps": timed}
        encoder = "transformer_mean" if timed and dataset != "ml-1m" else "transformer"
        meant = what_auto_means({"time_gaps": "auto", "user_encoder": "auto"}, True, **counts)
        assert meant == {"time_gaps": timed, "user_encoder": encoder}
