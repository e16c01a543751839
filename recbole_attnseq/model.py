"""AttnSeq as a RecBole model: RecBole's contract on the outside, the network on the inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from logging import getLogger
from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_attnseq.data.dataset import GAPS, MOMENT, different_waits, sequence_store, training_events
from recbole_attnseq.data_rules import counts_of, history_negatives, network_follows, time_gaps
from recbole_attnseq.errors import UserError
from recbole_attnseq.extensions import import_a_models
from recbole_attnseq.item_features import item_features
from recbole_attnseq.item_neighbours import check_neighbours, item_neighbours
from recbole_attnseq.nn.ensemble import Ensemble
from recbole_attnseq.nn.item_encoders import ITEM_ENCODERS
from recbole_attnseq.nn.item_lists import ItemLists
from recbole_attnseq.nn.losses import LOSSES
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.settings import NetworkSettings
from recbole_attnseq.nn.trends import Events, Trends

SPARSE_ABOVE = 50_000  # items; below, a dense update is the faster one (measured at width 64, 4,096 tokens a step)


class AttnSeq(SequentialRecommender):  # type: ignore[misc]
    """Attention-based sequential recommender: user encoder, item encoder, attention, similarity, cross-entropy.

    Args:
        config: RecBole's configuration.
        dataset: RecBole's data set, for its numbers of users, items and targets, and the items' features.

    Raises:
        UserError: a hyper-parameter that cannot work.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        import_a_models(config)  # a checkpoint's have not been imported by its settings
        keys = [field.name for field in fields(NetworkSettings) if field.name not in ("items", "max_length")]
        values = {key: config[key] for key in keys}
        self.counts = counts_of(dataset)
        waits = different_waits(dataset)
        self.timed = time_gaps(config["time_gaps"], waits)  # whether the user encoder reads them
        follows = network_follows(values, self.timed, self.counts["targets"], self.counts["items"])
        if "auto" in (values[key] for key in follows):
            each = self.counts["targets"] / max(1, self.counts["items"])
            getLogger().info(f"network: auto, with {each:.3g} targets an item: {follows}")
        settings = NetworkSettings(items=self.n_items, max_length=self.max_seq_length, **{**values, **follows})
        # A dense update of a large table would cost more than the step; several processes add dense gradients,
        # clipping takes the norm of dense ones, decay reaches rows that have none, and only Adam has a sparse form.
        dense_only = config["clip_grad_norm"] or config["weight_decay"] or str(config["learner"]).lower() != "adam"
        may_be_sparse = config["single_spec"] and not dense_only
        large = LOSSES[settings.loss_type].sampled and self.n_items > SPARSE_ABOVE and not settings.item_dense
        sparse = config["sparse_updates"] if config["sparse_updates"] != "auto" else large and may_be_sparse
        lists = item_lists(settings.item_encoder, config, dataset)
        compared = history_negatives(config, dataset)
        # Auto no more.
        self.resolved = {
            **follows, "history_negatives": compared, "sparse_updates": bool(sparse), "time_gaps": self.timed,
        }  # fmt: skip
        if waits is not None:
            self.counts["waits"] = waits
        spans, budget = check_trends(config["trends"]), elements(config["memory_budget"])
        events = Events(*training_events(dataset), count=self.n_items, budget=budget) if spans else None

        def build() -> Network:
            return Network(
                settings,
                budget=budget,
                sparse=bool(sparse),
                history_negatives=compared,
                item_lists=lists,
                trends=Trends(events, spans) if events is not None else None,
                time_gaps=self.timed,
            )

        members = check_members(config["members"])
        self.network = build() if members == 1 else Ensemble(members, build)
        self.timely = events is not None  # whether scores depend on when they are asked for

    def pack(self, interaction: Any) -> tuple[Tensor, Packing]:
        """The histories of a RecBole batch, (B, L) padded on the right, as (T,) items and their packing.

        Raises:
            UserError: the model reads how long each item waited for, and the batch does not say.
        """
        gaps = interaction[GAPS] if self.timed and GAPS in interaction else None
        return self._packed(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN], gaps)

    def _packed(self, padded: Tensor, lengths: Tensor, gaps: Tensor | None) -> tuple[Tensor, Packing]:
        if self.timed and gaps is None:
            raise UserError(
                f"this model has time_gaps, so a request needs '{GAPS}': how long each item of a history waited, (B, L)"
                " integers, as recbole_attnseq.flat.row_waits makes them of their times (float64)."
            )
        inside = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
        return padded[inside], Packing(lengths, self.max_seq_length, None if gaps is None else gaps[inside])

    def _moments(self, interaction: Any) -> Tensor | None:
        """When each row of a batch asks, and when its last item was taken, where scores depend on it.

        Raises:
            UserError: they do, and the batch does not say.
        """
        if not self.timely:
            return None
        if MOMENT not in interaction:
            raise UserError(
                f"this model has trends, so a request needs '{MOMENT}': for each row the time of the request and that "
                "of its last item, (B, 2) float64."
            )
        moments: Tensor = interaction[MOMENT]
        return moments

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Mean loss over a batch of prefixes, each with one target; what RecBole's plain trainer calls."""
        items, packing = self.pack(interaction)
        return self.network.loss(
            items, packing, packing.last, interaction[self.POS_ITEM_ID], self._moments(interaction)
        )

    def predict(self, interaction: Any) -> Tensor:
        """Scores (B,) of one item a history."""
        items, packing = self.pack(interaction)
        return self.network.pair_scores(items, packing, interaction[self.ITEM_ID], self._moments(interaction))

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores (B, N) of all items."""
        items, packing = self.pack(interaction)
        return self.network.scores(items, packing, moments=self._moments(interaction))

    def forward(self, item_seq: Tensor, item_seq_len: Tensor, gaps: Tensor | None = None) -> Tensor:
        """States (B, D) at the end of each history (B, L) of the given lengths (B,); (B, E * D) with E members.

        With ``time_gaps`` it needs the ``gaps`` (B, L) of the items as well.
        """
        items, packing = self._packed(item_seq, item_seq_len, gaps)
        return self.network.states(items, packing)[packing.last]


def item_lists(item_encoder: str, config: Any, dataset: Any) -> ItemLists | None:
    """What the item encoder of that name is made with, from the training part of the data; None where it is nothing.

    Raises:
        UserError: the settings that say which lists cannot work.
    """
    made_with = ITEM_ENCODERS[item_encoder].made_with
    if config["selected_features"] and made_with != "features":
        getLogger().warning(
            f"selected_features is {config['selected_features']}, but item_encoder '{item_encoder}' uses "
            "none: set item_encoder=features to learn from them."
        )
    if made_with == "features":
        return item_features(dataset, config["selected_features"])
    if made_with == "neighbours":
        window, limit = check_neighbours(config["neighbour_window"], config["neighbour_limit"])
        return item_neighbours(sequence_store(dataset), dataset.item_num, window, limit)
    return None


def elements(megabytes: object) -> int:
    """Float32 elements in a memory budget of ``megabytes`` MiB.

    Raises:
        UserError: the budget is no positive number.
    """
    count = 0
    if isinstance(megabytes, (int, float)) and not isinstance(megabytes, bool) and math.isfinite(megabytes):
        count = int(megabytes * 2**20 / 4)
    if count < 1:
        raise UserError(f"memory_budget is {megabytes!r}; give the MiB that a temporary may take, e.g. 128.")
    return count


def check_members(members: object) -> int:
    """How many networks score together; one where nothing is said.

    Raises:
        UserError: no whole number from 1 on.
    """
    if members is None:
        return 1
    if isinstance(members, bool) or not isinstance(members, int) or members < 1:
        raise UserError(f"members is {members!r}; give the number of networks that score together, 1 or more.")
    return members


def check_trends(spans: object) -> Sequence[float]:
    """The spans of recent popularity that join the scores; none where nothing is said.

    Raises:
        UserError: no list of lengths of time above 0.
    """
    if spans is None or spans is False:
        return ()
    good = isinstance(spans, (list, tuple)) and all(
        isinstance(span, (int, float)) and not isinstance(span, bool) and 0 < span < float("inf") for span in spans
    )
    if not good or not spans:
        raise UserError(
            f"trends is {spans!r}; give a list of lengths of time in the unit of TIME_FIELD, such as [3600, 86400] for "
            "an hour and a day, or leave it out."
        )
    return tuple(spans)  # type: ignore[arg-type]
