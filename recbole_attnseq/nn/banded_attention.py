"""Causal attention over the last W steps, with a bias by distance: two routes to one result.

The dense route (:func:`dense`) is a batch of products between each block of queries and two blocks of keys: few calls,
right for short windows and for GPUs. Its blocks are as long as the window, so three quarters of its logits are masked
where histories are about as long as the window. The other route (:class:`_ByBlocks`) goes through short blocks of
queries one by one and meets no key before the first that any of them may see: for long windows on a CPU, where
arithmetic and not calls takes the time.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_attnseq.nn.packing import Packing

LONG_WINDOW = 160  # from about here on, blocks one by one win on a CPU
QUERY_BLOCK = 128  # a block of queries and its keys at W = 1000 fill about half of a core's cache


def banded_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, packing: Packing, dropout: torch.nn.Module | None = None
) -> Tensor:
    """Softmax attention of each token over those that the packing lets it see.

    Args:
        query: (T, H, D/H), scaled.
        key: (T, H, D/H).
        value: (T, H, D/H).
        bias: (H, W') added to the logit of a key by how many steps it lies back, W' at least the packing's window.
        packing: where the sequences lie, and the window W.
        dropout: on the weights; only the dense route has any.

    Returns:
        (T, H, D/H).
    """
    dropping = dropout is not None and dropout.training and getattr(dropout, "probability", 1.0) > 0
    if query.device.type != "cpu" or packing.window < LONG_WINDOW or dropping:
        return dense(query, key, value, bias, packing, dropout)
    heads = (x.transpose(0, 1) for x in (query, key, value))
    result: Tensor = _ByBlocks.apply(*heads, bias[:, : packing.window], packing)  # type: ignore[no-untyped-call]
    return result.transpose(0, 1)


def dense(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, packing: Packing, dropout: torch.nn.Module | None = None
) -> Tensor:
    """The same by products of (C, 2C), whatever the window."""
    query, key, value = packing.queries(query), packing.keys(key), packing.keys(value)
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    logits = torch.matmul(query, key.transpose(-1, -2))  # (T/C, H, C, 2C)
    # Both in place: nothing else needs the logits before.
    logits += bias[:, packing.distance]
    logits += packing.additive_mask
    weights = torch.softmax(logits, dim=-1)
    if dropout is not None:
        weights = dropout(weights)
    return packing.tokens_of(torch.matmul(weights, value).transpose(1, 2))


class _ByBlocks(torch.autograd.Function):
    """Queries, keys and values (H, T, D/H), block by block of queries, with the gradients written out.

    Heads take turns too: PyTorch hands oneDNN a plain product of slices as it is, and copies those of a batched one.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, packing: Packing) -> Tensor:
        plan = _plan(packing)
        widest = max(start - low for low, start, *_ in plan) + QUERY_BLOCK
        output = torch.empty_like(query)
        weights = []
        for head in range(len(query)):
            q, k, v, table = query[head], key[head], value[head], _by_distance(bias[head], QUERY_BLOCK, widest)
            for low, start, stop, crossed in plan:
                logits = torch.mm(q[start:stop], k[low:stop].T)
                logits += _cells(table, low, start, stop)
                if crossed:
                    before = torch.arange(low, stop, device=q.device) < packing.first[start:stop, None]
                    logits.masked_fill_(before, float("-inf"))
                shares = torch.softmax(logits, dim=-1)
                torch.mm(shares, v[low:stop], out=output[head, start:stop])
                if ctx.needs_input_grad[0]:
                    weights.append(shares)
        ctx.save_for_backward(query, key, value, output, *weights)
        ctx.plan, ctx.widest, ctx.window = plan, widest, bias.shape[1]
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, output, *weights = ctx.saved_tensors
        (received,) = gradients
        query_gradient = torch.empty_like(query)
        key_gradient, value_gradient = torch.zeros_like(key), torch.zeros_like(value)
        bias_gradient = query.new_empty(len(query), ctx.window)
        # The softmax's gradient subtracts the weighted mean of what the weights receive: that is this product.
        mean = (received * output).sum(-1, keepdim=True)
        for head in range(len(query)):
            q, k, v, r = query[head], key[head], value[head], received[head]
            table = query.new_zeros(QUERY_BLOCK, ctx.widest)
            for low, start, stop, _ in ctx.plan:
                shares = weights[head * len(ctx.plan) + start // QUERY_BLOCK]
                value_gradient[head, low:stop] += torch.mm(shares.T, r[start:stop])
                logits = torch.mm(r[start:stop], v[low:stop].T).sub_(mean[head, start:stop]).mul_(shares)
                torch.mm(logits, k[low:stop], out=query_gradient[head, start:stop])
                key_gradient[head, low:stop] += torch.mm(logits.T, q[start:stop])
                _cells(table, low, start, stop).add_(logits)
            bias_gradient[head] = _sum_by_distance(table, ctx.window)
        return query_gradient, key_gradient, value_gradient, bias_gradient, None


def _plan(packing: Packing) -> list[tuple[int, int, int, bool]]:
    """For each block of queries: its first key, its own first token and its end, and whether a sequence begins between.

    First keys are rounded down to whole blocks: a CPU's kernels are generated for the shapes they meet.
    """
    starts = list(range(0, packing.tokens, QUERY_BLOCK))
    ends = [*starts[1:], packing.tokens]
    index = torch.tensor(starts, device=packing.device)
    low = (packing.first[index] // QUERY_BLOCK * QUERY_BLOCK).tolist()
    last = torch.tensor(ends, device=packing.device) - 1
    begins = packing.starts[packing.sequence[last]].tolist()
    return [
        (first, start, stop, begin > first) for first, start, stop, begin in zip(low, starts, ends, begins, strict=True)
    ]


def _cells(table: Tensor, low: int, start: int, stop: int) -> Tensor:
    """The part (stop - start, stop - low) of a table by distance that belongs to a block and its keys."""
    rows, columns = table.shape
    end = columns - rows + stop - start  # keys are counted from the end of a whole block
    return table[: stop - start, end - (stop - low) : end]


def _by_distance(bias: Tensor, rows: int, columns: int) -> Tensor:
    """(C, K) table whose cell (q, k) holds the bias (W,) at distance ``q + K - C - k``, -inf outside of 0..W-1."""
    # Along a row distances fall by one, and each row begins one step further back than the next.
    line = F.pad(bias.flip(0), (columns - len(bias), rows - 1), value=float("-inf"))
    return line.unfold(0, columns, 1).flip(0)


def _sum_by_distance(table: Tensor, window: int) -> Tensor:
    """Undo :func:`_by_distance` for gradients: (W,) sums along the diagonals of (C, K)."""
    rows, columns = table.shape
    # Rows laid end to end at a stride that is one short shift each against the one before.
    shifted = F.pad(table.flip(0), (0, rows)).flatten()[:-rows].view(rows, columns + rows - 1)
    return shifted.sum(0)[columns - window : columns].flip(0)
