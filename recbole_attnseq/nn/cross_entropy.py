"""Cross-entropy over the whole catalogue without ever holding a logit for every token and item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_attnseq.nn.history import Histories
from recbole_attnseq.nn.trends import Requests, weighed

# Logits at a time. They are overwritten by their softmax and then by the next chunk's, so that the same few megabytes
# are used all the time: new memory costs a CPU more than the arithmetic does.
CACHED_ELEMENTS = 1 << 21
# But no fewer rows than these bytes of a column: each chunk adds to the gradient of all items once.
SMALLEST_COLUMN = 256
# Rows are filled up to a multiple of this: a CPU's kernels are generated for the shapes they meet.
ROW_QUANTUM = 64
# A probability below this may have lost digits, or all of them, on its way through exp.
SMALLEST_PROBABILITY = 1e-30


class _LinearCrossEntropy(torch.autograd.Function):
    """The loss and both gradients in one sweep over chunks of tokens.

    With P the softmax of a chunk's logits, the gradient of the states is ``P V - V[target]`` and that of the items
    ``P' U``, less ``U`` at the targets: the targets touch only (chunk, D), never (chunk, N). PyTorch's softmax is one
    fused pass; maximum, exponential and sum by themselves are four.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        items: Tensor,
        targets: Tensor,
        chunk: int,
        low: torch.dtype,
        histories: Histories | None,
        strengths: Tensor | None,
        requests: Requests | None,
    ) -> Tensor:
        state_gradient, item_gradient = torch.empty_like(states), torch.zeros_like(items)
        strength_gradient = None if strengths is None else torch.zeros_like(strengths)
        narrow_states, narrow_items = states.to(low), items.to(low)
        transposed = narrow_items.T
        count = len(states)
        losses = states.new_empty(count)
        narrow_states = F.pad(narrow_states, (0, 0, 0, -count % ROW_QUANTUM))
        workspace = narrow_states.new_empty(min(chunk, len(narrow_states)), len(items))
        for start in range(0, count, chunk):
            rows, real = slice(start, start + chunk), min(chunk, count - start)
            queries = narrow_states[rows]
            left_out = histories.part(rows) if histories else None
            recent = _Recent(strengths[rows], requests.features(rows)) if requests and strengths is not None else None
            probabilities = _softmax(queries, transposed, left_out, recent, workspace[: len(queries)])
            losses[rows] = _losses(queries, transposed, left_out, recent, probabilities, targets[rows])
            if recent is not None and strength_gradient is not None:
                strength_gradient[rows] = recent.gradient(probabilities[:real], targets[rows])
            state_gradient[rows] = (probabilities @ narrow_items)[:real]
            # Rows that only fill up are zero: they add nothing to the items.
            if low == item_gradient.dtype:
                item_gradient.addmm_(probabilities.T, queries)
            else:
                item_gradient += probabilities.T @ queries
        item_gradient.index_add_(0, targets, states, alpha=-1)
        ctx.save_for_backward(state_gradient.sub_(items[targets]), item_gradient, strength_gradient)
        ctx.count = count
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        state_gradient, item_gradient, strength_gradient = ctx.saved_tensors
        scale = gradients[0] / ctx.count
        of_strengths = None if strength_gradient is None else strength_gradient * scale
        return state_gradient * scale, item_gradient * scale, None, None, None, None, of_strengths, None


@dataclass(frozen=True)
class _Recent:
    """What recent popularity adds to a chunk's logits: J features (C, N) by ``strengths`` (C, J)."""

    strengths: Tensor
    features: list[Tensor]

    def part(self, rows: Tensor) -> _Recent:
        return _Recent(self.strengths[rows], [feature[rows] for feature in self.features])

    def add_to(self, logits: Tensor) -> None:
        # Added up first: logits of low precision are rounded once, not once a span.
        logits[: len(self.strengths)] += weighed(self.features, self.strengths)

    def gradient(self, probabilities: Tensor, targets: Tensor) -> Tensor:
        """Of the strengths (C, J): what is expected by probabilities (C, N) less what came at the targets (C,)."""
        wide = probabilities.to(self.features[0])
        with torch.autocast(wide.device.type, enabled=False):  # which would have these products in low precision
            expected = [torch.linalg.vecdot(wide, feature) for feature in self.features]
        came = [feature.gather(1, targets[:, None]).squeeze(1) for feature in self.features]
        return torch.stack(expected, dim=1) - torch.stack(came, dim=1)


def _logits(
    queries: Tensor, transposed: Tensor, left_out: Histories | None, recent: _Recent | None, out: Tensor
) -> Tensor:
    """``queries @ transposed`` (C, N), written to ``out``, -inf for what is no candidate."""
    torch.mm(queries, transposed, out=out)
    if recent is not None:
        recent.add_to(out)
    # Padding is no candidate, not even for the peak: its 0 would drown logits far below.
    out[:, 0] = float("-inf")
    if left_out is not None:
        left_out.leave_out(out)
    return out


def _softmax(
    queries: Tensor, transposed: Tensor, left_out: Histories | None, recent: _Recent | None, out: Tensor
) -> Tensor:
    """Softmax (C, N) of the logits over the candidates, written to ``out``.

    In place: a row's softmax writes each element after its last reading, on CPUs and GPUs; a test holds PyTorch to it.
    """
    return torch.softmax(_logits(queries, transposed, left_out, recent, out), dim=1, out=out)


def _losses(
    queries: Tensor,
    transposed: Tensor,
    left_out: Histories | None,
    recent: _Recent | None,
    probabilities: Tensor,
    targets: Tensor,
) -> Tensor:
    """Minus the logarithm of each target's probability: (C,) from at least C rows of (C', D) and (C', N)."""
    found = probabilities[: len(targets)].gather(1, targets[:, None]).squeeze(1)
    found = found.to(torch.promote_types(found.dtype, torch.float32))
    losses = -found.log()
    lost = (found < SMALLEST_PROBABILITY).nonzero().squeeze(1)
    if len(lost):
        rest = left_out.part(lost) if left_out else None
        popular = recent.part(lost) if recent else None
        out = probabilities.new_empty(len(lost), probabilities.shape[1])
        logits = _logits(queries[lost], transposed, rest, popular, out)
        exact = torch.log_softmax(logits.to(losses.dtype), dim=1)
        losses[lost] = -exact.gather(1, targets[lost, None]).squeeze(1)
    return losses


def linear_cross_entropy(
    states: Tensor,
    items: Tensor,
    targets: Tensor,
    *,
    budget: int,
    low_precision: torch.dtype = torch.float32,
    histories: Histories | None = None,
    requests: Requests | None = None,
) -> Tensor:
    """Mean full-softmax cross-entropy of ``states @ items.T``.

    Args:
        states: (M, D), temperature included.
        items: (N, D); row 0 is padding and takes no part.
        targets: (M,) in 1..N-1.
        budget: most logits at a time, in elements.
        low_precision: of logits and probabilities; sums over items are float32 all the same.
        histories: items that are no candidates, state by state; None leaves nothing out.
        requests: when each state asks; what was popular then adds to the logits. None adds nothing.

    Returns:
        The mean over M, a scalar.
    """
    cached = CACHED_ELEMENTS if states.device.type == "cpu" else budget
    smallest = SMALLEST_COLUMN // low_precision.itemsize
    width = len(items) * (1 if requests is None else 1 + len(requests.trends.spans))
    chunk = max(1, min(len(states), max(smallest, cached // width), budget // width))
    if chunk > ROW_QUANTUM:
        chunk -= chunk % ROW_QUANTUM
    # Under autocast either side may come narrow and the other not; gradients add up in float32 at least.
    wide = torch.promote_types(torch.promote_types(states.dtype, items.dtype), torch.float32)
    result: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        states.to(wide),
        items.to(wide),
        targets,
        chunk,
        low_precision,
        histories,
        None if requests is None else requests.strengths(),
        requests,
    )
    return result
