"""Full ranking in blocks: the rank of every target among all items, without a top-k and within a memory budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from recbole.evaluator.collector import DataStruct
from torch import Tensor

from recbole_attnseq.data.prefixes import PrefixInteraction
from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import begins, latest, ranges

# What the metrics of RecBole may ask for that ranks and top items can answer.
ANSWERED = {"rec.topk", "rec.items", "data.num_items", "data.num_users", "data.count_items", "data.count_users"}


@dataclass(frozen=True)
class Ranking:
    """Where the targets of an evaluation ended up.

    Attributes:
        rank: (R,) place of each row's target among all items, 1 for the first. Of equal scores the lower item
            number comes first.
        top: (R, k) the highest items of each row, or None where nobody asked.
    """

    rank: Tensor
    top: Tensor | None

    def as_struct(self, largest: int) -> DataStruct:
        """What RecBole's metrics read: for each row the hits at 1..largest, and its one relevant item."""
        place = torch.arange(1, largest + 1)
        hits = (self.rank[:, None] == place).int()
        struct = DataStruct()
        struct.set("rec.topk", torch.cat([hits, torch.ones_like(hits[:, :1])], dim=1))
        if self.top is not None:
            struct.set("rec.items", self.top)
        return struct


# A CPU ranks a few megabytes of scores after the other: they stay in its caches, and their memory is used again.
CACHED_SCORES = 1 << 21
# But each block reads the whole catalogue once: for so many rows at the least, where the budget allows them.
SMALLEST_BLOCK = 64
# float32 counts no further than this.
COUNTABLE = 1 << 24


def rows_per_block(width: int, budget: int, device: torch.device | None = None) -> int:
    """How many rows of ``width`` scores to rank at a time: as ``budget`` elements hold, on a CPU as its caches do.

    Raises:
        UserError: not even one does.
    """
    if budget < width:
        raise UserError(
            f"memory_budget holds {budget * 4 / 2**20:.3g} MiB, but one row of scores takes "
            f"{width * 4 / 2**20:.3g} MiB; raise memory_budget."
        )
    fitting = budget // width
    if device is not None and device.type == "cpu":
        return min(fitting, max(SMALLEST_BLOCK, CACHED_SCORES // width))
    return fitting


def cut_by_tokens(lengths: Tensor, most: int, padded: bool) -> list[slice]:
    """Rows in order, cut where their histories would be more than ``most`` tokens together; at least one row each.

    Args:
        lengths: (R,) tokens of each row's history.
        most: tokens at a time.
        padded: every history takes as many as the longest beside it.

    Returns:
        The pieces, end to end.
    """
    parts, start, total, longest = [], 0, 0, 0
    for row, length in enumerate(lengths.tolist()):
        total, longest = total + length, max(longest, length)
        if row > start and (longest * (row + 1 - start) if padded else total) > most:
            parts.append(slice(start, row))
            start, total, longest = row, length, length
    return [*parts, slice(start, len(lengths))]


def encode_ahead(encode: Callable[[slice], Tensor], rows: int, many: int) -> Callable[[slice], Tensor]:
    """States of ``many`` rows at a time for a caller who goes through ``rows`` rows in order by fewer.

    Args:
        encode: rows to their states (b, D).
        rows: how many there are.
        many: how many to encode at a time.

    Returns:
        The same as ``encode``, quick for slices that follow each other.
    """
    held, begin = torch.empty(0), 0

    def states(wanted: slice) -> Tensor:
        nonlocal held, begin
        if wanted.start < begin or wanted.stop > begin + len(held):
            begin = wanted.start
            held = encode(slice(begin, max(wanted.stop, min(begin + many, rows))))
        return held[wanted.start - begin : wanted.stop - begin]

    return states


@torch.no_grad()
def rank_targets(
    score: Callable[[slice], Tensor],
    targets: Tensor,
    block: int,
    *,
    seen: Callable[[slice], tuple[Tensor, Tensor]] | None = None,
    top: int = 0,
) -> Ranking:
    """Rank each row's target among all items.

    Args:
        score: rows to their scores (b, N); column 0, the padding, is ignored.
        targets: (R,) item of each row.
        block: rows at a time.
        seen: rows to (row in block, item) pairs to leave out of the ranking; a row's target always stays in.
        top: how many of the highest items to keep for each row.
    """
    ranks, tops = [], []
    flags = torch.empty(0)
    for start in range(0, len(targets), block):
        rows = slice(start, min(start + block, len(targets)))
        scores = score(rows)
        target = targets[rows, None].to(scores.device)
        own = scores.gather(1, target)
        scores[:, 0] = float("-inf")
        if seen is not None:
            row, item = seen(rows)
            scores[row.to(scores.device), item.to(scores.device)] = float("-inf")
            scores.scatter_(1, target, own)
        if flags.shape != scores.shape or flags.device != scores.device:
            flags = torch.empty_like(scores, dtype=torch.float32)
        # Sums of truth values are an order slower on a CPU than those of numbers.
        counting = torch.float32 if scores.shape[1] <= COUNTABLE else torch.float64
        # Not those above but all but those at most as high: a score that is no number must not look perfect.
        higher = scores.shape[1] - torch.le(scores, own, out=flags).sum(1, dtype=counting).long()
        # Ties are rare, but a model that scores everything alike must not look perfect.
        tied = torch.eq(scores, own, out=flags).sum(1, dtype=counting) > 1
        if bool(tied.any()):
            below = torch.arange(scores.shape[1], device=scores.device) < target[tied]
            higher[tied] += ((scores[tied] == own[tied]) & below).sum(1)
        ranks.append(higher.cpu() + 1)
        if top:
            tops.append(scores.topk(top, dim=1).indices.cpu())
    return Ranking(torch.cat(ranks), torch.cat(tops) if top else None)


def seen_items(dataset: Any) -> Callable[[slice], tuple[Tensor, Tensor]]:
    """For each row of a sequential data set, the items of its whole history, however long.

    Returns:
        A function from rows to (row in block, item) pairs.
    """
    feat = dataset.inter_feat
    if not isinstance(feat, PrefixInteraction):
        history = feat[getattr(dataset, f"{dataset.iid_field}_list_field")]
        lengths = feat[dataset.item_list_length_field]

        def from_rows(rows: slice) -> tuple[Tensor, Tensor]:
            inside = torch.arange(history.shape[1]) < lengths[rows, None]
            return inside.nonzero()[:, 0], history[rows][inside]

        return from_rows

    columns = feat.interaction
    user, items = columns.flat[dataset.uid_field], columns.flat[dataset.iid_field]
    begin = latest(begins(user))

    def from_store(rows: slice) -> tuple[Tensor, Tensor]:
        target = columns.target[rows]
        length = target - begin[target]
        return torch.repeat_interleave(torch.arange(len(target)), length), items[ranges(begin[target], length)]

    return from_store


def answers(metrics: Sequence[str]) -> bool:
    """Whether all metrics follow from the ranks of targets and the highest items, so that no score need be kept."""
    from recbole.evaluator.register import metric_information

    return {need for metric in metrics for need in metric_information[metric.lower()]} <= ANSWERED
