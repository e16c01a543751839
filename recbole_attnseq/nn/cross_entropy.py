"""Cross-entropy over the whole catalogue without ever holding a logit for every token and item."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Rows of logits at a time. Small enough for a chunk to stay in a core's cache between the passes over it.
CACHED_ELEMENTS = 1 << 20
# Rows are filled up to a multiple of this: a CPU's kernels are generated for the shapes they meet.
ROW_QUANTUM = 128
# exp of this, summed over a million items, is far from overflow; exp of its negative far from underflow.
SAFE_EXPONENT = 40.0


class _LinearCrossEntropy(torch.autograd.Function):
    """The loss and both gradients in one sweep over chunks of tokens.

    With E the exponentials of a chunk's logits and z their row sums, the gradient of the states is
    ``E V / z - V[target]`` and that of the items ``E' (U / z)``, less ``U`` at the targets: the division and the
    targets touch only (chunk, D), never (chunk, N).
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, items: Tensor, targets: Tensor, chunk: int, bound: float, low: torch.dtype
    ) -> Tensor:
        state_gradient, item_gradient = torch.empty_like(states), torch.zeros_like(items)
        wanted = items[targets]
        narrow_states, narrow_items = states.to(low), items.to(low)
        transposed = narrow_items.T.contiguous()
        positive = (states * wanted).sum(1)
        mass = torch.empty_like(positive)
        count = len(states)
        narrow_states = F.pad(narrow_states, (0, 0, 0, -count % ROW_QUANTUM))
        for start in range(0, count, chunk):
            rows, real = slice(start, start + chunk), min(chunk, count - start)
            logits = narrow_states[rows] @ transposed
            # Padding is no candidate, not even for the peak: its 0 would drown logits far below.
            logits[:, 0] = float("-inf")
            peak = 0 if bound < SAFE_EXPONENT else logits.amax(1, keepdim=True)
            exponentials = (logits if bound < SAFE_EXPONENT else logits.sub_(peak)).exp_()
            total = exponentials.sum(1, keepdim=True, dtype=torch.float32)
            mass[rows] = (total.log() + peak).squeeze(1)[:real]
            state_gradient[rows] = ((exponentials @ narrow_items) / total)[:real]
            # Rows that only fill up are zero: they add nothing to the items.
            item_gradient += exponentials.T @ (narrow_states[rows] / total).to(low)
        item_gradient.index_add_(0, targets, states, alpha=-1)
        ctx.save_for_backward(state_gradient.sub_(wanted), item_gradient)
        ctx.count = len(states)
        return (mass - positive).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        state_gradient, item_gradient = ctx.saved_tensors
        scale = gradients[0] / ctx.count
        return state_gradient * scale, item_gradient * scale, None, None, None, None


def linear_cross_entropy(
    states: Tensor,
    items: Tensor,
    targets: Tensor,
    *,
    budget: int,
    bound: float = math.inf,
    low_precision: torch.dtype = torch.float32,
) -> Tensor:
    """Mean full-softmax cross-entropy of ``states @ items.T``.

    Args:
        states: (M, D), temperature included.
        items: (N, D); row 0 is padding and takes no part.
        targets: (M,) in 1..N-1.
        budget: most logits at a time, in elements.
        bound: no logit lies beyond ± this (known for the cosine similarity). A small one spares the search for
            each row's largest, which keeps the exponentials from overflowing.
        low_precision: of logits and exponentials; sums over items are float32 all the same.

    Returns:
        The mean over M, a scalar.
    """
    cached = CACHED_ELEMENTS if states.device.type == "cpu" else budget
    chunk = max(1, min(len(states), max(64, cached // len(items)), budget // len(items)))
    if chunk > ROW_QUANTUM:
        chunk -= chunk % ROW_QUANTUM
    # Under autocast either side may come narrow and the other not; gradients add up in float32 at least.
    wide = torch.promote_types(torch.promote_types(states.dtype, items.dtype), torch.float32)
    result: Tensor = _LinearCrossEntropy.apply(states.to(wide), items.to(wide), targets, chunk, bound, low_precision)  # type: ignore[no-untyped-call]
    return result
