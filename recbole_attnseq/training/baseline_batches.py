"""Cheaper batches for RecBole's own sequential models: like lengths together, trimmed to the longest.

RecBole pads every prefix to the maximum length and its models compute on the padding. For a model whose result
does not depend on trailing padding, a trimmed batch gives the same loss and the same gradients in less time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from recbole_attnseq.data.batches import fill

# Models proven equal on trimmed batches (tests/training/test_baseline_batches.py, dropout off). Proven to differ there
# and left out: LightSANs (its softmax over positions counts the padding), STAMP and NPE (RecBole initialises the
# padding's vector like any other, and these sum it up), SHAN (a softmax over the padding), NextItNet (reads the last
# column), and those with layers of the maximum length: Caser, HGN, SINE, RepeatNet.
PADDING_FREE = frozenset(
    {
        "AttnSeq", "CORE", "FDSA", "FPMC", "GCSAN", "GRU4Rec", "GRU4RecF", "HRM", "NARM", "SASRec", "SASRecF",
        "SRGNN",
    }
)  # fmt: skip


class BucketedLoader:
    """RecBole's training loader with other batches: the same rows an epoch, the same number a step.

    Everything but iteration is the wrapped loader's.

    Args:
        loader: RecBole's ``TrainDataLoader`` over a sequential data set.
        pool: how many batches' worth of random rows are sorted by length together. More means less padding, fewer
            means batches closer to a plain shuffle.
    """

    def __init__(self, loader: Any, pool: int = 16) -> None:
        self._loader = loader
        self._pool = pool
        self.epoch = 0  # the number of the next one

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def plan(self, epoch: int) -> list[Tensor]:
        """Row numbers of each batch of an epoch, by the seed and the epoch alone."""
        dataset, step = self._loader._dataset, self._loader.step
        length = dataset.inter_feat[dataset.item_list_length_field]
        generator = torch.Generator().manual_seed(self._loader.config["seed"] * 1_000_003 + epoch)
        order = torch.randperm(len(length), generator=generator)
        group = torch.arange(len(order)) // (step * self._pool)
        order = order[torch.argsort(group * (int(length.max()) + 1) + length[order], stable=True)]
        batch = fill(torch.ones_like(order), step)
        batches = order.split(torch.bincount(batch).tolist())
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[index] for index in shuffled]

    def __iter__(self) -> Iterator[Any]:
        for rows in self.plan(self.epoch):
            yield trim(self._loader.collate_fn(rows.numpy()), self._loader._dataset)
        self.epoch += 1


def trim(interaction: Any, dataset: Any) -> Any:
    """Cut the history columns (B, L) of a batch to its longest history; nothing else changes."""
    longest = int(interaction[dataset.item_list_length_field].max())
    suffix = dataset.config["LIST_SUFFIX"]
    for name in list(interaction.interaction):
        value = interaction[name]
        if name.endswith(suffix) and value.dim() >= 2 and value.shape[1] == dataset.max_item_list_len:
            interaction[name] = value[:, :longest]
    return interaction


def bucketed(loader: Any, model: str) -> Any:
    """``loader`` in cheaper batches where the model allows it, else as it is."""
    allowed = model in PADDING_FREE and hasattr(loader._dataset, "item_list_length_field") and loader.shuffle
    return BucketedLoader(loader) if allowed else loader
