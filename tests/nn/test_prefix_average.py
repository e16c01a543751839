"""The blocked running sums against a softmax written out query by query, in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.prefix_average import window_average, window_average_direct
from tests.building import window_of


def direct(logits: Tensor, values: Tensor, packing: Packing) -> Tensor:
    """Softmax-weighted mean over each token's window, one token at a time, in float64."""
    rows = []
    for token in range(packing.tokens):
        first, end = window_of(token, packing)
        weights = torch.softmax(logits[first:end].double(), dim=0)
        rows.append((weights * values[first:end].double()).sum(0))
    return torch.stack(rows)


def drawn(tokens: int, columns: int, size: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.rand(tokens, columns, generator=generator) * 2 - 1) * size
    return logits, torch.randn(tokens, columns, generator=generator)


@pytest.mark.parametrize("size", [1.0, 8.0, 29.0, 1e2, 1e4])
@pytest.mark.parametrize("window", [50, 1000])
def test_it_equals_the_direct_softmax_at_length_1000(size: float, window: int) -> None:
    logits, values = drawn(1000, 3, size)
    packing = Packing(torch.tensor([1000]), window)
    found = window_average(logits, values, packing)
    torch.testing.assert_close(found.double(), direct(logits, values, packing), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [1.0, 8.0, 29.0, 1e2, 1e4])
def test_its_gradients_equal_autograd_of_the_direct_softmax(size: float) -> None:
    logits, values = (x.requires_grad_() for x in drawn(300, 3, size))
    packing = Packing(torch.tensor([180, 1, 119]), 60)
    received = torch.randn(300, 3, generator=torch.Generator().manual_seed(5))
    found = torch.autograd.grad(window_average(logits, values, packing), (logits, values), received)
    expected = torch.autograd.grad(direct(logits, values, packing), (logits, values), received.double())
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


def test_autocast_rounds_no_sum() -> None:
    logits, values = (x.requires_grad_() for x in drawn(300, 3, 8.0))
    packing = Packing(torch.tensor([180, 1, 119]), 60)
    expected = window_average(logits, values, packing)
    wanted = torch.autograd.grad(expected.sum(), (logits, values))
    with torch.autocast("cpu", torch.bfloat16):
        found = window_average(logits, values, packing)
    assert found.dtype == torch.float32
    assert found.equal(expected)
    for got, want in zip(torch.autograd.grad(found.sum(), (logits, values)), wanted, strict=True):
        assert got.equal(want)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("size", [1.0, 1e2])
def test_neighbouring_columns_may_share_their_weights(size: float, groups: int) -> None:
    logits, values = (x.requires_grad_() for x in drawn(120, 6, size))
    logits = logits[:, :groups].detach().requires_grad_()
    packing = Packing(torch.tensor([80, 1, 39]), 20)
    received = torch.randn(120, 6, generator=torch.Generator().manual_seed(5))
    wide = logits.repeat_interleave(6 // groups, dim=1)
    found, wanted = (window_average(x, values, packing) for x in (logits, wide))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    for got, want in zip(
        torch.autograd.grad(found, (logits, values), received),
        torch.autograd.grad(wanted, (logits, values), received),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_columns_that_cannot_be_shared_out_are_refused() -> None:
    logits, values = drawn(10, 7, 1.0)
    with pytest.raises(ValueError, match="2 columns of logits cannot be shared by 7"):
        window_average(logits[:, :2], values, Packing(torch.tensor([10]), 1))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("window", [1, 3, 40])
def test_gradcheck(window: int, groups: int) -> None:
    logits, values = (x.double().requires_grad_() for x in drawn(45, 4, 2.0))
    logits = logits[:, :groups].detach().requires_grad_()
    packing = Packing(torch.tensor([38, 1, 6]), window)
    assert torch.autograd.gradcheck(lambda a, v: window_average(a, v, packing), (logits, values))


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    window=st.integers(1, 50),
    heights=st.lists(st.floats(-200, 200), min_size=4, max_size=4),
    seed=st.integers(0, 5),
)
def test_sequences_at_different_heights_do_not_drown_each_other(
    lengths: list[int], window: int, heights: list[float], seed: int
) -> None:
    """One common maximum serves the whole stream: the low sequences must not underflow."""
    packing = Packing(torch.tensor(lengths), window)
    logits, values = drawn(packing.tokens, 2, 3.0, seed)
    logits = logits + torch.tensor(heights)[packing.sequence][:, None]
    found = window_average(logits, values, packing)
    torch.testing.assert_close(found.double(), direct(logits, values, packing), rtol=0, atol=1e-4)


def test_a_single_column_far_above_the_others_is_no_harm() -> None:
    logits, values = drawn(100, 4, 1.0)
    logits[:, 2] += 59.0
    logits[40, 1] += 5e3
    packing = Packing(torch.tensor([70, 30]), 20)
    found = window_average(logits, values, packing)
    torch.testing.assert_close(found.double(), direct(logits, values, packing), rtol=0, atol=1e-4)


def test_adding_a_constant_to_the_logits_changes_nothing() -> None:
    logits, values = (x.double() for x in drawn(60, 3, 2.0))
    packing = Packing(torch.tensor([25, 35]), 9)
    shifted = window_average(logits + 123.0, values, packing)
    torch.testing.assert_close(shifted, window_average(logits, values, packing), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("budget", [1, 10**4, 10**8])
def test_the_plain_route_is_the_same_at_any_budget(budget: int) -> None:
    logits, values = drawn(90, 5, 4.0)
    packing = Packing(torch.tensor([50, 40]), 12)
    found = window_average_direct(logits, values, packing, budget)
    torch.testing.assert_close(found.double(), direct(logits, values, packing), rtol=0, atol=1e-5)
