"""What lies end to end in one array: ranges of places, and where groups begin."""

from __future__ import annotations

import torch
from torch import Tensor


def ranges(start: Tensor, length: Tensor) -> Tensor:
    """The integers ``start .. start + length - 1`` of every pair, end to end: (sum of lengths,)."""
    ends = length.cumsum(0)
    shift = torch.repeat_interleave(start - (ends - length), length)
    return torch.arange(len(shift), device=shift.device) + shift


def offsets(length: Tensor) -> Tensor:
    """Where each of the groups of ``length`` (G,) begins, end to end, and the last one ends: (G + 1,)."""
    return torch.cat([length.new_zeros(1), length.cumsum(0)])


def begins(keys: Tensor) -> Tensor:
    """True (M,) where a key differs from the one before it: the first of each group of adjacent equal ``keys`` (M,)."""
    first = torch.ones_like(keys, dtype=torch.bool)
    first[1:] = keys[1:] != keys[:-1]
    return first


def latest(first: Tensor) -> Tensor:
    """For each place (M,) the last one up to it at which ``first`` (M,) is True; the first place is."""
    places = torch.where(first, torch.arange(len(first), device=first.device), 0)
    return places.cummax(0).values if len(first) else places
