"""What lies behind a query is left out of its candidates, the target never, by each of the three routes."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_attnseq.data_rules import history_negatives
from recbole_attnseq.nn.attention import ATTENTIONS
from recbole_attnseq.nn.cross_entropy import linear_cross_entropy
from recbole_attnseq.nn.history import Histories
from recbole_attnseq.nn.packing import Packing
from tests.building import WINDOW, histories, network, vectors

CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # the loss may add up in float32
TAKEN = [[3, 1], [], [2, 2, 5, 4], [1]]  # a query without history, an item taken twice
TARGETS = [6, 2, 4, 5]  # the third takes an item again
KEPT = [{3, 1}, set(), {2, 5}, {1}]


def example() -> Histories:
    counts = torch.tensor([len(row) for row in TAKEN])
    stream = torch.tensor([item for row in TAKEN for item in row])
    return Histories(stream, counts.cumsum(0) - counts, counts, torch.tensor(TARGETS))


def seen(items: Tensor, packing: Packing, targets: Tensor) -> list[set[int]]:
    """For every token, by counting: the items of its sequence so far, without its target."""
    found, start = [], 0
    for length in packing.lengths.tolist():
        found += [set(items[start : end + 1].tolist()) for end in range(start, start + length)]
        start += length
    return [row - {int(target)} for row, target in zip(found, targets, strict=True)]


def without(scores: Tensor, left_out: list[set[int]]) -> Tensor:
    """``scores`` (M, N) with -inf for padding and for each row's items."""
    hidden = torch.zeros(scores.shape, dtype=torch.bool)
    hidden[:, 0] = True
    for row, items in enumerate(left_out):
        hidden[row, list(items)] = True
    return scores.masked_fill(hidden, -math.inf)


@pytest.mark.parametrize("filling", [0, 3])
def test_logits_are_left_out_in_place(filling: int) -> None:
    logits = vectors(4 + filling, 7)
    expected = without(logits[:4], KEPT)
    expected[:, 0] = logits[:4, 0]
    filled = logits[4:].clone()
    example().leave_out(logits)
    assert torch.equal(logits[:4], expected)
    assert torch.equal(logits[4:], filled)


@pytest.mark.parametrize("candidates", [[1, 2, 3, 4, 5, 6], [5, 1, 5, 2, 6], [6], [3, 4]])
def test_candidates_of_any_order_are_found(candidates: list[int]) -> None:
    expected = [[candidate in row for candidate in candidates] for row in KEPT]
    assert example().among(torch.tensor(candidates)).tolist() == expected


@pytest.mark.parametrize("budget", [1, 40, 5 * 13, 10**6])
@pytest.mark.parametrize("scale", [1.0, 400.0])
def test_the_full_softmax_is_over_what_is_left(budget: int, scale: float) -> None:
    """At any chunk size, and where a target's probability is lost on its way through exp."""
    items, lengths = histories([4, 1, 9, 6], items=13)
    packing, targets = Packing(lengths, 3), items.flip(0) % 12 + 1
    states, table = (vectors(20) * scale).requires_grad_(), vectors(13, seed=1).requires_grad_()
    left_out = Histories(items, *packing.histories(torch.arange(20)), targets)
    found = linear_cross_entropy(states, table, targets, budget=budget, histories=left_out)
    expected = F.cross_entropy(without(states @ table.T, seen(items, packing, targets)), targets)
    torch.testing.assert_close(found, expected, **CLOSE)
    for got, want in zip(
        torch.autograd.grad(found, (states, table)), torch.autograd.grad(expected, (states, table)), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("attention", list(ATTENTIONS))
@pytest.mark.parametrize("budget", [1, 28 * 3, 1 << 20])
def test_the_loss_of_a_network_compares_new_items_alone(attention: str, budget: int) -> None:
    part = network(budget=budget, history_negatives=False, attention=attention)
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    left_out = seen(items, packing, torch.zeros(len(items)))
    left_out = [left_out[last] - {int(target)} for last, target in zip(packing.last, targets, strict=True)]
    found = part.loss(items, packing, packing.last, targets)
    expected = F.cross_entropy(without(part.scores(items, packing), left_out), targets)
    torch.testing.assert_close(found, expected, **CLOSE)
    for got, want in zip(_gradients(found, part), _gradients(expected, part), strict=True):
        torch.testing.assert_close(got, want, **CLOSE)


def _gradients(loss: Tensor, part: torch.nn.Module) -> list[Tensor]:
    parameters = list(part.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [
        torch.zeros_like(weight) if gradient is None else gradient
        for weight, gradient in zip(parameters, found, strict=True)
    ]


@pytest.mark.parametrize("loss_type", ["sampled_softmax", "bce", "gbce"])
def test_drawn_negatives_of_the_history_count_nothing(loss_type: str) -> None:
    """A history of all items but the target leaves no negative: the loss is that of the target alone."""
    items, target = torch.arange(1, 12), torch.tensor([12])
    packing = Packing(torch.tensor([11]), 11)
    losses = []
    for compared in (False, True):
        part = network(history_negatives=compared, loss_type=loss_type, items=13, max_length=11)
        torch.manual_seed(0)
        with torch.no_grad():
            losses.append(float(part.loss(items, packing, packing.last, target)))
            score = part.scores(items, packing)[:, 12]
            alone = part.loss_function(score, torch.full((1, 4), -math.inf))
    assert losses[0] == pytest.approx(float(alone))
    assert losses[1] > losses[0]


@pytest.mark.parametrize(
    ("wanted", "exclude", "targets", "expected"),
    [
        ("auto", True, 200, False),
        ("auto", True, 199, True),
        ("auto", False, 200, True),
        (True, True, 200, True),
        (False, False, 1, False),
    ],
)
def test_by_itself_the_loss_follows_the_ranking_of_dense_data(
    wanted: object, exclude: bool, targets: int, expected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten users and a thousand items, padding beside: 200 targets are 20 a user, 0.02 of the items."""
    data = SimpleNamespace(inter_num=targets, user_num=11, item_num=1001)
    with caplog.at_level("INFO"):
        assert history_negatives({"history_negatives": wanted, "exclude_history": exclude}, data) is expected
    assert (f"auto is {expected} (a history takes {targets / 10_000:.2g} of the items" in caplog.text) == (
        wanted == "auto"
    )
