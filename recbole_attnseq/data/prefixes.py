"""Prefixes of sequences as views: what RecBole's data augmentation builds, gathered when somebody looks.

RecBole turns the sequence ``i1 i2 i3`` into the rows ``(i1) -> i2`` and ``(i1 i2) -> i3`` and stores each
row padded to the maximum length, once per field. Here the rows are (start, end) pairs into one flat, sorted
table, and a padded matrix exists only for the rows of one batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction
from torch import Tensor

from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import begins, latest


class PrefixColumns(MutableMapping[str, Tensor]):
    """The columns of a set of prefix rows; list columns are gathered on access.

    Args:
        flat: field to its values over all interactions, ordered by (user, time), first axis M.
        lists: list field to (source field, maximum length).
        length_field: the column that holds a prefix's length.
        target: (R,) position in ``flat`` of the item each row predicts.
        length: (R,) number of interactions in each row's prefix, which ends just before ``target``.
    """

    def __init__(
        self,
        flat: dict[str, Tensor],
        lists: dict[str, tuple[str, int]],
        length_field: str,
        target: Tensor,
        length: Tensor,
    ) -> None:
        self.flat = flat
        self.lists = lists
        self.length_field = length_field
        self.target = target
        self.length = length
        self.extra: dict[str, Tensor] = {}
        self.names = [*flat, length_field, *lists]

    def __getitem__(self, name: str) -> Tensor:
        if name in self.extra:
            return self.extra[name]
        if name not in self.names:
            raise KeyError(name)
        if name == self.length_field:
            return self.length
        if name not in self.lists:
            return self.flat[name][self.target]
        source, width = self.lists[name]
        offset = torch.arange(width)
        valid = offset < self.length[:, None]
        position = torch.where(valid, (self.target - self.length)[:, None] + offset, 0)
        values = self.flat[source][position]
        return values.masked_fill_(~valid.reshape(valid.shape + (1,) * (values.dim() - 2)), 0)

    def __setitem__(self, name: str, value: Tensor) -> None:
        if name not in self.names:
            self.names.append(name)
        self.extra[name] = value

    def add_list(self, name: str, source: str, values: Tensor, width: int) -> None:
        """A list column ``name`` of at most ``width`` of the ``values`` (M, ...) over all interactions."""
        self.flat[source] = values
        self.lists[name] = (source, width)
        self.names.append(name)

    def __delitem__(self, name: str) -> None:
        self.names.remove(name)
        self.extra.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.names))

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names  # a mapping would look the value up, which gathers it for every row

    def rows(self, index: Tensor) -> PrefixColumns:
        """The same columns for the rows at ``index`` (R',), without gathering anything."""
        view = PrefixColumns(self.flat, self.lists, self.length_field, self.target[index], self.length[index])
        view.names = list(self.names)
        view.extra = {name: value[index] for name, value in self.extra.items()}
        return view


class PrefixInteraction(Interaction):  # type: ignore[misc]
    """RecBole's ``Interaction`` over :class:`PrefixColumns`; indexing rows stays lazy."""

    def __init__(self, columns: PrefixColumns) -> None:
        self.interaction = columns
        self.length = len(columns.target)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            return self.interaction[index]
        if isinstance(index, (int, np.integer)):
            return Interaction({name: self.interaction[name][index] for name in self.interaction})
        return PrefixInteraction(self.interaction.rows(_as_index(index, self.length)))

    def _reindex(self, index: Any) -> None:
        self.interaction = self.interaction.rows(_as_index(index, self.length))


def reached(parts: Sequence[PrefixColumns]) -> Tensor:
    """True (M,) for every interaction that is a target or in the history of a row of ``parts``, which share them."""
    return _between(parts, lambda part: (part.target - part.length, part.target + 1))


def waited(part: PrefixColumns) -> Tensor:
    """True (M,) for every interaction whose wait a row's history tells: each of its interactions but its first."""
    return _between([part], lambda part: (part.target - part.length + 1, part.target))


def _between(parts: Sequence[PrefixColumns], bounds: Callable[[PrefixColumns], tuple[Tensor, Tensor]]) -> Tensor:
    """True (M,) for every interaction from the first to before the second of the bounds (R,) of a row of ``parts``."""
    total = len(next(iter(parts[0].flat.values())))
    edges = torch.zeros(total + 1, dtype=torch.long)
    for part in parts:
        one = torch.ones_like(part.target)
        begin, end = bounds(part)
        edges.index_add_(0, begin, one)
        edges.index_add_(0, end, -one)
    return edges.cumsum(0)[:-1] > 0


def _as_index(index: Any, length: int) -> Tensor:
    if isinstance(index, slice):
        return torch.arange(length)[index]
    if isinstance(index, range):
        return torch.arange(index.start, index.stop, index.step)
    tensor = torch.as_tensor(np.asarray(index)) if isinstance(index, (list, tuple)) else torch.as_tensor(index)
    if tensor.dtype == torch.bool:
        return tensor.nonzero().squeeze(-1)
    return tensor.long()


def prefix_rows(user: Tensor, maximum: int) -> tuple[Tensor, Tensor]:
    """Every prefix that predicts an item, for interactions grouped by user.

    Args:
        user: (M,) user of each interaction, equal users adjacent.
        maximum: longest prefix, in interactions.

    Returns:
        target (R,), the position of each predicted interaction, and length (R,), of its prefix.
    """
    first = begins(user)
    target = (~first).nonzero().flatten()
    return target, (target - latest(first)[target]).clamp(max=maximum)


def augment_lazily(self: Any) -> None:
    """Stands in for RecBole's ``SequentialDataset.data_augmentation``: the same rows in the same order."""
    self._aug_presets()
    self._check_field("uid_field", "time_field")
    if getattr(self, "exact_times", None) is not None:
        order = torch.argsort(self.inter_feat[self.uid_field], stable=True)  # the rows are in time order already
        self.exact_times = self.exact_times[order.numpy()]
    self.sort(by=[self.uid_field, self.time_field], ascending=True)
    flat: dict[str, Tensor] = dict(self.inter_feat.interaction)
    target, length = prefix_rows(flat[self.uid_field], self.max_item_list_len)
    if len(target) == 0:
        path = os.path.join(self.dataset_path, f"{self.dataset_name}.inter")
        raise UserError(
            f"{path}: every user has a single interaction, so there is nothing to predict. "
            "Sequential models need users with two or more; check the file, or the filters in the "
            "configuration."
        )
    fields: Sequence[str] = [field for field in flat if field != self.uid_field]
    lists: dict[str, tuple[str, int]] = {}
    for field in fields:
        list_field = getattr(self, f"{field}_list_field")
        size = self.field2seqlen[list_field]
        lists[list_field] = (field, size if isinstance(size, int) else size[0])
    self.inter_feat = PrefixInteraction(PrefixColumns(flat, lists, self.item_list_length_field, target, length))


def gathered_rows(self: Any, index: Any, join: bool = True) -> Any:
    """Stands in for ``SequentialDataset.__getitem__``: rows for a batch as plain tensors, features joined.

    A batch is looked at whole in any case, and a plain one can be copied and sent to other processes cheaply.
    """
    rows = self.inter_feat[index]
    if isinstance(rows, PrefixInteraction):
        rows = Interaction(dict(rows.interaction))
    return self.join(rows) if join else rows
