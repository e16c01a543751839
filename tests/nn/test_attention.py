"""Every attention under its contract, each with its logits written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recbole_attnseq.nn.attention import ATTENTIONS
from recbole_attnseq.nn.packing import Packing
from tests.building import vectors
from tests.contracts import CLOSE, AttentionContract


class TestDot(AttentionContract):
    name = "dot"

    def head_logits(self, attention: Any, state: Tensor, candidate: Tensor) -> list[Tensor]:
        return [state @ attention.query[0] @ candidate * attention.scale]


class TestMultiHead(AttentionContract):
    name = "multihead"
    heads = 2

    def head_logits(self, attention: Any, state: Tensor, candidate: Tensor) -> list[Tensor]:
        return [
            u @ attention.query[head] @ v * attention.scale
            for head, (u, v) in enumerate(zip(state.chunk(2), candidate.chunk(2), strict=True))
        ]

    def test_one_head_is_the_dot_attention(self) -> None:
        one = self.attention(attention_heads=1)
        dot = TestDot().attention()
        dot.load_state_dict(one.state_dict())
        states, candidates, packing = vectors(9), vectors(3, seed=1), Packing(torch.tensor([4, 5]), 3)
        with torch.no_grad():
            assert torch.equal(one.shared(states, candidates, packing), dot.shared(states, candidates, packing))

    def test_ranking_by_parts_is_ranking_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        part, packing = self.attention(), Packing(torch.tensor([4, 5]), 3)
        states, candidates = vectors(9), vectors(7, seed=1)
        with torch.no_grad():
            whole = part.final(states, candidates, packing)
            monkeypatch.setattr("recbole_attnseq.nn.attention._CACHED_LOGITS", 25)
            torch.testing.assert_close(part.final(states, candidates, packing), whole, **CLOSE)


class TestAdditive(AttentionContract):
    name = "additive"

    def head_logits(self, attention: Any, state: Tensor, candidate: Tensor) -> list[Tensor]:
        inner = attention.state.weight @ state + attention.state.bias + attention.candidate.weight @ candidate
        return [torch.tanh(inner) @ attention.vector]


class TestLast(AttentionContract):
    name = "last"

    def plain_score(self, attention: Any, states: Tensor, candidate: Tensor) -> Tensor:
        return (states[-1] * candidate).sum()

    def test_it_has_nothing_to_learn(self) -> None:
        assert list(self.attention().parameters()) == []


@pytest.mark.parametrize("past", [torch.float32, torch.bfloat16])
def test_scores_of_two_widths_mix(past: torch.dtype) -> None:
    """Autocast on CUDA gives a softmax's averages in float32 beside products in bfloat16."""
    attention = ATTENTIONS["dot"](width=8, heads=1, hidden=8, scale=1.0, gate=True)
    mixed = attention.mix(torch.ones(3, 2, dtype=torch.bfloat16), torch.zeros(3, 2, dtype=past))
    assert mixed.dtype == torch.bfloat16
    assert mixed.shape == (3, 2)
