"""Our full ranking gives RecBole's metrics, to the last digit, in blocks of any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_attnseq.errors import UserError
from recbole_attnseq.nn.ensemble import Ensemble
from recbole_attnseq.training.ranking import (
    CACHED_SCORES,
    SMALLEST_BLOCK,
    Ranking,
    cut_by_tokens,
    encode_ahead,
    rank_targets,
    rows_per_block,
    seen_items,
)
from recbole_attnseq.training.session import configure, train

METRICS = ["Recall", "MRR", "NDCG", "Hit", "Precision", "F1", "MAP", "ItemCoverage", "GiniIndex", "AveragePopularity"]


def _session(model: str, dataset: str, quiet: dict[str, Any], **settings: Any) -> Any:
    base = {**quiet, "epochs": 2, "metrics": METRICS, "topk": [1, 3, 5], "valid_metric": "NDCG@5"}
    if model in ("SASRec", "GRU4Rec"):
        base["train_neg_sample_args"] = None
    return train(configure(model, dataset, settings={**base, **settings}))


@pytest.mark.parametrize(("attention", "members"), [("last", 1), ("dot", 1), ("last", 2), ("dot", 2)])
def test_metrics_equal_recboles(tiny: str, quiet: dict[str, Any], attention: str, members: int) -> None:
    from recbole.trainer import Trainer

    session = _session(
        "AttnSeq",
        tiny,
        quiet,
        attention=attention,
        members=members,
        precision="float32",
        hidden_size=16,
        n_layers=1,
        inner_size=16,
    )
    network = session.trainer.model.network
    assert isinstance(network, Ensemble) == (members > 1)
    if members > 1:
        tables = [member.item_encoder.table.weight for member in network.networks]
        assert len(tables) == members
        assert not tables[0].equal(tables[1]), "members differ by chance"
    theirs = Trainer.evaluate(session.trainer, session.test, load_best_model=False)
    assert len(theirs) == 3 * len(METRICS)
    for name, value in theirs.items():
        assert session.test_result[name] == pytest.approx(float(value), abs=1e-12), name


def test_block_size_changes_nothing() -> None:
    torch.manual_seed(0)
    scores, targets = torch.randn(50, 30), torch.randint(1, 30, (50,))
    whole = rank_targets(lambda rows: scores[rows].clone(), targets, 50, top=5)
    for block in (1, 7, 49):
        part = rank_targets(lambda rows: scores[rows].clone(), targets, block, top=5)
        assert part.rank.equal(whole.rank)
        assert part.top is not None
        assert whole.top is not None
        assert part.top.equal(whole.top)
    expected = [1 + int((row[1:] > row[t]).sum()) for row, t in zip(scores, targets, strict=True)]
    assert whole.rank.tolist() == expected


def test_equal_scores_are_no_perfect_ranking() -> None:
    ranking = rank_targets(lambda rows: torch.zeros(3, 11), torch.tensor([1, 5, 10]), 3)
    assert ranking.rank.tolist() == [1, 5, 10]


def test_what_is_no_number_ranks_last() -> None:
    """A diverged model must not look perfect."""
    scores = torch.randn(4, 10)
    scores[0, 5] = float("nan")  # the target
    scores[1] = float("nan")  # everything
    scores[2, 3] = float("nan")  # a rival counts as higher
    scores[2, 5], scores[3, 5] = 100.0, 100.0
    found = rank_targets(lambda rows: scores[rows].clone(), torch.tensor([5, 5, 5, 5]), 2).rank
    assert found[0] > 9
    assert found[1] > 9
    assert found[2:].tolist() == [2, 1]


def test_seen_items_leave_the_ranking_but_the_target_stays() -> None:
    scores = torch.tensor([[9.0, 5.0, 4.0, 3.0, 2.0]])
    seen = lambda rows: (torch.tensor([0, 0]), torch.tensor([1, 3]))  # noqa: E731
    ranking = rank_targets(lambda rows: scores.clone(), torch.tensor([3]), 1, seen=seen)
    assert ranking.rank.tolist() == [2]  # item 1 is gone, item 2 is still higher


@pytest.mark.parametrize("length", [3, 50])
def test_the_whole_history_counts_as_seen(tiny: str, quiet: dict[str, Any], length: int) -> None:
    session = _session("AttnSeq", tiny, quiet, hidden_size=16, n_layers=1, MAX_ITEM_LIST_LENGTH=length, epochs=1)
    dataset = session.test._dataset
    row, item = seen_items(dataset)(slice(0, len(dataset)))
    frame = np.loadtxt(Path("dataset/tiny/tiny.inter"), dtype=str, skiprows=1)
    user_of, token = dataset.field2id_token["user_id"], dataset.field2id_token["item_id"]
    for position in range(len(dataset)):
        user = str(user_of[int(dataset.inter_feat["user_id"][position])])
        mine = frame[frame[:, 0] == user]
        mine = mine[np.argsort(mine[:, 3].astype(float), kind="stable")][:-1, 1]
        assert sorted(str(token[int(i)]) for i in item[row == position]) == sorted(mine.tolist())


def test_baselines_obey_the_same_rule(tiny: str, quiet: dict[str, Any]) -> None:
    """With ``exclude_history`` RecBole's own sequential model ranks only unseen items and the target."""
    small = {"hidden_size": 16, "inner_size": 16, "n_layers": 1}
    masked = _session("SASRec", tiny, quiet, exclude_history=True, **small)
    plain = _session("SASRec", tiny, quiet, **small)
    assert masked.ranking is not None
    assert plain.ranking is not None
    items = masked.test._dataset.item_num - 1
    row, _ = seen_items(masked.test._dataset)(slice(0, len(masked.ranking.rank)))
    seen = torch.bincount(row, minlength=len(masked.ranking.rank))
    assert (masked.ranking.rank <= items - seen).all()
    assert not (plain.ranking.rank <= items - seen).all()
    hits = (masked.ranking.rank <= 5).double().mean()
    assert masked.test_result["hit@5"] == pytest.approx(float(hits), abs=1e-4)


def test_history_is_left_out_whatever_the_metrics(tiny: str, quiet: dict[str, Any]) -> None:
    """GAUC needs all scores, so RecBole's own evaluation computes it: the rule must hold there, too."""
    settings = {"exclude_history": True, "hidden_size": 16, "n_layers": 1, "precision": "float32"}
    usual = _session("AttnSeq", tiny, quiet, **settings)
    mixed = _session("AttnSeq", tiny, quiet, **settings, metrics=["Recall", "MRR", "NDCG", "GAUC"])
    assert mixed.ranking.rank.equal(usual.ranking.rank)
    assert 0 < mixed.test_result["gauc"] <= 1
    for name in ("recall@1", "mrr@5", "ndcg@5"):
        assert mixed.test_result[name] == pytest.approx(usual.test_result[name], abs=1e-4), name
        assert mixed.valid_result[name] == pytest.approx(usual.valid_result[name], abs=1e-4), name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"eval_args": {"split": {"LS": "valid_only"}, "order": "TO", "mode": "full"}}, "no test part"),
        ({"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "uni5"}}, "samples candidates"),
    ],
)
def test_what_gives_no_ranks_is_told_before_training(
    tiny: str, quiet: dict[str, Any], settings: dict[str, Any], words: str
) -> None:
    config = configure("AttnSeq", tiny, settings={**quiet, "epochs": 1, **settings})
    with pytest.raises(UserError, match=words):
        train(config, ranked=True, each_epoch=lambda point: pytest.fail("it was trained"))
    session = train(config)
    assert session.ranking is None
    assert bool(session.test_result) == (words != "no test part")


def test_several_targets_of_a_general_model_are_told_before_training(tiny: str, quiet: dict[str, Any]) -> None:
    split = {"eval_args": {"split": {"RS": [0.5, 0.25, 0.25]}, "order": "RO", "mode": "full"}}
    with pytest.raises(UserError, match="several test targets"):
        train(configure("BPR", tiny, settings={**quiet, "epochs": 1, **split}), ranked=True)


@pytest.mark.parametrize("model", ["Pop", "BPR", "SASRec"])
def test_ranks_of_any_model_explain_its_metrics(tiny: str, quiet: dict[str, Any], model: str) -> None:
    split = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
    session = _session(model, tiny, quiet, eval_args=split, epochs=1)
    assert session.ranking is not None
    mrr = torch.where(session.ranking.rank <= 5, 1 / session.ranking.rank, 0.0).mean()
    # Pop's scores tie, where RecBole's top-k picks freely; everything else must agree.
    assert session.test_result["mrr@5"] == pytest.approx(float(mrr), abs=0.05 if model == "Pop" else 1e-4)


def test_a_budget_below_one_row_is_refused() -> None:
    assert rows_per_block(100, 1000) == 10
    with pytest.raises(UserError, match="memory_budget"):
        rows_per_block(1001, 1000)


def test_a_cpu_ranks_by_smaller_blocks_within_the_budget() -> None:
    cpu = torch.device("cpu")
    assert rows_per_block(CACHED_SCORES // 100, 10 * CACHED_SCORES, cpu) == 100
    assert rows_per_block(CACHED_SCORES, 100 * CACHED_SCORES, cpu) == SMALLEST_BLOCK
    assert rows_per_block(CACHED_SCORES, 3 * CACHED_SCORES, cpu) == 3
    with pytest.raises(UserError, match="memory_budget"):
        rows_per_block(1001, 1000, cpu)


@pytest.mark.parametrize("attention", ["last", "dot"])
@pytest.mark.parametrize("user_encoder", ["transformer", "gru", "bilstm"])
def test_histories_are_encoded_as_the_budget_holds_them(
    tiny: str, quiet: dict[str, Any], monkeypatch: pytest.MonkeyPatch, attention: str, user_encoder: str
) -> None:
    session = _session(
        "AttnSeq", tiny, quiet, attention=attention, user_encoder=user_encoder, epochs=1, hidden_size=8,
        n_layers=1, inner_size=16, rnn_hidden_size=8, precision="float32",
    )  # fmt: skip
    network, data = session.trainer.model.network, session.test._dataset
    at_once = session.trainer.rank(data).rank
    tokens, states = [], network.states

    def counted(items: torch.Tensor, packing: Any) -> torch.Tensor:
        padded = not network.user_encoder.banded
        tokens.append(len(packing.lengths) * packing.longest if padded else packing.tokens)
        return states(items, packing)

    monkeypatch.setattr(network, "states", counted)
    network.budget = 60 * network.user_encoder.widest
    assert session.trainer.rank(data).rank.equal(at_once)
    session.trainer.model.train()  # as a checkpoint is loaded: no dropout may come into it
    assert session.trainer.rank(data).rank.equal(at_once)
    assert len(tokens) > 3
    assert max(tokens) * network.user_encoder.widest <= network.budget


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("most", [1, 5, 9, 12, 100])
def test_rows_are_cut_where_their_tokens_would_be_too_many(most: int, padded: bool) -> None:
    lengths = torch.tensor([3, 1, 9, 2, 2, 2, 7])
    parts = cut_by_tokens(lengths, most, padded)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(7))

    def tokens(start: int, stop: int) -> int:
        held = lengths[start:stop]
        return int(held.max()) * len(held) if padded else int(held.sum())

    for part in parts:
        assert tokens(part.start, part.stop) <= most or part.stop == part.start + 1
    assert all(tokens(part.start, part.stop + 1) > most for part in parts[:-1]), "no cut without need"


@pytest.mark.parametrize("block", [1, 3, 4, 5, 23])
def test_states_encoded_ahead_are_those_asked_for(block: int) -> None:
    rows, made = torch.arange(23), []

    def encode(part: slice) -> torch.Tensor:
        made.append(part)
        return rows[part, None]

    states = encode_ahead(encode, 23, 8)
    for start in range(0, 23, block):
        assert states(slice(start, min(start + block, 23))).flatten().equal(rows[start : start + block])
    assert len(made) <= (1 if block == 23 else 3 if 8 % block == 0 else 23 // block + 1)


def test_hits_are_read_off_the_ranks() -> None:
    struct = Ranking(torch.tensor([1, 4, 9]), None).as_struct(4)
    assert struct.get("rec.topk").tolist() == [[1, 0, 0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]]


def test_training_and_ranking_have_their_own_precision(
    tiny: str, quiet: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _session("AttnSeq", tiny, quiet)
    trainer = session.trainer
    trainer.precision = replace(trainer.precision, matmul="high", ranking="highest")
    met = []
    for name in ("loss", "last_states"):
        original = getattr(trainer.model.network, name)

        def noted(*args: Any, name: str = name, original: Any = original) -> Any:
            met.append((name, torch.get_float32_matmul_precision()))
            return original(*args)

        monkeypatch.setattr(trainer.model.network, name, noted)
    trainer._train_epoch(session.train, 0)
    trainer.rank(session.valid._dataset)
    assert set(met) == {("loss", "high"), ("last_states", "highest")}
