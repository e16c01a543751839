"""What lies end to end in one array: ranges of places, where groups begin, and how long each step waited."""

from __future__ import annotations

import torch
from torch import Tensor

# Of gaps below 2^62 in any unit, one for each doubling, and one for a first step, which waited for nothing.
WAITS = 64


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


def waits(times: Tensor, sequence: Tensor) -> Tensor:
    """The doubling that each step's wait lies in.

    Args:
        times: (M,) float64, ascending within a sequence.
        sequence: (M,) which one each step belongs to, equal ones adjacent.

    Returns:
        (M,) int32: 0 for the first step of a sequence, else ``1 + floor(log2(1 + wait))``, at most :data:`WAITS` - 1.
    """
    first = begins(sequence)
    return _doublings(times.diff(prepend=times[:1]).masked_fill(first, 0.0)).masked_fill(first, 0)


def row_waits(times: Tensor) -> Tensor:
    """:func:`waits` of histories side by side, for a request that is made by hand.

    Args:
        times: (B, L) float64, of each history's items; what stands behind its end does not matter.

    Returns:
        (B, L) int32.
    """
    found = _doublings(times.diff(dim=1, prepend=times[:, :1]).clamp(min=0.0))
    found[:, :1] = 0
    return found


def _doublings(wait: Tensor) -> Tensor:
    # An exponent, not a logarithm, which may fall on either side of a power of two.
    exponent: Tensor = torch.frexp(1 + wait).exponent
    return exponent.clamp(1, WAITS - 1)
