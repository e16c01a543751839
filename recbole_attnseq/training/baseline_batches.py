"""RecBole's own sequential models without padding: like lengths together, cut to the longest.

RecBole pads every prefix to the maximum length and its models compute on the padding. For a model whose result does not
depend on trailing padding, histories that are cut give the same loss and the same gradients in less time.

There are two ways. `grouped` leaves RecBole its batches, drawn from all rows, and computes each in groups of like
lengths. `bucketed` makes the batches themselves of like lengths, which is other training: of a small data set every
step sees histories of one length.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from recbole_attnseq.data.batches import fill

# Models proven equal on trimmed batches (tests/training/test_baseline_batches.py, dropout off). Proven to differ there
# and left out: LightSANs (its softmax over positions counts the padding), STAMP and NPE (RecBole initialises the
# padding's vector like any other, and these sum it up), SHAN (a softmax over the padding), NextItNet (reads the last
# column), HRM (its last items are padding where a history has fewer), and those with layers of the maximum length:
# Caser, HGN, SINE, RepeatNet.
PADDING_FREE = frozenset(
    {
        "AttnSeq", "CORE", "FDSA", "FPMC", "GCSAN", "GRU4Rec", "GRU4RecF", "NARM", "SASRec", "SASRecF",
        "SRGNN",
    }
)  # fmt: skip


KINDS = ("grouped", "bucketed")
# Fewer would leave less padding but more calls; what a layer makes of so many stays in a CPU's cache.
GROUP = 256


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


def may_cut(loader: Any, model: str) -> bool:
    """Whether a model may have its histories cut in what this loader gives."""
    return model in PADDING_FREE and hasattr(loader._dataset, "item_list_length_field") and loader.shuffle


def bucketed(loader: Any, model: str) -> Any:
    """``loader`` in batches of like lengths where the model allows it, else as it is."""
    return BucketedLoader(loader) if may_cut(loader, model) else loader


def like_lengths(lengths: Tensor) -> tuple[Tensor, ...]:
    """Row numbers (N,) of each group that is encoded together, shortest histories (B,) first."""
    # A GPU would rather have one large group than many small ones.
    groups: tuple[Tensor, ...] = lengths.argsort().split(GROUP if lengths.device.type == "cpu" else len(lengths))
    return groups


def group(model: Any, name: str, loader: Any) -> None:
    """Have a model compute its batches in groups of like lengths, where it allows that; the batches stay RecBole's.

    The loss of a batch is the mean over its rows for all models named above, so that of the groups' losses, weighted by
    their numbers of rows, is the same.

    Args:
        model: RecBole's, changed in place.
        name: as RecBole knows it.
        loader: of its training data.
    """
    if not may_cut(loader, name) or next(model.parameters()).device.type != "cpu":
        return
    dataset, whole = loader._dataset, model.calculate_loss

    def calculate_loss(self: Any, interaction: Any) -> Tensor:
        lengths = interaction[dataset.item_list_length_field]
        total = torch.zeros(())
        for rows in like_lengths(lengths):
            loss = whole(trim(interaction[rows], dataset))
            total = total + loss * (len(rows) / len(lengths))
        return total

    model.calculate_loss = MethodType(calculate_loss, model)
