"""AttnSeq's data set: RecBole's sequential one, which also offers its sequences as they lie in the flat store."""

from __future__ import annotations

from typing import Any

from recbole.data.dataset.sequential_dataset import SequentialDataset

from recbole_attnseq.data.prefixes import PrefixInteraction
from recbole_attnseq.data.store import SequenceStore


class AttnSeqDataset(SequentialDataset):  # type: ignore[misc]
    """Rows, fields and splits are RecBole's; :meth:`store` is the way around its padded rows."""

    def store(self) -> SequenceStore:
        """The targets of this part of the split, and their histories."""
        return sequence_store(self)


def sequence_store(dataset: Any) -> SequenceStore:
    """The store behind any of RecBole's sequential data sets, benchmark files included."""
    feat = dataset.inter_feat
    if isinstance(feat, PrefixInteraction):
        columns = feat.interaction
        return SequenceStore(
            items=columns.flat[dataset.iid_field],
            target=columns.target,
            length=columns.length,
            sequence=columns[dataset.uid_field],
        )
    history = getattr(dataset, f"{dataset.iid_field}_list_field")
    return SequenceStore.from_rows(feat[history], feat[dataset.item_list_length_field], feat[dataset.iid_field])
