"""The running average: equal to its recurrence, equal for sparse tables, put in and taken out without a trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.averaging import WARM_UP, WeightAverage
from recbole_attnseq.training.optimizer import DenseAndSparse
from recbole_attnseq.training.session import configure, train


def test_the_recurrence() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average = WeightAverage([weight], 0.9)
    expected = torch.zeros(3)
    for step in range(1, 120):
        weight.data += torch.randn(3)
        average.before_step()
        average.after_step()
        decay = min(0.9, step / (step + WARM_UP - 1))
        expected = decay * expected + (1 - decay) * weight.data
    last = weight.data.clone()
    average.show()
    torch.testing.assert_close(weight.data, expected)
    average.show()  # twice is once
    average.hide()
    assert weight.data.equal(last)


def test_a_constant_is_its_own_average_and_the_start_is_forgotten() -> None:
    weight = nn.Parameter(torch.zeros(1))
    average = WeightAverage([weight], 0.999)
    weight.data.fill_(1.0)
    for _ in range(100):
        average.after_step()
    average.show()
    assert 0.99 < float(weight) <= 1.0  # with a plain decay of 0.999 it would stand at 0.095


def test_sparse_tables_average_as_if_every_row_were_visited() -> None:
    torch.manual_seed(0)
    table = nn.Embedding(20, 3, sparse=True)
    other = nn.Linear(3, 1)
    optimizer = DenseAndSparse(other.parameters(), [table.weight], 0.1)
    lazy = WeightAverage([*other.parameters(), table.weight], 0.9, [table.weight])
    expected, steps = table.weight.detach().clone(), 0
    for epoch in range(3):
        for _ in range(15):
            optimizer.zero_grad()
            other(table(torch.randint(0, 20, (4,)))).sum().backward()
            lazy.before_step()
            optimizer.step()
            lazy.after_step()
            steps += 1
            decay = min(0.9, steps / (steps + WARM_UP - 1))
            expected = decay * expected + (1 - decay) * table.weight.detach()
        weights = table.weight.detach().clone()
        lazy.show()
        torch.testing.assert_close(table.weight.detach(), expected, msg=f"epoch {epoch}")
        lazy.hide()
        assert table.weight.detach().equal(weights)


@pytest.mark.parametrize("decay", [1, 1.5, -0.1, True, "much"])
def test_a_decay_that_cannot_be(decay: Any) -> None:
    with pytest.raises(UserError, match="weight_average"):
        WeightAverage([], decay)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_averaged_weights_are_what_is_tested_and_saved(cycle: str, quiet: dict[str, Any], sparse: bool) -> None:
    settings = {
        **quiet, "sparse_updates": sparse, "loss_type": "sampled_softmax", "num_negatives": 6, "epochs": 40,
        "train_batch_size": 64, "learning_rate": 0.01, "hidden_size": 16, "n_layers": 1, "inner_size": 32,
        "metrics": ["Hit"], "topk": [1], "valid_metric": "Hit@1", "embedding_dropout_prob": 0.0,
        "weight_average": 0.9,
    }  # fmt: skip
    session = train(configure("AttnSeq", cycle, settings=settings))
    assert session.test_result["hit@1"] > 0.9
    trainer = session.trainer
    saved = torch.load(trainer.saved_model_file, weights_only=False)["state_dict"]
    for name, value in trainer.model.state_dict().items():
        torch.testing.assert_close(value, saved[name])
    assert not all(
        torch.equal(held, shown.detach())
        for held, shown in zip(trainer.average._held, trainer.model.parameters(), strict=True)
    )
