"""Every part learns the cycle: with full ranking the held-out step comes first for nearly everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_attnseq import run
from recbole_attnseq.data.batches import SequenceBatches
from recbole_attnseq.nn.attention import ATTENTIONS
from recbole_attnseq.nn.losses import LOSSES
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.similarity import SIMILARITIES
from recbole_attnseq.nn.user_encoders import USER_ENCODERS
from tests.building import settings
from tests.learning_data import ITEMS, LENGTH, USERS, cycle

MAXIMUM = 10  # shorter than the histories, so that windows are cut


def hit_rate(epochs: int = 25, **changes: Any) -> float:
    """HR@1 of the held-out steps among all items after training from scratch."""
    store, items, lengths, targets = cycle(MAXIMUM)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "inner_size": 64, "rnn_hidden_size": 32, "initializer_range": 0.1, "temperature": 0.07}
    network = Network(settings(**{"items": ITEMS + 1, "max_length": MAXIMUM, **sizes, "num_negatives": 10, **changes}))
    stride = 64 if network.causal else 1
    batches = SequenceBatches(store, size=64, stride=stride, bucket=False, seed=0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            assert batch is not None
            optimizer.zero_grad()
            packing = Packing(batch.lengths, MAXIMUM)
            network.loss(batch.items, packing, batch.queries, batch.targets).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        scores = network.scores(items, Packing(lengths, MAXIMUM))[:, 1:]
    wanted = scores.gather(1, targets[:, None] - 1)
    # A tie is no hit: equal scores for all would otherwise be a perfect ranking.
    return float(((scores >= wanted).sum(1) == 1).float().mean())


@pytest.mark.parametrize("encoder", list(USER_ENCODERS))
@pytest.mark.parametrize("attention", list(ATTENTIONS))
def test_every_encoder_with_every_attention(encoder: str, attention: str) -> None:
    assert hit_rate(user_encoder=encoder, attention=attention) > 0.95


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
@pytest.mark.parametrize("loss_type", list(LOSSES))
def test_every_loss_with_every_similarity(loss_type: str, similarity: str) -> None:
    assert hit_rate(loss_type=loss_type, similarity=similarity) > 0.95


def test_an_untrained_network_knows_nothing() -> None:
    assert hit_rate(epochs=0) < 0.5


def test_the_held_out_step_is_in_no_training_batch() -> None:
    store, items, lengths, targets = cycle(MAXIMUM)
    batches = SequenceBatches(store, size=64, stride=64, bucket=False, seed=0)
    trained = torch.cat([batch.targets for batch in batches.epoch(0) if batch is not None])
    assert len(trained) == USERS * (LENGTH - 2)
    assert len(items) == int(lengths.sum()) == USERS * MAXIMUM
    ends = items[lengths.cumsum(0) - 1]
    assert torch.equal(targets, ends % ITEMS + 1)


@pytest.mark.parametrize("changes", [{}, {"members": 2}], ids=["defaults", "ensemble"])
def test_through_recbole(changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "dataset" / "circle"
    folder.mkdir(parents=True)
    rows = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(300):
        rows += [f"u{user}\ti{(user * 7 + step) % ITEMS}\t{step}" for step in range(LENGTH)]
    (folder / "circle.inter").write_text("\n".join(rows) + "\n", encoding="utf-8")
    result = run(
        "AttnSeq",
        "circle",
        config_dict={
            "data_path": str(tmp_path / "dataset"),
            "epochs": 40,
            "stopping_step": 40,
            "metrics": ["Hit"],
            "topk": [1],
            "valid_metric": "Hit@1",
            "show_progress": False,
            "state": "WARNING",
            "load_col": None,
            **changes,
        },
    )
    assert result is not None
    assert result["test_result"]["hit@1"] > 0.95
