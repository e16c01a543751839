"""Sparse updates touch the rows of the batch, and a first step equals Adam's."""

from __future__ import annotations

import copy
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.optimizer import DenseAndSparse, fused
from recbole_attnseq.training.session import configure, train


def _pair() -> tuple[nn.Embedding, nn.Embedding]:
    torch.manual_seed(0)
    dense = nn.Embedding(50, 4)
    sparse = nn.Embedding(50, 4, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    return dense, sparse


def test_first_step_equals_adam_and_other_rows_stay() -> None:
    dense, sparse = _pair()
    other = nn.Linear(4, 1)
    rows = torch.tensor([3, 7, 7])
    optimizer = DenseAndSparse(other.parameters(), [sparse.weight], 0.1)
    plain = torch.optim.Adam(dense.parameters(), lr=0.1)
    before = sparse.weight.detach().clone()
    for table, step in ((dense, plain), (sparse, optimizer)):
        table(rows).pow(2).sum().backward()
        step.step()
    torch.testing.assert_close(sparse.weight[rows], dense.weight[rows])
    untouched = [row for row in range(50) if row not in (3, 7)]
    assert sparse.weight[untouched].equal(before[untouched])


def test_state_survives() -> None:
    _, sparse = _pair()
    optimizer = DenseAndSparse(nn.Linear(4, 1).parameters(), [sparse.weight], 0.1)
    sparse(torch.tensor([1])).sum().backward()
    optimizer.step()
    again = copy.deepcopy(sparse)
    other = DenseAndSparse(nn.Linear(4, 1).parameters(), [again.weight], 0.1)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # as from a file
    for table, step in ((sparse, optimizer), (again, other)):
        step.zero_grad()
        table(torch.tensor([1])).sum().backward()
        step.step()
    assert again.weight.equal(sparse.weight)


def test_the_cycle_is_learned_with_sparse_updates(cycle: str, quiet: dict[str, Any]) -> None:
    settings = {
        **quiet, "sparse_updates": True, "loss_type": "sampled_softmax", "num_negatives": 6, "epochs": 40,
        "train_batch_size": 64, "learning_rate": 0.01, "hidden_size": 16, "n_layers": 1, "inner_size": 32,
        "metrics": ["Hit"], "topk": [1], "valid_metric": "Hit@1", "embedding_dropout_prob": 0.0,
    }  # fmt: skip
    session = train(configure("AttnSeq", cycle, settings=settings))
    assert isinstance(session.trainer.optimizer, DenseAndSparse)
    assert session.test_result["hit@1"] > 0.95


@pytest.mark.parametrize("value", ["softmax", "yes"])
def test_sparse_updates_need_a_sampled_loss(cycle: str, quiet: dict[str, Any], value: str) -> None:
    given = {"loss_type": value} if value == "softmax" else {"sparse_updates": value}
    with pytest.raises(UserError, match="sparse_updates is"):
        configure("AttnSeq", cycle, settings={**quiet, "sparse_updates": True, **given})


def test_sparse_updates_need_adam(cycle: str, quiet: dict[str, Any]) -> None:
    settings = {**quiet, "sparse_updates": True, "loss_type": "sampled_softmax", "num_negatives": 6, "learner": "sgd"}
    with pytest.raises(UserError, match="sparse_updates"):
        train(configure("AttnSeq", cycle, settings=settings))


def test_the_fused_step_is_adams() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(6, 3) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    plain = torch.optim.Adam(layers[0].parameters(), lr=0.05, weight_decay=0.01)
    quick = fused(torch.optim.Adam(layers[1].parameters(), lr=0.05, weight_decay=0.01))
    assert quick.param_groups[0]["fused"]
    inputs = torch.randn(10, 6)
    for _ in range(5):
        for layer, optimizer in zip(layers, (plain, quick), strict=True):
            optimizer.zero_grad()
            layer(inputs).square().sum().backward()
            optimizer.step()
    for expected, found in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_other_optimizers_stay_as_they_are() -> None:
    optimizer = torch.optim.AdamW(nn.Linear(2, 2).parameters())
    assert fused(optimizer) is optimizer


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"clip_grad_norm": {"max_norm": 1.0}}, "clip_grad_norm"),
        ({"weight_decay": 0.01}, "weight_decay"),
        ({"learner": "adamw"}, "learner is adamw"),
    ],
)
def test_what_sparse_updates_cannot_do(cycle: str, quiet: dict[str, Any], changes: dict[str, Any], word: str) -> None:
    """Whoever asks for both is told; whoever left it to us gets dense updates."""
    common = {**quiet, "loss_type": "sampled_softmax", "num_negatives": 6, "epochs": 1}
    with pytest.raises(UserError, match=word):
        train(configure("AttnSeq", cycle, settings={**common, **changes, "sparse_updates": True}))
    with mock.patch("recbole_attnseq.model.SPARSE_ABOVE", 1):
        for given, sparse in (({}, True), (changes, False)):
            session = train(configure("AttnSeq", cycle, settings={**common, **given, "sparse_updates": "auto"}))
            assert session.trainer.model.network.item_encoder.table.sparse == sparse


@pytest.mark.parametrize(
    "changes",
    [{"learner": "sgd"}, {"weight_decay": 0.01}, {"clip_grad_norm": {"max_norm": 0.1}, "learner": "sgd"}],
    ids=["sgd", "decay", "clipped"],
)
def test_members_learn_as_if_they_were_alone(tiny: str, quiet: dict[str, Any], changes: dict[str, Any]) -> None:
    settings = {
        **quiet, "epochs": 1, "train_batch_size": 32, "hidden_size": 16, "n_layers": 1, "inner_size": 16,
        "embedding_dropout_prob": 0.0, "hidden_dropout_prob": 0.0, "precision": "float32", "learning_rate": 0.05,
        **changes,
    }  # fmt: skip
    alone, together = (train(configure("AttnSeq", tiny, settings={**settings, "members": n})) for n in (1, 3))
    first = together.trainer.model.network.networks[0].state_dict()  # made by the same random numbers as the one alone
    for name, expected in alone.trainer.model.network.state_dict().items():
        torch.testing.assert_close(first[name], expected)
