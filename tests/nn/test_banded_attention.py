"""Both routes of banded attention against softmax attention written out for one token at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recbole_attnseq.nn import banded_attention as module
from recbole_attnseq.nn.banded_attention import banded_attention
from recbole_attnseq.nn.dropout import Dropout
from recbole_attnseq.nn.packing import Packing
from tests.building import Largest, window_of

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def drawn(tokens: int, heads: int, window: int, seed: int = 0) -> list[Tensor]:
    """Queries, keys, values and biases."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(tokens, heads, 4)] * 3 + [(heads, window)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def plain(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, packing: Packing) -> Tensor:
    rows = []
    for token in range(packing.tokens):
        first, end = window_of(token, packing)
        back = torch.arange(end - first - 1, -1, -1)
        logits = torch.einsum("hd,khd->hk", query[token], key[first:end]) + bias[:, back]
        rows.append(torch.einsum("hk,khd->hd", torch.softmax(logits, dim=1), value[first:end]))
    return torch.stack(rows)


def compare(lengths: list[int], window: int, heads: int) -> None:
    """Values and all gradients."""
    packing = Packing(torch.tensor(lengths), window)
    inputs = drawn(packing.tokens, heads, window)
    found, expected = banded_attention(*inputs, packing), plain(*inputs, packing)
    torch.testing.assert_close(found, expected, **CLOSE)
    weights = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    gradients = (torch.autograd.grad((result * weights).sum(), inputs) for result in (found, expected))
    for got, want in zip(*gradients, strict=True):
        torch.testing.assert_close(got, want, **CLOSE)


@pytest.mark.parametrize("long", [1, 10**9], ids=["by blocks", "dense"])
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(1, 40),
    st.integers(1, 2),
    st.sampled_from([1, 4, 8]),
)
def test_it_equals_the_formula(long: int, lengths: list[int], window: int, heads: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONG_WINDOW", long)
        patch.setattr(module, "QUERY_BLOCK", block)
        compare(lengths, window, heads)


@pytest.mark.parametrize(("lengths", "window"), [([300, 5, 170], 200), ([400], 160), ([3, 250, 3], 1000)])
def test_long_windows_at_the_sizes_they_ship_with(lengths: list[int], window: int) -> None:
    assert min(window, max(lengths)) >= module.LONG_WINDOW
    compare(lengths, window, heads=2)


def test_no_block_meets_keys_that_none_of_its_queries_sees() -> None:
    """Short histories packed under a long window, and the upper half of a long one, cost nothing."""
    packing = Packing(torch.tensor([2000] + [10] * 400), 1000)
    inputs = drawn(packing.tokens, 1, 1000)
    with Largest() as largest:
        banded_attention(*inputs, packing).sum().backward()
    # A dense (C, 2C) route would hold 6 blocks of 1000 x 2000.
    assert largest.elements <= max(module.QUERY_BLOCK * (1000 + 3 * module.QUERY_BLOCK), packing.tokens * 4)
    keys = sum(stop - low for low, _, stop, _ in module._plan(packing)) * module.QUERY_BLOCK
    seen = int((torch.arange(packing.tokens) - packing.first + 1).sum())
    assert keys <= seen + 2 * module.QUERY_BLOCK * packing.tokens


def test_dropout_of_weights_acts_at_any_window() -> None:
    packing = Packing(torch.tensor([200]), 200)
    inputs = drawn(200, 1, 200)
    dropout = Dropout(0.5)
    torch.manual_seed(0)
    assert not torch.allclose(banded_attention(*inputs, packing, dropout), plain(*inputs, packing))
    torch.testing.assert_close(banded_attention(*inputs, packing, dropout.eval()), plain(*inputs, packing), **CLOSE)


def test_without_gradients_no_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    original = torch.autograd.function.FunctionCtx.save_for_backward
    monkeypatch.setattr(
        torch.autograd.function.FunctionCtx,
        "save_for_backward",
        lambda self, *tensors: (saved.append(len(tensors)), original(self, *tensors))[1],
    )
    packing = Packing(torch.tensor([500]), 500)
    inputs: list[Any] = [x.detach() for x in drawn(500, 1, 500)]
    inputs[3].requires_grad_()  # a parameter asks for gradients even where nothing else does
    with torch.no_grad():
        banded_attention(*inputs, packing)
    assert saved == [4]
