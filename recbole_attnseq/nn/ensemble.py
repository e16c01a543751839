"""Several networks that differ in their random numbers alone, and score together."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from recbole_attnseq.nn.attention import Attention
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.settings import NetworkSettings
from recbole_attnseq.nn.user_encoders import UserEncoder


class Ensemble(nn.Module):
    """Members with weights of their own, trained on the same batches, whose scores are averaged.

    What one network learns by chance of its initial weights and dropout, the others do not: the mean ranks better than
    its members, at as many times their cost. It is one model: it stops early by the validation of the mean, and where
    the attention needs no history, all items are scored by one product, members end to end.

    What it offers is what :class:`Network` offers to a trainer, with states and vectors of width E * D.

    Args:
        members: how many, E.
        build: makes one of them; called E times.

    Raises:
        ValueError: no member.
    """

    def __init__(self, members: int, build: Callable[[], Network]) -> None:
        super().__init__()
        if members < 1:
            raise ValueError("an ensemble needs at least one member.")
        self.members = nn.ModuleList(build() for _ in range(members))

    @property
    def networks(self) -> list[Network]:
        """The members, in their order."""
        return [cast("Network", member) for member in self.members]

    @property
    def settings(self) -> NetworkSettings:
        """Of every member."""
        return self.networks[0].settings

    @property
    def budget(self) -> int:
        """Most elements of a temporary; members take turns."""
        return self.networks[0].budget

    @budget.setter
    def budget(self, elements: int) -> None:
        for member in self.networks:
            member.budget = elements

    @property
    def low_precision(self) -> torch.dtype:
        """Of the logits over all items."""
        return self.networks[0].low_precision

    @low_precision.setter
    def low_precision(self, precision: torch.dtype) -> None:
        for member in self.networks:
            member.low_precision = precision

    @property
    def causal(self) -> bool:
        """True where all positions of a history can be trained in one pass."""
        return self.networks[0].causal

    @property
    def user_encoder(self) -> UserEncoder:
        """The first member's, for what holds of all."""
        return self.networks[0].user_encoder

    @property
    def attention(self) -> Attention:
        """The first member's, for what holds of all."""
        return self.networks[0].attention

    def states(self, items: Tensor, packing: Packing) -> Tensor:
        """States (T, E * D) after each step."""
        return torch.cat([member.states(items, packing) for member in self.networks], dim=-1)

    def vectors(self, items: Tensor | None = None) -> Tensor:
        """Vectors (..., E * D) of ``items`` (...), or (N, E * D) of all."""
        return torch.cat([member.vectors(items) for member in self.networks], dim=-1)

    def last_states(self, items: Tensor, packing: Packing) -> Tensor:
        """States (B, E * D) at the end of each sequence, whose product with vectors is the mean score."""
        return torch.cat([member.last_states(items, packing) for member in self.networks], dim=-1) / len(self.members)

    def recent(self, moments: Tensor | None) -> Tensor:
        """What recent popularity adds to the mean scores (B, N) of all items at ``moments`` (B, 2)."""
        trends = [member.trends for member in self.networks if member.trends is not None]
        if not trends or moments is None:
            raise ValueError("recent popularity needs trends and moments; one of the two is missing.")
        return trends[0].scores(moments, strengths=torch.stack([one.strengths for one in trends]).mean(0))

    def scores(
        self, items: Tensor, packing: Packing, vectors: Tensor | None = None, moments: Tensor | None = None
    ) -> Tensor:
        """Mean scores (B, K) of candidates with ``vectors`` (K, E * D), by default all items, at ``moments`` (B, 2)."""
        taste = self.taste(items, packing, vectors)
        return taste if self.networks[0].trends is None and moments is None else taste + self.recent(moments)

    def taste(self, items: Tensor, packing: Packing, vectors: Tensor | None = None) -> Tensor:
        """Mean scores (B, K) of candidates with ``vectors`` (K, E * D), by default all items, whatever goes round."""
        candidates = self.vectors() if vectors is None else vectors
        if not self.attention.uses_history:
            return self.last_states(items, packing) @ candidates.T
        parts = candidates.chunk(len(self.members), dim=-1)
        first, *others = zip(self.networks, parts, strict=True)
        total = first[0].taste(items, packing, first[1])
        for member, part in others:
            total += member.taste(items, packing, part)
        return total / len(self.members)

    def pair_scores(self, items: Tensor, packing: Packing, candidates: Tensor, moments: Tensor | None = None) -> Tensor:
        """Mean scores (B,) of one candidate a sequence."""
        each = [member.pair_scores(items, packing, candidates, moments) for member in self.networks]
        return torch.stack(each).mean(0)

    def loss(
        self, items: Tensor, packing: Packing, queries: Tensor, targets: Tensor, moments: Tensor | None = None
    ) -> Tensor:
        """Mean of the members' losses, with the gradient of their sum: each learns as if it were alone."""
        each = torch.stack([member.loss(items, packing, queries, targets, moments) for member in self.networks])
        total = each.sum()
        return each.mean().detach() + (total - total.detach())
