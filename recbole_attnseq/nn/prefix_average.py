"""Weighted averages over every window of a stream at once: attention scoring for all positions in one pass.

For each query t and candidate k the score is a softmax-weighted mean over the steps s in t's window:

    R[t,k] = sum_s exp(a[s,k]) v[s,k] / sum_s exp(a[s,k])

Where neighbouring columns of v share their weights, as the coordinates of a head do, a has one column for each group.

Neither a nor v depends on t, so both sums are running sums. Done by (C, 2C) blocks of ones (the packing's mask),
they are dense products: every window is summed by itself, so nothing cancels, and no softmax over (T, T, K) is
ever built. The cost is O(T K C), the memory O(T K).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_attnseq.nn.packing import Packing

SPREAD = 60.0  # exp(-60) is far above the smallest float32, exp(-87): within this spread plain sums are exact


class _RatioOfSums(torch.autograd.Function):
    """R from the weights exp(a - max a), with the gradient written out: two more blocked sums, run backwards."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, values: Tensor, mask: Tensor, packing: Packing) -> Tensor:
        weights = torch.exp(logits - logits.max())
        totals = _windowed(mask, weights, packing)
        averages = _windowed(mask, _repeated(weights, values) * values, packing).div_(_repeated(totals, values))
        ctx.save_for_backward(weights, values, totals, averages, mask)
        ctx.packing = packing
        return averages

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        weights, values, totals, averages, mask = ctx.saved_tensors
        share = gradients[0] / _repeated(totals, values)
        received = _windowed_transposed(mask, share, ctx.packing)
        offset = _windowed_transposed(mask, _gathered(share.mul_(averages), weights), ctx.packing)
        value_gradient = received * _repeated(weights, values)
        logit_gradient = _gathered(received.mul_(values), weights).sub_(offset).mul_(weights)
        return logit_gradient, value_gradient, None, None


def _repeated(weights: Tensor, values: Tensor) -> Tensor:
    """``weights`` (T, H) for each column of ``values`` (T, K): a group of K / H neighbours shares one."""
    columns = values.shape[1] // weights.shape[1]
    return weights if columns == 1 else weights.repeat_interleave(columns, dim=1)


def _gathered(gradient: Tensor, weights: Tensor) -> Tensor:
    """What came to each of the ``weights`` (T, H) by the columns (T, K) that it was spread to."""
    groups = weights.shape[1]
    return gradient if groups == gradient.shape[1] else gradient.unflatten(1, (groups, -1)).sum(-1)


def _windowed(mask: Tensor, tokens: Tensor, packing: Packing) -> Tensor:
    """Sum (T, K) over each token's window: (T, K)."""
    return packing.tokens_of(torch.bmm(mask, packing.keys(tokens)))


def _windowed_transposed(mask: Tensor, tokens: Tensor, packing: Packing) -> Tensor:
    """Sum (T, K) over the tokens that have each token in their window: (T, K)."""
    size = packing.block
    spread = torch.bmm(mask.transpose(1, 2), packing.queries(tokens))  # (T/C, 2C, K)
    own = spread[:, size:].clone()
    own[:-1] += spread[1:, :size]
    return packing.tokens_of(own)


def window_average(logits: Tensor, values: Tensor, packing: Packing) -> Tensor:
    """Softmax-weighted average of ``values`` over the window of each token.

    Args:
        logits: (T, K) attention logit of each step for each candidate, or (T, H) where K / H neighbours share one;
            H divides K.
        values: (T, K) what is averaged.
        packing: where the sequences lie, and the window.

    Returns:
        (T, K) the averages; exact at any size of the logits, and summed in float32 under autocast too.

    Raises:
        ValueError: the columns of ``logits`` do not divide those of ``values``.
    """
    if values.shape[1] % logits.shape[1]:
        raise ValueError(f"{logits.shape[1]} columns of logits cannot be shared by {values.shape[1]} of values.")
    if packing.window == 1:
        return values
    kind = logits.device.type
    if torch.is_autocast_enabled(kind):  # which would round every weight before it is summed
        with torch.autocast(kind, enabled=False):
            return window_average(logits.float(), values.float(), packing)
    with torch.no_grad():
        low, high = torch.aminmax(logits)
        wide = bool(high - low > SPREAD)
    if wide:
        return window_average_direct(logits, values, packing)
    mask = packing.mask.to(logits.dtype)
    result: Tensor = _RatioOfSums.apply(logits, values, mask, packing)  # type: ignore[no-untyped-call]
    return result


def window_average_direct(logits: Tensor, values: Tensor, packing: Packing, budget: int = 1 << 24) -> Tensor:
    """The same by a softmax per query: the plain formula, for tests and for logits too far apart for sums.

    Args:
        logits: (T, K), or (T, H).
        values: (T, K).
        packing: where the sequences lie, and the window.
        budget: most elements of the (T, 2C, H') softmax at a time.
    """
    step = max(1, budget // max(1, packing.blocks * packing.block * 2 * packing.block))
    hidden = ~packing.mask[..., None]
    groups = logits.shape[1]
    grouped = packing.keys(values).unflatten(-1, (groups, -1))  # (T/C, 2C, H, K / H)
    parts = []
    for start in range(0, groups, step):
        own = slice(start, start + step)
        weights = packing.keys(logits[:, own])[:, None].masked_fill(hidden, float("-inf"))
        weights = torch.softmax(weights, dim=2)  # (T/C, C, 2C, H')
        parts.append(torch.einsum("nqsh,nshk->nqhk", weights, grouped[:, :, own]))
    return packing.tokens_of(torch.cat(parts, dim=2).flatten(2))
