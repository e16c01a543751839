"""Attention between a history and a candidate: how much each past state counts for this very candidate.

Given states u[s] and a candidate v, an attention has a logit a[s] for each state and scores

    R = sum over s of softmax(a)[s] * sim(u[s], v)

With several heads each has its own logits and its own share of the coordinates in sim; the shares add up.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.prefix_average import window_average
from recbole_attnseq.registry import Registry

ATTENTIONS: Registry[type[Attention]] = Registry("attention")

# Logits within +-40 need no largest one subtracted: exp(40) = 2e17 and its inverse are far inside float32.
_MODERATE = 40.0
# Logits of a head at a time where a CPU ranks: they are made, used and forgotten within a core's own cache.
_CACHED_LOGITS = 1 << 20


class Attention(nn.Module):
    """What every attention promises: the same score by four routes.

    ``shared`` scores all tokens against candidates that they share, ``paired`` each token against one candidate
    of its own; ``final`` and ``final_paired`` do so at the end of each sequence alone, which is far less work.
    ``weights`` explains ``final``.
    Vectors come in with the scale that the logits want: see ``scale``.

    Args:
        width: D.
        heads: H, divides D.
        hidden: width of the additive attention's inner layer; the others ignore it.
        scale: what multiplies the logits, 1/sqrt(D) for raw vectors, sqrt(D) for vectors of unit length.
        gate: mix the attention with the last state's own score by a learned gate that starts nearly shut.
    """

    uses_history: ClassVar[bool] = True

    def __init__(self, *, width: int, heads: int, hidden: int, scale: float, gate: bool) -> None:
        super().__init__()
        self.width = width
        self.heads = heads
        self.scale = scale
        # sigmoid(-3) = 0.05: the last state rules until the data opens the gate.
        self.gate = nn.Parameter(torch.tensor(-3.0)) if gate else None

    def logits(self, states: Tensor, candidates: Tensor) -> list[Tensor]:
        """Logits of states (..., S, D) for candidates (..., K, D): (..., S, K) for each head."""
        raise NotImplementedError

    def similarities(self, states: Tensor, candidates: Tensor) -> list[Tensor]:
        """Dot products (..., S, K) of states and candidates, each head's share of the coordinates by itself."""
        share = self.width // self.heads
        return [
            torch.matmul(u, v.transpose(-1, -2))
            for u, v in zip(states.split(share, dim=-1), candidates.split(share, dim=-1), strict=True)
        ]

    def shared(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        """Score candidates (K, D) after each of the states (T, D): (T, K)."""
        now = states @ candidates.T
        past = torch.zeros_like(now)
        logits, values = self.logits(states, candidates), self.similarities(states, candidates)
        for logit, value in zip(logits, values, strict=True):
            past = past + window_average(logit, value, packing)
        return self.mix(now, past)

    def paired(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        """Score after each of the states (T, D) its own candidate of (T, D): (T,)."""
        now = (states * candidates).sum(-1)
        keys, queries = packing.keys(states), packing.queries(candidates)  # (T/C, 2C, D), (T/C, C, D)
        hidden = ~packing.mask
        past = torch.zeros_like(now)
        logits, values = self.logits(keys, queries), self.similarities(keys, queries)
        for logit, value in zip(logits, values, strict=True):
            weights = torch.softmax(logit.transpose(1, 2).masked_fill(hidden, float("-inf")), dim=-1)
            past = past + packing.tokens_of((weights * value.transpose(1, 2)).sum(-1))
        return self.mix(now, past)

    def final(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        """Score candidates (K, D) after the last state of each sequence: (B, K)."""
        return self.mix(states[packing.last] @ candidates.T, self._at_the_end(states, candidates, packing))

    def final_paired(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        """Score after the last state of each sequence its own candidate of (B, D): (B,)."""
        past = self._at_the_end(states, candidates[:, None], packing)
        return self.mix((states[packing.last] * candidates).sum(-1), past.squeeze(-1))

    def _at_the_end(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        """The attention's score of candidates (K, D), or (B, K, D), at the end of each sequence: (B, K)."""
        spread, hidden = packing.pad(states), self._outside(packing)
        past: Tensor | None = None
        logits, values = self.logits(spread, candidates), self.similarities(spread, candidates)
        for logit, value in zip(logits, values, strict=True):
            weights = torch.softmax(logit.masked_fill(hidden, float("-inf")), dim=1)
            part = (weights * value).sum(1)
            past = part if past is None else past + part
        assert past is not None
        return past

    @torch.no_grad()
    def weights(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        """How much each step counts for each candidate (K, D) at the end of each sequence: (B, L, K), sums to 1."""
        spread, hidden = packing.pad(states), self._outside(packing)
        logits = self.logits(spread, candidates)
        share = torch.stack([torch.softmax(x.masked_fill(hidden, float("-inf")), dim=1) for x in logits]).mean(0)
        column = torch.arange(packing.longest, device=states.device)
        last = (column == packing.lengths[:, None] - 1)[..., None].to(share)
        return self.mix(last.expand_as(share), share)

    def mix(self, now: Tensor, past: Tensor) -> Tensor:
        """The gated sum of the last state's score and the attention's."""
        if self.gate is None:
            return past
        # Autocast gives averages wide or narrow, by the route that they took.
        return torch.lerp(now, past.to(now), torch.sigmoid(self.gate).to(now))

    @staticmethod
    def _outside(packing: Packing) -> Tensor:
        column = torch.arange(packing.longest, device=packing.device)
        last = packing.lengths[:, None]
        return ((column >= last) | (column < last - packing.window))[..., None]


@ATTENTIONS.register("last")
class LastState(Attention):
    """No attention: the last state alone scores. The ablation, and what SASRec and GRU4Rec do."""

    uses_history = False

    def __init__(self, *, width: int, heads: int, hidden: int, scale: float, gate: bool) -> None:
        # A gate would have nothing to mix: a parameter that no gradient ever reaches.
        super().__init__(width=width, heads=heads, hidden=hidden, scale=scale, gate=False)

    def shared(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        return states @ candidates.T

    def paired(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        return (states * candidates).sum(-1)

    def final(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        return states[packing.last] @ candidates.T

    def final_paired(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        return (states[packing.last] * candidates).sum(-1)

    @torch.no_grad()
    def weights(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        column = torch.arange(packing.longest, device=states.device)
        last = (column == packing.lengths[:, None] - 1)[..., None].to(states)
        return last.expand(-1, -1, len(candidates))


@ATTENTIONS.register("multihead")
class MultiHead(Attention):
    """``softmax(U' Q V / sqrt d)`` with a learned Q per head; each head has its share of the coordinates."""

    def __init__(self, *, width: int, heads: int, hidden: int, scale: float, gate: bool) -> None:
        super().__init__(width=width, heads=heads, hidden=hidden, scale=scale, gate=gate)
        share = width // heads
        # The identity: from the start a candidate looks at what resembles it.
        self.query = nn.Parameter(torch.eye(share).repeat(heads, 1, 1))

    def keys(self, states: Tensor) -> list[Tensor]:
        """``U' Q / sqrt d`` of each head: what a candidate is multiplied by, (..., D / heads)."""
        parts = states.split(self.width // self.heads, dim=-1)
        return [torch.matmul(u, query) * self.scale for u, query in zip(parts, self.query, strict=True)]

    def logits(self, states: Tensor, candidates: Tensor) -> list[Tensor]:
        parts = candidates.split(self.width // self.heads, dim=-1)
        return [torch.matmul(key, v.transpose(-1, -2)) for key, v in zip(self.keys(states), parts, strict=True)]

    def _at_the_end(self, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        if type(self).logits is not MultiHead.logits:  # somebody's own logits are not those below
            return super()._at_the_end(states, candidates, packing)
        # A candidate is the same factor in every summand u[s] . v, so the states are averaged first, as attention does
        # it everywhere; and the weights are divided by their sum last, when it is one number a candidate. PyTorch's
        # fused kernel takes three times as long on a CPU, where it makes many tiny products.
        spread, hidden = packing.pad(states), self._outside(packing)
        inside = (~hidden).to(spread)  # (B, L, 1)
        share = self.width // self.heads
        keys = self.keys(spread)
        moderate = [self._moderate(*pair) for pair in zip(keys, candidates.split(share, dim=-1), strict=True)]
        sums = [torch.cat([u * inside, inside], dim=-1).transpose(1, 2) for u in spread.split(share, dim=-1)]
        kept = torch.is_grad_enabled() or spread.device.type != "cpu"
        step = candidates.shape[-2] if kept else max(1, _CACHED_LOGITS // hidden.numel())
        parts = []
        for some in candidates.split(step, dim=-2):
            past = spread.new_zeros(())
            for key, total, v, small in zip(keys, sums, some.split(share, dim=-1), moderate, strict=True):
                turned = v.transpose(-1, -2)
                logits = torch.matmul(key, turned)  # (B, L, K)
                logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # autocast gives them narrow
                if not small:
                    logits = logits.masked_fill(hidden, float("-inf"))
                    logits = logits - logits.detach().amax(1, keepdim=True)
                summed = torch.matmul(total, logits.exp_())  # (B, D / heads + 1, K)
                past = past + (summed[:, :-1] * turned).sum(1) / summed[:, -1]
            parts.append(past)
        return torch.cat(parts, dim=-1)

    @staticmethod
    def _moderate(keys: Tensor, candidates: Tensor) -> bool:
        """Whether every exponential of a logit is a number of middle size, so that nobody need look for the largest."""
        if keys.device.type != "cpu":  # elsewhere to ask takes longer than to look
            return False
        with torch.no_grad():
            return bool(keys.norm(dim=-1).max() * candidates.norm(dim=-1).max() < _MODERATE)


@ATTENTIONS.register("dot")
class Dot(MultiHead):
    """One head: ``softmax(U' Q V / sqrt d)`` over all coordinates."""

    def __init__(self, *, width: int, heads: int, hidden: int, scale: float, gate: bool) -> None:
        super().__init__(width=width, heads=1, hidden=hidden, scale=scale, gate=gate)


@ATTENTIONS.register("additive")
class Additive(Attention):
    """``w' tanh(P u + R v)``, after Bahdanau et al., ICLR 2015; one head."""

    def __init__(self, *, width: int, heads: int, hidden: int, scale: float, gate: bool) -> None:
        super().__init__(width=width, heads=1, hidden=hidden, scale=scale, gate=gate)
        self.state = nn.Linear(width, hidden)
        self.candidate = nn.Linear(width, hidden, bias=False)
        self.vector = nn.Parameter(torch.full((hidden,), hidden**-0.5))

    def logits(self, states: Tensor, candidates: Tensor) -> list[Tensor]:
        left, right = self.state(states), self.candidate(candidates).transpose(-1, -2)
        total: Tensor | None = None
        for unit in range(left.shape[-1]):
            # One hidden unit at a time, recomputed for the gradient: (S, K) at once, never (S, K, hidden).
            part = checkpoint(
                self._unit,
                left[..., unit, None],
                right[..., unit, None, :],
                self.vector[unit],
                use_reentrant=False,
            )
            total = part if total is None else total + part
        assert total is not None
        return [total]

    @staticmethod
    def _unit(left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
        return torch.tanh(left + right) * weight
