"""The parts together: training all positions at once is the same mathematics as one prefix at a time."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from recbole_attnseq.nn.attention import ATTENTIONS
from recbole_attnseq.nn.losses import LOSSES
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.similarity import SIMILARITIES
from recbole_attnseq.nn.user_encoders import USER_ENCODERS
from tests.building import WINDOW, Largest, histories, network

CAUSAL = [name for name in USER_ENCODERS if USER_ENCODERS[name].causal]
CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # the loss may add up in float32


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
@pytest.mark.parametrize(("encoder", "attention"), list(itertools.product(CAUSAL, ATTENTIONS)))
def test_one_pass_over_a_history_equals_every_prefix_by_itself(encoder: str, attention: str, similarity: str) -> None:
    part = network(user_encoder=encoder, attention=attention, similarity=similarity, max_length=9)
    items, lengths = histories([4, 1, 9, 6])
    targets = items.flip(0)
    found = part.loss(items, Packing(lengths, 9), torch.arange(len(items)), targets)
    plain = []
    for start, end in zip((0, 4, 5, 14), (4, 5, 14, 20), strict=True):
        for token in range(start, end):
            prefix = items[start : token + 1]
            scores = part.scores(prefix, Packing(torch.tensor([len(prefix)]), 9))
            plain.append(F.cross_entropy(scores[:, 1:], targets[token : token + 1] - 1))
    torch.testing.assert_close(found, torch.stack(plain).mean(), **CLOSE)
    wanted = list(part.parameters())
    for got, want in zip(
        torch.autograd.grad(found, wanted),
        torch.autograd.grad(torch.stack(plain).mean(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(got, want, **CLOSE)


@pytest.mark.parametrize("encoder", list(USER_ENCODERS))
@pytest.mark.parametrize("attention", list(ATTENTIONS))
def test_the_loss_of_prefixes_is_the_cross_entropy_of_their_scores(encoder: str, attention: str) -> None:
    part = network(user_encoder=encoder, attention=attention)
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    with torch.no_grad():
        found = part.loss(items, packing, packing.last, targets)
        expected = F.cross_entropy(part.scores(items, packing)[:, 1:], targets - 1)
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("loss_type", list(LOSSES))
@pytest.mark.parametrize("attention", list(ATTENTIONS))
@pytest.mark.parametrize("budget", [1, 1 << 20])
def test_ends_of_sequences_are_trained_as_any_other_queries(attention: str, loss_type: str, budget: int) -> None:
    """A batch of prefixes is scored at its ends alone; one query more, and every step is."""
    part = network(budget, user_encoder="gru", attention=attention, loss_type=loss_type, history_negatives=False)
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), torch.tensor([3, 1, 11, 5, 5])
    losses = []
    for queries, wanted in (
        (packing.last, targets),
        (torch.cat([packing.last.new_tensor([3]), packing.last]).sort().values, torch.tensor([3, 7, 1, 11, 5, 5])),
        (torch.tensor([3]), torch.tensor([7])),
    ):
        torch.manual_seed(1)  # of the negatives
        losses.append(part.loss(items, packing, queries, wanted))
    ends, all_six, third = losses
    torch.testing.assert_close(ends, (6 * all_six - third) / 5, **CLOSE)
    wanted_gradients = list(part.parameters())
    got = torch.autograd.grad(ends, wanted_gradients, allow_unused=True)
    plain = torch.autograd.grad((6 * all_six - third) / 5, wanted_gradients, allow_unused=True)
    for mine, expected in zip(got, plain, strict=True):
        assert (mine is None) == (expected is None)
        if mine is not None:
            torch.testing.assert_close(mine, expected, **CLOSE)


@pytest.mark.parametrize("attention", list(ATTENTIONS))
def test_the_last_window_of_a_long_history_is_all_that_one_banded_layer_scores(attention: str) -> None:
    """With attention a state W-1 steps back has itself looked W-1 further, but nobody sees beyond that."""
    part = network(user_encoder="transformer", attention=attention)
    reach = WINDOW if attention == "last" else 2 * WINDOW - 1
    items, _ = histories([20])
    with torch.no_grad():
        whole = part.scores(items, Packing(torch.tensor([20]), WINDOW))
        other = torch.cat([items[: 20 - reach].flip(0) % 11 + 1, items[20 - reach :]])
        torch.testing.assert_close(part.scores(other, Packing(torch.tensor([20]), WINDOW)), whole, **CLOSE)
        other[20 - reach] = other[20 - reach] % 11 + 1
        assert not torch.allclose(part.scores(other, Packing(torch.tensor([20]), WINDOW)), whole)


@pytest.mark.parametrize("attention", list(ATTENTIONS))
@pytest.mark.parametrize("budget", [1, 100, 28 * 3])
def test_the_budget_changes_neither_loss_nor_gradient(attention: str, budget: int) -> None:
    items, lengths = histories()
    packing, targets = Packing(lengths, WINDOW), items.flip(0)
    results = []
    for one in (1 << 20, budget):
        part = network(budget=one, attention=attention)
        loss = part.loss(items, packing, torch.arange(len(items)), targets)
        results.append([loss, *torch.autograd.grad(loss, list(part.parameters()))])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("attention", list(ATTENTIONS))
@pytest.mark.parametrize("loss_type", ["softmax", "bce", "sampled_softmax", "gbce"])
def test_only_queries_are_paid_for(attention: str, loss_type: str) -> None:
    """A token that is no query has no target: what would stand there changes nothing."""
    part = network(attention=attention, loss_type=loss_type)
    items, lengths = histories()
    packing = Packing(lengths, WINDOW)
    every = torch.arange(len(items))
    some = every[::3]
    with torch.no_grad():
        torch.manual_seed(1)
        found = part.loss(items, packing, some, items.flip(0)[some])
        singles = []
        for query in some:
            torch.manual_seed(1)
            singles.append(part.loss(items, packing, query[None], items.flip(0)[query][None]))
    torch.testing.assert_close(found, torch.stack(singles).mean(), **CLOSE)


def test_candidates_can_be_a_few_items() -> None:
    part = network()
    items, lengths = histories()
    packing, wanted = Packing(lengths, WINDOW), torch.tensor([4, 9, 4])
    with torch.no_grad():
        some = part.scores(items, packing, part.vectors(wanted))
        torch.testing.assert_close(some, part.scores(items, packing)[:, wanted], **CLOSE)


def test_sampled_losses_draw_new_negatives_every_step() -> None:
    part = network(loss_type="bce", num_negatives=2)
    items, lengths = histories()
    packing = Packing(lengths, WINDOW)
    with torch.no_grad():
        losses = {float(part.loss(items, packing, packing.last, torch.tensor([1] * 5))) for _ in range(8)}
    assert len(losses) > 1


@pytest.mark.parametrize("dense", [False, True], ids=["", "dense"])
@pytest.mark.parametrize("loss_type", ["softmax", "sampled_softmax"])
@pytest.mark.parametrize("attention", list(ATTENTIONS))
@pytest.mark.parametrize("encoder", list(USER_ENCODERS))
def test_autocast_gives_nearly_the_same_step(encoder: str, attention: str, loss_type: str, dense: bool) -> None:
    """Layers that autocast narrows meet others that it does not; their numbers must still go together."""
    part = network(
        dtype=torch.float32, user_encoder=encoder, attention=attention, loss_type=loss_type, item_dense=dense
    )
    items, lengths = histories()
    packing = Packing(lengths, WINDOW)
    results = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = part.loss(items, packing, packing.last, torch.tensor([3, 1, 11, 5, 5]))
        gradients = torch.autograd.grad(loss, list(part.parameters()))
        results.append((float(loss.detach()), torch.cat([x.flatten() for x in gradients])))
    (plain, expected), (narrow, found) = results
    assert narrow == pytest.approx(plain, rel=0.02)
    assert float((found - expected).norm() / expected.norm()) < 0.15


@pytest.mark.parametrize("attention", list(ATTENTIONS))
def test_training_holds_no_matrix_of_tokens_and_items(attention: str) -> None:
    tokens, budget = 320, 32_000
    part = network(budget=budget, dtype=torch.float32, items=1500, attention=attention)
    items, lengths = histories([32] * 10, items=1500)
    packing = Packing(lengths, WINDOW)
    with Largest() as largest:
        part.loss(items, packing, torch.arange(tokens), items.flip(0)).backward()
    # Blocks see the ones before them, so a temporary may hold each token twice; all scores would be 480,000.
    assert largest.elements <= 2.5 * budget


@pytest.mark.parametrize("length", [1, 40])
@pytest.mark.parametrize("attention", list(ATTENTIONS))
def test_nor_do_training_and_scoring_at_the_ends(attention: str, length: int) -> None:
    """Histories shorter than the states are wide included: it is the states that are mixed there."""
    budget = 32_000
    part = network(budget=budget, dtype=torch.float32, items=1500, attention=attention, user_encoder="gru")
    items, lengths = histories([length] * 100, items=1500)
    packing = Packing(lengths, length)
    for task in (
        lambda: part.loss(items, packing, packing.last, items[packing.last].flip(0)).backward(),
        lambda: part.scores(items, packing),
    ):
        with Largest() as largest:
            task()
        # Scores (B, N) are what is asked for, 150,000; mixed states or logits of all items would be 1,200,000 and more.
        assert largest.elements <= 150_000
