"""AttnSeq's data set: RecBole's sequential one, which also offers its sequences as they lie in the flat store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from recbole.data.dataset.sequential_dataset import SequentialDataset
from torch import Tensor

from recbole_attnseq.data.prefixes import PrefixColumns, PrefixInteraction, reached, waited
from recbole_attnseq.data.store import SequenceStore
from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import waits

# The exact times of a row's target and of the item before it, where trends ask for them: RecBole keeps times in
# float32, where a minute is lost. A header of an atomic file cannot have this name.
MOMENT = "time:exact"
# How long each item of a history waited for, (B, L); and the same of every interaction, in the flat table.
GAPS, GAP = "time:gaps", "time:gap"


class AttnSeqDataset(SequentialDataset):  # type: ignore[misc]
    """Rows, fields and splits are RecBole's; :meth:`store` is the way around its padded rows."""

    exact_times: Any  # (M,) float64 of every interaction, where something asks for them; see compat.py

    def data_augmentation(self) -> None:
        """RecBole's rows; where ``trends`` or ``time_gaps`` ask for them, with the exact times that they need."""
        super().data_augmentation()
        if getattr(self, "exact_times", None) is None:
            return
        columns, times = self.inter_feat.interaction, torch.from_numpy(self.exact_times)
        if self.config["trends"]:
            columns[MOMENT] = torch.stack([times[columns.target], times[columns.target - 1]], dim=1)
        if self.config["time_gaps"]:
            gaps = waits(times, columns.flat[self.uid_field])
            columns.add_list(GAPS, GAP, gaps, self.max_item_list_len)
        if not self.config["trends"] and "TS" not in (self.config["eval_args"]["split"] or {}):
            self.exact_times = None  # nobody else needs them

    def leave_one_out(self, group_by: str, leave_one_mode: str) -> list[Any]:
        """RecBole's split, row for row, without a Python list of every row of every user."""
        held_out = {"valid_and_test": 2, "valid_only": 1, "test_only": 1}
        if group_by is None or leave_one_mode not in held_out:
            result: list[Any] = super().leave_one_out(group_by, leave_one_mode)  # which says what is wrong
            return result
        order, place, size = _grouped(self.inter_feat[group_by].numpy())
        out = np.minimum(held_out[leave_one_mode], size - 1)  # the first row of a user is always trained on
        behind = size - place  # 1 for a user's last row
        train, last = order[behind > out], order[(behind == 1) & (out >= 1)]
        if leave_one_mode == "valid_and_test":
            return self._parts(train, order[(behind == 2) & (out >= 2)], last)
        return self._parts(train, *((last, last[:0]) if leave_one_mode == "valid_only" else (last[:0], last)))

    def split_by_ratio(self, ratios: Sequence[float], group_by: str | None = None) -> list[Any]:
        """RecBole's split, row for row, without a Python list of every row of every user."""
        if group_by is None:
            result: list[Any] = super().split_by_ratio(ratios, group_by)
            return result
        shares = [ratio / sum(ratios) for ratio in ratios]
        order, place, size = _grouped(self.inter_feat[group_by].numpy())
        sizes, which = np.unique(size, return_inverse=True)
        cuts = np.array([[0, *self._calcu_split_ids(tot=int(n), ratios=shares), n] for n in sizes])[which]
        return self._parts(*(order[(place >= cuts[:, i]) & (place < cuts[:, i + 1])] for i in range(len(shares))))

    def _parts(self, *rows: npt.NDArray[np.int64]) -> list[Any]:
        self._drop_unused_col()
        return [self.copy(self.inter_feat[torch.from_numpy(part)]) for part in rows]

    def store(self) -> SequenceStore:
        """The targets of this part of the split, and their histories."""
        return sequence_store(self)


def _grouped(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows by group, groups by first appearance, as RecBole goes through them.

    Returns:
        (R,) row numbers in that order, and for each its place in its group from 0 and its group's size.
    """
    codes, _ = pd.factorize(keys)
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    grouped = codes[order]
    return order, np.arange(len(order)) - starts[grouped], counts[grouped]


def sequence_store(dataset: Any) -> SequenceStore:
    """The store behind any of RecBole's sequential data sets, benchmark files included.

    Raises:
        UserError: a row of a benchmark file has no history, so that there is nothing to predict its target from.
    """
    feat = dataset.inter_feat
    if isinstance(feat, PrefixInteraction):
        columns = feat.interaction
        return SequenceStore(
            items=columns.flat[dataset.iid_field],
            target=columns.target,
            length=columns.length,
            sequence=columns[dataset.uid_field],
            moment=columns.get(MOMENT),
            gaps=columns.flat.get(GAP),
        )
    history = getattr(dataset, f"{dataset.iid_field}_list_field")
    lengths = feat[dataset.item_list_length_field]
    empty = (lengths < 1).nonzero().flatten()
    if len(empty):
        raise UserError(
            f"{len(empty)} of {len(lengths)} rows in a benchmark file of '{dataset.dataset_name}' have an empty "
            f"{history} (row {int(empty[0]) + 1} is the first): leave rows without a history out."
        )
    return SequenceStore.from_rows(feat[history], lengths, feat[dataset.iid_field])


def different_waits(dataset: Any) -> int | None:
    """How many different waits, by doublings, the histories of training tell; None where they come without.

    Args:
        dataset: the training part of a split.
    """
    columns = dataset.inter_feat.interaction
    gaps = columns.flat.get(GAP) if isinstance(columns, PrefixColumns) else None
    if gaps is None:
        return None
    return int(torch.bincount(gaps[waited(columns)]).count_nonzero())  # they are small numbers: no sort of them all


def training_events(dataset: Any) -> tuple[Tensor, Tensor]:
    """When and of what the interactions are that training knows: its targets, and the histories before them.

    Args:
        dataset: the training part of a split.

    Returns:
        Times (E,) float64 and item numbers (E,).

    Raises:
        UserError: the rows have no exact times.
    """
    feat = dataset.inter_feat
    columns = feat.interaction
    if not isinstance(feat, PrefixInteraction) or MOMENT not in columns:
        raise UserError(
            "trends need the time of every interaction: load TIME_FIELD's column, set eval_args' order to TO, and "
            "leave benchmark_filename out."
        )
    items, times = columns.flat[dataset.iid_field], torch.from_numpy(dataset.exact_times)
    known = reached([columns])
    return times[known], items[known]
