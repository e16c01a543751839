"""The full softmax that never holds all logits, against PyTorch's own cross-entropy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_attnseq.nn.cross_entropy import linear_cross_entropy
from tests.building import Largest, vectors

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
# The sums may be taken in float32, whatever comes in.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def plain(states: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    """Padding is row 0: left out of the candidates altogether."""
    return F.cross_entropy(states @ items[1:].T, targets - 1)


def drawn(count: int, items: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    targets = torch.randint(1, items, (count,), generator=torch.Generator().manual_seed(0))
    states, table = vectors(count, dtype=dtype), vectors(items, seed=1, dtype=dtype)
    return states.requires_grad_(), table.requires_grad_(), targets


def compare(states: Tensor, items: Tensor, targets: Tensor, budget: int) -> None:
    """Value and both gradients, received with a weight of 3."""
    expected, found = (
        plain(states, items, targets),
        linear_cross_entropy(states, items, targets, budget=budget),
    )
    torch.testing.assert_close(found, expected, **CLOSE)
    for got, want in zip(
        torch.autograd.grad(found * 3, (states, items)),
        torch.autograd.grad(expected * 3, (states, items)),
        strict=True,
    ):
        torch.testing.assert_close(got, want, **CLOSE)


@pytest.mark.parametrize("budget", [1, 13, 40, 5 * 13, 10**6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_equals_torch_at_any_chunk_size(budget: int, dtype: torch.dtype) -> None:
    compare(*drawn(23, 13, dtype), budget)


def test_it_equals_torch_over_several_chunks_of_the_usual_size() -> None:
    compare(*drawn(300, 50, torch.float32), 64 * 50)


def test_padding_is_no_candidate_however_well_it_scores() -> None:
    states, items, targets = drawn(23, 13, torch.float32)
    loud = items.detach().clone()
    loud[0] = states.detach().mean(0) * 30
    compare(states, loud.requires_grad_(), targets, 100)
    (gradient,) = torch.autograd.grad(linear_cross_entropy(states, loud, targets, budget=100), loud)
    assert (gradient[0] == 0).all()


@pytest.mark.parametrize("shift", [0.0, 300.0, -300.0])
def test_it_survives_huge_logits(shift: float) -> None:
    """Far above zero, far below, and far apart; padding's own logit of zero must not count."""
    states, items, targets = (x.detach() for x in drawn(9, 13, torch.float32))
    states = states * 20
    items[0] = 0
    # One more coordinate, 1 in every state, moves all logits together.
    states = torch.cat([states, torch.ones(9, 1)], dim=1).requires_grad_()
    items = torch.cat([items, torch.full((13, 1), shift)], dim=1)
    items[0] = 0
    expected, found = plain(states, items, targets), linear_cross_entropy(states, items, targets, budget=50)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)
    for got, want in zip(torch.autograd.grad(found, states), torch.autograd.grad(expected, states), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-3)


def test_without_autograd_it_gives_the_same_value() -> None:
    states, items, targets = drawn(5, 7)
    with torch.no_grad():
        value = linear_cross_entropy(states, items, targets, budget=14)
    torch.testing.assert_close(value, plain(states, items, targets), **CLOSE)


def test_the_same_target_twice_counts_twice() -> None:
    states, items, _ = drawn(6, 7)
    compare(states, items, torch.tensor([2, 2, 2, 5, 5, 1]), 14)


def test_bfloat16_logits_are_close_enough_to_learn_from() -> None:
    states, items, targets = drawn(200, 400, torch.float32)
    unit = F.normalize(items.detach(), dim=1).requires_grad_()
    sharp = (F.normalize(states.detach(), dim=1) * 14.3).requires_grad_()
    found = linear_cross_entropy(sharp, unit, targets, budget=10**6, low_precision=torch.bfloat16)
    expected = plain(sharp, unit, targets)
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    for got, want in zip(
        torch.autograd.grad(found, (sharp, unit)), torch.autograd.grad(expected, (sharp, unit)), strict=True
    ):
        assert float((got - want).norm() / want.norm()) < 0.02


def test_sides_of_different_width_meet_in_the_wider() -> None:
    """Under autocast one side may come in bfloat16; the other's gradient must not be rounded for it."""
    states, items, targets = drawn(23, 13, torch.float32)
    narrow = states.detach().bfloat16().requires_grad_()
    loss = linear_cross_entropy(narrow, items, targets, budget=100)
    wide = narrow.detach().float()
    expected = plain(wide, items, targets)
    torch.testing.assert_close(loss, expected, **CLOSE)
    found = torch.autograd.grad(loss, items)[0]
    torch.testing.assert_close(found, torch.autograd.grad(expected, items)[0], **CLOSE)
    narrow = items.detach().bfloat16().requires_grad_()
    loss = linear_cross_entropy(states, narrow, targets, budget=100)
    expected = plain(states, narrow.detach().float(), targets)
    torch.testing.assert_close(loss, expected, **CLOSE)
    found = torch.autograd.grad(loss, states)[0]
    torch.testing.assert_close(found, torch.autograd.grad(expected, states)[0], **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("columns", [3, 17, 1683, 70_001])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_GPU])])
def test_pytorch_takes_a_softmax_in_place(device: str, columns: int, dtype: torch.dtype) -> None:
    """Logits are overwritten by their softmax: no release of PyTorch may read a row again after writing to it."""
    logits = torch.randn(67, columns, generator=torch.Generator().manual_seed(columns)).mul_(9).to(device, dtype)
    logits[:, 0] = float("-inf")
    expected = torch.softmax(logits, dim=1)
    torch.softmax(logits, dim=1, out=logits)
    assert torch.equal(logits, expected)


@pytest.mark.parametrize("budget", [1_000, 20_000])
def test_no_temporary_is_larger_than_the_budget(budget: int) -> None:
    states, items, targets = drawn(500, 800, torch.float32)
    with Largest() as largest:
        linear_cross_entropy(states, items, targets, budget=budget).backward()
    # States and items themselves are 6,400 elements; all logits would be 400,000.
    assert largest.elements <= max(budget, 800 * 8)
