"""Recent popularity counts what came strictly before a request, and joins every score and every loss alike."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_attnseq.nn.cross_entropy import linear_cross_entropy
from recbole_attnseq.nn.ensemble import Ensemble
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.trends import Events, Requests, Trends
from tests.building import WINDOW, Largest, histories, network, settings, stir, vectors

ITEMS = 12
CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # counts and their logarithms are float32
NOW = 1_500_000_000.0  # seconds of a clock, which float32 tells apart by two minutes
SPANS = (2.0, 10.0, 1e9)


def happened(count: int = 60) -> tuple[Tensor, Tensor]:
    """Times with ties, in no order, and items of which some never occur."""
    generator = torch.Generator().manual_seed(0)
    times = NOW + torch.randint(0, 30, (count,), generator=generator).double()
    return times, torch.randint(1, ITEMS - 2, (count,), generator=generator)


def trends(budget: int = 1 << 20, seed: int = 1) -> Trends:
    built = Trends(Events(*happened(), count=ITEMS, budget=budget), SPANS)
    stir(built, seed)
    return built


def at(*times: float, idle: float = 1.0) -> Tensor:
    """Requests at these times after NOW, by who took something ``idle`` before, more for each further one."""
    asked = NOW + torch.tensor(times, dtype=torch.float64)
    return torch.stack([asked, asked - idle * (1 + torch.arange(len(times)))], dim=1)


def taken(moment: float, span: float, item: int) -> int:
    """By counting."""
    times, items = happened()
    return int(((times < moment) & (times >= moment - span) & (items == item)).sum())


@pytest.mark.parametrize("budget", [1, 3 * ITEMS, 17 * ITEMS, 1 << 20])
def test_counts_are_those_of_counting(budget: int) -> None:
    built = trends(budget)
    moments = at(-5.0, 0, 1, 7, 7.5, 29, 30, 1000)
    expected = torch.tensor(
        [[[taken(float(t), span, item) for item in range(ITEMS)] for t in moments[:, 0]] for span in SPANS]
    )
    assert expected[0].sum() > 0
    assert expected[2, -1].sum() == 60
    everything = torch.stack(list(built.features(moments)))
    torch.testing.assert_close(everything, expected.float().log1p())
    some = torch.tensor([3, 1, 11, 3, 5])
    torch.testing.assert_close(torch.stack(list(built.features(moments, some))), everything[:, :, some])
    own = torch.tensor([3, 1, 11, 3, 5, 0, 9, 2])
    pairs = built.paired_features(moments, own)
    torch.testing.assert_close(pairs, everything[:, torch.arange(8), own].T)


def test_strengths_are_chosen_by_absence() -> None:
    built = trends()
    asked = torch.full((7,), NOW + 25, dtype=torch.float64)
    idle = torch.tensor([0.0, 1.9, 2, 9, 10, 1e8, 2e9], dtype=torch.float64)
    moments = torch.stack([asked, asked - idle], dim=1)
    assert built.absence(moments).tolist() == [0, 0, 1, 1, 2, 2, 3]
    features = torch.stack(list(built.features(moments)), dim=1)
    expected = torch.stack([built.strengths[k] @ features[row] for row, k in enumerate([0, 0, 1, 1, 2, 2, 3])])
    torch.testing.assert_close(built.scores(moments), expected)
    torch.testing.assert_close(built.paired(moments, torch.arange(7)), expected[torch.arange(7), torch.arange(7)])
    assert not torch.allclose(expected[0], expected[2])


def test_no_more_counts_are_kept_than_the_budget_holds() -> None:
    for budget in (1, 100, 300, 10_000):
        events = Events(*happened(), count=ITEMS, budget=budget)
        kept = events._table().numel()
        assert kept <= max(budget, ITEMS)
        assert kept > min(budget, 60 * ITEMS) / 4 or budget < 2 * ITEMS, "nor far fewer"


def test_times_stay_exact_whatever_the_network_is_converted_to() -> None:
    built = trends().half().float()
    assert built.events.times.dtype == torch.float64
    assert torch.equal(built.events.times, happened()[0].sort().values)


def test_a_checkpoint_has_strengths_and_no_events() -> None:
    built = trends()
    assert set(built.state_dict()) == {"weights"}


@pytest.mark.parametrize("autocast", [False, True])
def test_low_precision_rounds_logits_once_and_counts_never(autocast: bool) -> None:
    """The logits' own products are zero here, so that all that is rounded is the term of recent popularity."""
    count = 30
    targets = torch.randint(1, ITEMS, (count,), generator=torch.Generator().manual_seed(0))
    states, table = torch.zeros(count, 8), torch.zeros(ITEMS, 8)
    built, moments = trends(), at(*range(count))
    with torch.no_grad():
        built.weights.mul_(3)
    low = torch.bfloat16
    with torch.autocast("cpu", low, enabled=autocast):
        found = linear_cross_entropy(
            states, table, targets, budget=10**6, low_precision=low, requests=Requests(built, moments)
        )
    logits = built.scores(moments)
    assert logits.abs().max() > 16
    seen = logits.detach().to(low).float()[:, 1:]
    assert found.item() == pytest.approx(F.cross_entropy(seen, targets - 1).item(), rel=5e-3)
    (gradient,) = torch.autograd.grad(found, built.weights)
    features = torch.stack(list(built.features(moments)), dim=2)
    surplus = torch.softmax(seen, dim=1).to(low).float() - F.one_hot(targets - 1, ITEMS - 1)
    each = torch.einsum("cn,cnj->cj", surplus, features[:, 1:]) * 10 / count
    expected = torch.zeros_like(built.weights).index_add_(0, built.absence(moments), each)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("budget", [1, 5 * ITEMS * 4, 1 << 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_over_all_items_and_its_gradients_equal_torchs(budget: int, dtype: torch.dtype) -> None:
    count = 23
    states, table = vectors(count, dtype=dtype).requires_grad_(), vectors(ITEMS, seed=1, dtype=dtype).requires_grad_()
    targets = torch.randint(1, ITEMS, (count,), generator=torch.Generator().manual_seed(0))
    built = trends().to(dtype)
    moments = at(*range(count))
    found = linear_cross_entropy(states, table, targets, budget=budget, requests=Requests(built, moments))
    expected = F.cross_entropy((states @ table.T + built.scores(moments))[:, 1:], targets - 1)
    torch.testing.assert_close(found, expected, **CLOSE)
    learned = (states, table, built.weights)
    for got, want in zip(
        torch.autograd.grad(found * 3, learned), torch.autograd.grad(expected * 3, learned), strict=True
    ):
        assert want.abs().max() > 0
        torch.testing.assert_close(got, want, **CLOSE)


def test_a_target_far_below_keeps_its_loss() -> None:
    built = trends()
    with torch.no_grad():
        built.weights.fill_(30)
    states, table = torch.zeros(3, 4), torch.zeros(ITEMS, 4)
    moments = at(30, 30, 30)
    targets = torch.tensor([10, 11, 1])  # the first two were never taken
    found = linear_cross_entropy(states, table, targets, budget=100, requests=Requests(built, moments))
    expected = F.cross_entropy(built.scores(moments)[:, 1:], targets - 1)
    assert expected > 500
    torch.testing.assert_close(found, expected)


def with_trends(seed: int = 0, budget: int = 1 << 20, **changes: object) -> Network:
    torch.manual_seed(seed)
    built = Network(settings(**changes), budget=budget, trends=trends(seed=seed + 5)).double()
    stir(built, seed)
    return built.eval()


SETTINGS = [
    {"attention": "last"},
    {"attention": "dot"},
    {"attention": "last", "loss_type": "bce"},
    {"attention": "multihead", "loss_type": "sampled_softmax"},
]


def test_a_ranking_of_many_requests_goes_by_parts() -> None:
    built, moments = trends(), at(*range(40))
    whole = built.scores(moments)
    for budget in (1, 5 * ITEMS, 1 << 20):
        small = trends(budget)
        with torch.no_grad(), Largest() as largest:
            torch.testing.assert_close(small.scores(moments), whole)
        assert largest.elements <= max(2 * budget, 40 * ITEMS, 61 * 2)
    assert whole.requires_grad


@pytest.mark.parametrize("changes", SETTINGS)
def test_scores_pairs_and_losses_agree(changes: dict[str, object]) -> None:
    part = with_trends(**changes)
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    moments = at(3.0, 9, 12, 12, 31, idle=2.0)
    scores = part.scores(items, packing, moments=moments)
    taste = part.taste(items, packing)
    torch.testing.assert_close(scores - taste, part.recent(moments).double(), **CLOSE)
    assert (scores - taste).abs().max() > 0.1
    pairs = part.pair_scores(items, packing, targets, moments)
    torch.testing.assert_close(pairs, scores[torch.arange(5), targets], **CLOSE)
    if part.loss_function.sampled:
        return
    expected = F.cross_entropy(scores[:, 1:], targets - 1)
    for budget in (1 << 20, 40):
        part.budget = budget
        torch.testing.assert_close(part.loss(items, packing, packing.last, targets, moments), expected, **CLOSE)


@pytest.mark.parametrize("attention", ["last", "dot"])
def test_a_sampled_loss_sees_the_same_scores(attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part = with_trends(attention=attention, loss_type="sampled_softmax", num_negatives=4)
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    moments = at(3.0, 9, 12, 12, 31, idle=2.0)
    drawn = torch.tensor([2, 7, 2, 9])
    monkeypatch.setattr(torch, "randint", lambda *args, **kwargs: drawn)
    scores = part.scores(items, packing, moments=moments)
    expected = part.loss_function(scores[torch.arange(5), targets], scores[:, drawn])
    torch.testing.assert_close(part.loss(items, packing, packing.last, targets, moments), expected, **CLOSE)


@pytest.mark.parametrize("attention", ["last", "dot"])
def test_an_ensemble_scores_by_the_mean_of_its_members(attention: str) -> None:
    seeds = iter(range(3))
    together = Ensemble(3, lambda: with_trends(seed=next(seeds), attention=attention)).eval()
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    moments = at(3.0, 9, 12, 12, 31, idle=2.0)
    each = torch.stack([member.scores(items, packing, moments=moments) for member in together.networks])
    scores = together.scores(items, packing, moments=moments)
    torch.testing.assert_close(scores, each.mean(0), **CLOSE)
    pairs = together.pair_scores(items, packing, targets, moments)
    torch.testing.assert_close(pairs, scores[torch.arange(5), targets], **CLOSE)
    losses = [member.loss(items, packing, packing.last, targets, moments) for member in together.networks]
    torch.testing.assert_close(
        together.loss(items, packing, packing.last, targets, moments), torch.stack(losses).mean(), **CLOSE
    )


def test_moments_are_asked_for_where_they_matter_and_only_there() -> None:
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    for part in (with_trends(), Ensemble(2, with_trends)):
        for ask in (
            lambda part=part: part.loss(items, packing, packing.last, targets),
            lambda part=part: part.scores(items, packing),
            lambda part=part: part.pair_scores(items, packing, targets),
        ):
            with pytest.raises(ValueError, match="moments"):
                ask()
    with pytest.raises(ValueError, match="trends"):
        Ensemble(2, network).scores(items, packing, moments=at(*range(5)))
    with pytest.raises(ValueError, match="trends"):
        network().recent(at(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_counts_the_same() -> None:
    built, moments = trends(100), at(*range(40))
    expected = built.scores(moments)
    torch.testing.assert_close(built.cuda().scores(moments.cuda()).cpu(), expected)
