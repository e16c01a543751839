"""An ensemble is the mean of its members, by every route to a score."""

from __future__ import annotations

import pytest
import torch

from recbole_attnseq.nn.ensemble import Ensemble
from recbole_attnseq.nn.packing import Packing
from tests.building import WINDOW, histories, network

SETTINGS = [
    {"attention": "last"},
    {"attention": "dot"},
    {"attention": "last", "loss_type": "sampled_softmax"},
    {"attention": "last", "similarity": "dot", "user_encoder": "bilstm"},
]


def ensemble(members: int = 3, **changes: object) -> Ensemble:
    seeds = iter(range(members))
    return Ensemble(members, lambda: network(seed=next(seeds), **changes)).eval()


@pytest.mark.parametrize("changes", SETTINGS)
@pytest.mark.parametrize("given", [False, True])
def test_scores_are_the_mean_of_the_members(changes: dict[str, object], given: bool) -> None:
    together = ensemble(**changes)
    items, lengths = histories()
    packing = Packing(lengths, WINDOW)
    candidates = torch.tensor([3, 1, 11, 5, 5])
    with torch.no_grad():
        each = [member.scores(items, packing) for member in together.networks]
        expected = sum(each) / 3
        found = together.scores(items, packing, together.vectors() if given else None)
        torch.testing.assert_close(found, expected)
        pairs = together.pair_scores(items, packing, candidates)
        torch.testing.assert_close(pairs, expected[torch.arange(5), candidates])
        some = together.vectors(candidates)
        torch.testing.assert_close(together.scores(items, packing, some), expected[:, candidates])
    assert not torch.allclose(each[0], each[1])


def test_one_product_of_states_and_vectors_scores_all_items() -> None:
    together = ensemble(attention="last")
    items, lengths = histories()
    packing = Packing(lengths, WINDOW)
    with torch.no_grad():
        states, vectors = together.last_states(items, packing), together.vectors()
        assert states.shape == (5, 3 * 8)
        assert vectors.shape == (12, 3 * 8)
        torch.testing.assert_close(states @ vectors.T, together.scores(items, packing))
        assert together.states(items, packing).shape == (len(items), 3 * 8)


@pytest.mark.parametrize("changes", SETTINGS)
def test_members_get_the_gradients_that_they_would_have_alone(changes: dict[str, object]) -> None:
    together = ensemble(**changes)
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    torch.manual_seed(5)
    loss = together.loss(items, packing, packing.last, targets)
    torch.manual_seed(5)  # the drawn negatives, in the members' order
    alone = [member.loss(items, packing, packing.last, targets) for member in together.networks]
    torch.testing.assert_close(loss, sum(alone) / 3)
    for member, own in zip(together.networks, alone, strict=True):
        weights = [weight for weight in member.parameters() if weight.requires_grad]
        wanted = torch.autograd.grad(own, weights, allow_unused=True, retain_graph=True)
        found = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)
        for got, want in zip(found, wanted, strict=True):
            assert (got is None) == (want is None)
            if got is not None and want is not None:
                torch.testing.assert_close(got, want)


def test_what_is_set_holds_for_every_member() -> None:
    together = ensemble(2)
    together.budget, together.low_precision = 77, torch.bfloat16
    assert (together.budget, together.low_precision) == (77, torch.bfloat16)
    for member in together.networks:
        assert (member.budget, member.low_precision) == (77, torch.bfloat16)
        assert member.settings == together.settings
    assert together.causal
    assert together.user_encoder is together.networks[0].user_encoder
    assert together.attention is together.networks[0].attention


def test_an_ensemble_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        Ensemble(0, network)
