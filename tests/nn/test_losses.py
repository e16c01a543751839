"""Every loss under its contract, each with its formula."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from recbole_attnseq.nn.losses import LOSSES, Loss, Softmax
from recbole_attnseq.nn.packing import Packing
from tests.building import histories, network, vectors
from tests.contracts import LossContract


def log_sigmoid(score: float) -> float:
    return -math.log(1 + math.exp(-score))


class TestSoftmax(LossContract):
    name = "softmax"

    def plain(self, positive: float, negatives: list[float]) -> float:
        return -math.log(math.exp(positive) / (math.exp(positive) + sum(map(math.exp, negatives))))

    def test_it_wants_every_item(self) -> None:
        assert not self.loss().sampled


class TestSampledSoftmax(LossContract):
    name = "sampled_softmax"

    def plain(self, positive: float, negatives: list[float]) -> float:
        mass = self.items / self.negatives * sum(map(math.exp, negatives))  # what is left out has no mass
        return -math.log(math.exp(positive) / (math.exp(positive) + mass))

    def test_all_items_as_negatives_give_the_full_softmax(self) -> None:
        scores = vectors(6, 11) * 2
        target = torch.tensor([0, 3, 10, 2, 7, 7])
        others = scores.scatter(1, target[:, None], -math.inf)
        loss = LOSSES[self.name](items=11, negatives=11, calibration=0.0)
        found = loss(scores.gather(1, target[:, None])[:, 0], others)
        torch.testing.assert_close(found, F.cross_entropy(scores, target))

    def test_the_mean_over_draws_estimates_the_full_mass(self) -> None:
        scores = vectors(1, 400)[0]
        generator = torch.Generator().manual_seed(0)
        loss = LOSSES[self.name](items=400, negatives=200, calibration=0.0)
        zero = torch.zeros(3000)
        drawn = scores[torch.randint(400, (3000, 200), generator=generator)]
        masses = [math.exp(float(loss(zero[i : i + 1], drawn[i : i + 1]))) - 1 for i in range(3000)]
        assert sum(masses) / 3000 == pytest.approx(float(scores.exp().sum()), rel=0.01)


class TestBCE(LossContract):
    name = "bce"

    def plain(self, positive: float, negatives: list[float]) -> float:
        return -log_sigmoid(positive) - sum(map(log_sigmoid, (-x for x in negatives))) / self.negatives


class TestGBCE(LossContract):
    name = "gbce"

    def plain(self, positive: float, negatives: list[float]) -> float:
        # Petrov and Macdonald, RecSys 2023, equation 15: alpha is the sampling rate.
        alpha = self.negatives / (self.items - 1)
        beta = alpha * (self.calibration * (1 - 1 / alpha) + 1 / alpha)
        return -beta * log_sigmoid(positive) - sum(map(log_sigmoid, (-x for x in negatives)))

    def test_without_calibration_it_is_the_sum_of_binary_cross_entropies(self) -> None:
        positive, negative = self.scores()
        loss = LOSSES[self.name](items=self.items, negatives=self.negatives, calibration=0.0)
        expected = F.binary_cross_entropy_with_logits(positive, torch.ones_like(positive)) + (
            F.binary_cross_entropy_with_logits(negative, torch.zeros_like(negative)) * self.negatives
        )
        torch.testing.assert_close(loss(positive, negative), expected)

    def test_full_calibration_weighs_the_target_by_the_sampling_rate(self) -> None:
        positive = torch.tensor([0.5])
        loss = LOSSES[self.name](items=101, negatives=10, calibration=1.0)
        silent = torch.full((1, 10), -math.inf)
        assert float(loss(positive, silent)) == pytest.approx(-0.1 * log_sigmoid(0.5), rel=1e-6)


@pytest.mark.parametrize("loss_type", [name for name in LOSSES if LOSSES[name].sampled])
@pytest.mark.parametrize("attention", ["dot", "last"])
def test_an_accidental_hit_does_not_count(loss_type: str, attention: str) -> None:
    """With two items and one negative a draw is the other item or, by accident, the target: two values."""
    part = network(items=3, num_negatives=1, loss_type=loss_type, attention=attention)
    items, lengths = histories([4], items=3)
    packing = Packing(lengths, 5)
    with torch.no_grad():
        score = part.scores(items, packing)[0]
        expected = {
            round(float(part.loss_function(score[1:2], other)), 9)
            for other in (score[None, 2:3], torch.full((1, 1), -math.inf, dtype=torch.float64))
        }
        found = set()
        for seed in range(30):
            torch.manual_seed(seed)
            found.add(round(float(part.loss(items, packing, packing.last, torch.tensor([1]))), 9))
    assert len(expected) == 2
    assert found == expected


@pytest.mark.parametrize("attention", ["dot", "last"])
@pytest.mark.parametrize("history_negatives", [True, False])
def test_a_loss_of_ones_own_over_all_items_is_the_one_that_is_computed(attention: str, history_negatives: bool) -> None:
    part = network(attention=attention, loss_type="softmax")
    part.history_negatives = history_negatives
    items, lengths = histories()
    packing, targets = Packing(lengths, 5), torch.tensor([3, 1, 11, 5, 5])
    expected = part.loss(items, packing, packing.last, targets)

    class Twice(Loss):
        sampled = False

        def forward(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
            assert negative.shape == (5, 11)
            return 2 * Softmax.forward(self, positive, negative)  # type: ignore[arg-type]

    part.loss_function = Twice(items=11, negatives=4, calibration=0.0)
    torch.testing.assert_close(part.loss(items, packing, packing.last, targets), 2 * expected)


@pytest.mark.parametrize("windows", [True, False])
def test_sampled_candidates_meet_histories_as_many_at_a_time_as_memory_holds(
    windows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = network(attention="dot", loss_type="sampled_softmax", num_negatives=9)
    items, lengths = histories()
    packing = Packing(lengths, 5)
    queries = torch.arange(len(items)) if windows else packing.last
    targets = torch.arange(len(queries)) % 11 + 1
    seen: list[int] = []
    route = "shared" if windows else "final"
    original = getattr(part.attention, route)

    def watched(states: torch.Tensor, candidates: torch.Tensor, *rest: object) -> torch.Tensor:
        seen.append(len(candidates))
        return original(states, candidates, *rest)

    monkeypatch.setattr(part.attention, route, watched)
    found = []
    for room in (1000, 4):
        part.budget = room * (len(items) if windows else part._rows(packing))
        part.zero_grad()
        torch.manual_seed(3)
        loss = part.loss(items, packing, queries, targets)
        assert max(seen) == min(room, 9)
        seen.clear()
        loss.backward()
        found.append((loss.detach(), [p.grad for p in part.parameters() if p.grad is not None]))
        seen.clear()
    torch.testing.assert_close(found[1], found[0])
