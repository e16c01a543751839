"""Recent popularity: how often each item was taken in the time before a request, as a term of its score.

What a user takes next depends on what is going round, in news above all, and a history of items knows nothing of it.
Only what happened strictly before a request counts: not the interaction that is to be predicted, nor any later one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recbole_attnseq.flat import ranges

# Adam moves a parameter by about the learning rate a step, and a strength has further to go than an embedding.
_PACE = 10.0


class Events(nn.Module):
    """Which item was taken when, and so how often each was taken before any moment.

    Counts of all items are kept for every Q-th event; what came between is added. Q follows from the memory. Events are
    no part of a checkpoint: the data set brings them, and later ones may take their place.

    Args:
        times: (E,) float64, in any order.
        items: (E,) item numbers.
        count: N, items there are, padding included.
        budget: most counts kept, and most events added at a time, in elements.
    """

    times: Tensor
    items: Tensor

    def __init__(self, times: Tensor, items: Tensor, *, count: int, budget: int) -> None:
        super().__init__()
        order = torch.argsort(times, stable=True)
        self.register_buffer("times", times[order].double(), persistent=False)
        self.register_buffer("items", items[order], persistent=False)
        self.count = count
        self.budget = budget
        self.spacing = max(1, -(-(len(times) + 1) * count // max(1, budget)))
        self._kept: tuple[Tensor, Tensor] | None = None  # the events that it is of, and it
        self._places: tuple[Tensor, Tensor, Tensor] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Events:
        # Times of a billion seconds have no minutes in float32, whatever the network is converted to.
        times = self.times
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.times = times.to(self.times.device)
        return self

    def before(self, moments: Tensor) -> Tensor:
        """How many events lie strictly before each of ``moments`` (...)."""
        return torch.searchsorted(self.times, moments.double().contiguous())

    def counts(self, places: Tensor, candidates: Tensor | None = None) -> Tensor:
        """How often each item is among the first ``places`` (B,) events.

        Args:
            places: (B,) from :meth:`before`.
            candidates: (K,) item numbers, by default all.

        Returns:
            (B, K) or (B, N).
        """
        if candidates is not None:
            return self.pair_counts(places[:, None], candidates)
        step = max(1, self.budget // self.spacing)
        return torch.cat([self._all_counts(part) for part in places.split(step)])

    def _all_counts(self, places: Tensor) -> Tensor:
        """Counts (B, N), int32, of all items among the first ``places`` (B,) events."""
        start = places // self.spacing
        result = self._table()[start]
        rest = places - start * self.spacing
        rows = torch.repeat_interleave(torch.arange(len(places), device=places.device), rest)
        flat = rows * self.count + self.items[ranges(start * self.spacing, rest)]
        result.view(-1).scatter_add_(0, flat, torch.ones_like(flat, dtype=result.dtype))
        return result

    def pair_counts(self, places: Tensor, candidates: Tensor) -> Tensor:
        """How often each of ``candidates`` (...) is among its first ``places`` (...) events, broadcast: (...)."""
        keys, first = self._sorted()
        wanted = candidates * (len(self.times) + 1) + places
        return torch.searchsorted(keys, wanted) - first[candidates]

    def _table(self) -> Tensor:
        """(S, N) counts of all items among the first s * Q events."""
        if self._kept is None or self._kept[0] is not self.items:
            rows = len(self.items) // self.spacing + 1
            table = self.items.new_zeros(rows, self.count, dtype=torch.int32)
            row = torch.arange(len(self.items), device=self.items.device) // self.spacing + 1
            inside = row < rows
            flat = row[inside] * self.count + self.items[inside]
            table.view(-1).scatter_add_(0, flat, torch.ones_like(flat, dtype=table.dtype))
            self._kept = self.items, table.cumsum_(0)
        return self._kept[1]

    def _sorted(self) -> tuple[Tensor, Tensor]:
        """Events by (item, time), each as one ascending number (E,), and where each item's begin (N,)."""
        if self._places is None or self._places[0] is not self.items:
            order = torch.argsort(self.items, stable=True)
            held = torch.bincount(self.items, minlength=self.count)
            self._places = self.items, self.items[order] * (len(self.items) + 1) + order, held.cumsum(0) - held
        return self._places[1:]


class Trends(nn.Module):
    """``sum over j of w_j log(1 + n_j(t, v))``: n_j is how often item v was taken in the span j before moment t.

    What goes round counts differently for who is in the middle of reading and for who comes back after days, so w
    depends on how long ago the last item was taken: between which two of the spans.

    Moments are pairs: when somebody asks, and when the last item of their history was taken.

    Args:
        events: what is known; several networks may share it.
        spans: J lengths of time, in the units of the events' times.
    """

    def __init__(self, events: Events, spans: Sequence[float]) -> None:
        super().__init__()
        self.events = events
        self.spans = tuple(sorted(float(span) for span in spans))
        self.weights = nn.Parameter(torch.zeros(len(self.spans) + 1, len(self.spans)))

    @property
    def strengths(self) -> Tensor:
        """w (J + 1, J) by absence, zero at first: the data say whether recent popularity counts."""
        return self.weights * _PACE

    def strengths_at(self, moments: Tensor, strengths: Tensor | None = None) -> Tensor:
        """Of the spans, for each of ``moments`` (M, 2): (M, J), of ``strengths`` (J + 1, J) or its own."""
        return (self.strengths if strengths is None else strengths)[self.absence(moments)]

    def absence(self, moments: Tensor) -> Tensor:
        """How many spans (M,) have gone by between the last item and the request of ``moments`` (M, 2): 0 to J."""
        edges = torch.tensor(self.spans, dtype=torch.float64, device=moments.device)
        return torch.bucketize((moments[:, 0] - moments[:, 1]).double(), edges, right=True)

    @torch.no_grad()
    def features(self, moments: Tensor, candidates: Tensor | None = None) -> Iterator[Tensor]:
        """``log(1 + n_j)`` of candidates (K,), by default all items, at ``moments`` (M, 2): (M, K) for each span j."""
        asked = moments[:, 0]
        now = self.events.counts(self.events.before(asked), candidates)
        for span in self.spans:
            then = self.events.counts(self.events.before(asked - span), candidates)
            yield (now - then).float().log1p_()

    @torch.no_grad()
    def paired_features(self, moments: Tensor, candidates: Tensor) -> Tensor:
        """``log(1 + n_j)`` of one of ``candidates`` (M,) at each of ``moments`` (M, 2): (M, J)."""
        asked = moments[:, 0]
        now = self.events.pair_counts(self.events.before(asked), candidates)
        then = [self.events.pair_counts(self.events.before(asked - span), candidates) for span in self.spans]
        return torch.stack([now - count for count in then], dim=1).float().log1p_()

    def scores(self, moments: Tensor, candidates: Tensor | None = None, strengths: Tensor | None = None) -> Tensor:
        """The term (M, K) of candidates (K,), by default all items, at ``moments`` (M, 2).

        ``strengths`` (J + 1, J) stand in for the module's own.
        """
        chosen = self.strengths_at(moments, strengths)
        if not torch.is_grad_enabled():  # a ranking of many requests at once
            width = self.events.count if candidates is None else len(candidates)
            step = max(1, self.events.budget // width)
            parts = zip(moments.split(step), chosen.split(step), strict=True)
            return torch.cat([weighed(self.features(some, candidates), of_some) for some, of_some in parts])
        return weighed(self.features(moments, candidates), chosen)

    def paired(self, moments: Tensor, candidates: Tensor) -> Tensor:
        """The term (M,) of one of ``candidates`` (M,) at each of ``moments`` (M, 2)."""
        chosen = self.strengths_at(moments)
        return (self.paired_features(moments, candidates).to(chosen) * chosen).sum(1)


def weighed(features: Iterable[Tensor], strengths: Tensor) -> Tensor:
    """The sum (M, K) of J ``features`` (M, K) by ``strengths`` (M, J)."""
    parts = zip(features, strengths.split(1, dim=1), strict=True)
    feature, strength = next(parts)
    total: Tensor = feature * strength.to(feature)
    for feature, strength in parts:
        total = torch.addcmul(total, feature, strength.to(feature))
    return total


@dataclass(frozen=True)
class Requests:
    """When each query of a batch asks, for a loss that takes queries by parts.

    Attributes:
        trends: what is popular when.
        moments: (M, 2) time of each query, and of the last item before it.
    """

    trends: Trends
    moments: Tensor

    def strengths(self) -> Tensor:
        """Of the spans, for each query: (M, J)."""
        return self.trends.strengths_at(self.moments)

    def features(self, rows: slice) -> list[Tensor]:
        """``log(1 + n_j)`` (C, N) of all items for the queries ``rows``, one for each span."""
        return list(self.trends.features(self.moments[rows]))
