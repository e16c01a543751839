"""Sequences packed end to end into one stream of tokens, and what may look at what within it.

A batch of histories of unequal length is stored as its T tokens and B lengths: no padding is ever multiplied.
Looking back is confined to a window of the last W tokens of the same sequence. Cut the stream into blocks of
C >= W tokens; then every query of a block finds its whole window in that block and the one before it, so a
banded attention over the stream is a batch of dense (C, 2C) products under a mask.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

SMALLEST_BLOCK = 32  # below this a batched product spends its time on calls, not on arithmetic


class Packing:
    """Where each sequence lies in the stream, and the band mask over it.

    Args:
        lengths: (B,) tokens of each sequence, all at least 1.
        window: W, how many of the last tokens of its own sequence a token may see, itself included.
        gaps: (T,) how long each token waited for, as :func:`~recbole_attnseq.flat.waits` tells it, for
            networks that ask.

    Raises:
        ValueError: a length or the window is below 1.
    """

    def __init__(self, lengths: Tensor, window: int, gaps: Tensor | None = None) -> None:
        if window < 1 or len(lengths) == 0 or int(lengths.min()) < 1:
            raise ValueError("a packing needs a window and lengths of at least 1, and at least one sequence.")
        self.lengths = lengths
        self.gaps = gaps
        self.longest = int(lengths.max())
        self.window = min(window, self.longest)
        self.ends = lengths.cumsum(0)
        self.starts = self.ends - lengths
        self.tokens = int(self.ends[-1])
        self.block = max(SMALLEST_BLOCK, self.window)
        self.blocks = -(-self.tokens // self.block)

    @property
    def device(self) -> torch.device:
        """Where the packing lives."""
        return self.lengths.device

    @cached_property
    def sequence(self) -> Tensor:
        """(T,) number of the sequence each token belongs to."""
        return torch.repeat_interleave(torch.arange(len(self.lengths), device=self.device), self.lengths)

    @cached_property
    def first(self) -> Tensor:
        """(T,) the first token that each token may see."""
        token = torch.arange(self.tokens, device=self.device)
        return torch.maximum(self.starts[self.sequence], token - self.window + 1)

    @cached_property
    def last(self) -> Tensor:
        """(B,) the last token of each sequence."""
        return self.ends - 1

    @cached_property
    def turned(self) -> Tensor:
        """(T,) the token that takes each one's place when every sequence is turned round."""
        return (self.starts + self.ends - 1)[self.sequence] - torch.arange(self.tokens, device=self.device)

    @cached_property
    def mask(self) -> Tensor:
        """(T/C, C, 2C) True where a query may see a key: keys are the block before and the query's own."""
        size, count = self.block, self.blocks
        query = torch.arange(count * size, device=self.device)
        first = query.clone()  # a padded query sees itself alone, which keeps every softmax defined
        first[: self.tokens] = self.first
        query, first = query.view(count, size, 1), first.view(count, size, 1)
        start = torch.arange(count, device=self.device).view(count, 1, 1) * size
        key = start - size + torch.arange(2 * size, device=self.device)
        return (key >= first) & (key <= query)

    @cached_property
    def additive_mask(self) -> Tensor:
        """(T/C, 1, C, 2C) 0 where the mask is True and -inf elsewhere, to be added to logits of any head."""
        zero = torch.zeros((), device=self.device)
        return torch.where(self.mask, zero, zero - float("inf"))[:, None]

    @cached_property
    def distance(self) -> Tensor:
        """(C, 2C) how far back each key lies, clamped to 0..W-1 (outside of which the mask is False)."""
        size = self.block
        query = torch.arange(size, device=self.device)[:, None]
        key = torch.arange(2 * size, device=self.device)[None, :] - size
        return (query - key).clamp(0, self.window - 1)

    def histories(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens of its own sequence up to each of ``queries`` (M,), itself included, the window aside.

        Returns:
            The first token of each (M,), and how many there are (M,).
        """
        starts = self.starts[self.sequence[queries]]
        return starts, queries - starts + 1

    def queries(self, tokens: Tensor) -> Tensor:
        """Cut (T, ...) into blocks (T/C, C, ...), the last filled up with zeros."""
        missing = self.blocks * self.block - self.tokens
        if missing:
            tokens = torch.cat([tokens, tokens.new_zeros((missing, *tokens.shape[1:]))])
        return tokens.view(self.blocks, self.block, *tokens.shape[1:])

    def keys(self, tokens: Tensor) -> Tensor:
        """Cut (T, ...) into (T/C, 2C, ...): each block behind the one before it."""
        own = self.queries(tokens)
        before = torch.cat([torch.zeros_like(own[:1]), own[:-1]])
        return torch.cat([before, own], dim=1)

    def tokens_of(self, blocks: Tensor) -> Tensor:
        """Undo :meth:`queries`: (T/C, C, ...) to (T, ...)."""
        return blocks.reshape(self.blocks * self.block, *blocks.shape[2:])[: self.tokens]

    def pad(self, tokens: Tensor) -> Tensor:
        """Spread (T, ...) over (B, L, ...), zeros behind each sequence's end."""
        column = torch.arange(self.longest, device=self.device)
        inside = column < self.lengths[:, None]
        padded = tokens.new_zeros((len(self.lengths), self.longest, *tokens.shape[1:]))
        padded[inside] = tokens
        return padded

    def unpad(self, padded: Tensor) -> Tensor:
        """Undo :meth:`pad`: (B, L, ...) to (T, ...)."""
        column = torch.arange(self.longest, device=self.device)
        return padded[column < self.lengths[:, None]]
