"""RecentPop as a RecBole model: what is going round when somebody asks. The baseline for whatever knows the time."""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_attnseq.data.dataset import MOMENT, training_events
from recbole_attnseq.errors import UserError
from recbole_attnseq.model import check_trends, elements
from recbole_attnseq.nn.trends import Events, Trends

DEFAULT_BUDGET = 128  # MiB, as AttnSeq's memory_budget


class RecentPop(SequentialRecommender):  # type: ignore[misc]
    """Items by how often they were taken in the spans ``trends`` before a request.

    Nothing is learnt, so there is one epoch. With several spans the logarithms of one plus the counts add up. After Ji
    et al., "A Re-visit of the Popularity Baseline in Recommender Systems", SIGIR 2020.

    Args:
        config: RecBole's configuration.
        dataset: RecBole's data set, with the time of every interaction.

    Raises:
        UserError: ``trends`` names no spans, or the data have no times.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        spans = check_trends(config["trends"])
        if not spans:
            raise UserError(
                "RecentPop needs trends: spans of time in the unit of TIME_FIELD, such as [86400] for a day."
            )
        budget = elements(config["memory_budget"] or DEFAULT_BUDGET)
        self.trends = Trends(Events(*training_events(dataset), count=self.n_items, budget=budget), spans)
        self.trends.weights.requires_grad_(False)
        self.nothing = nn.Parameter(torch.zeros(()))  # RecBole's trainer wants something to train

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Nothing to lose."""
        return self.nothing * 0

    def predict(self, interaction: Any) -> Tensor:
        """Scores (B,) of one item a request."""
        return self.trends.paired_features(interaction[MOMENT], interaction[self.ITEM_ID]).sum(1)

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores (B, N) of all items."""
        return self.trends.scores(interaction[MOMENT], strengths=torch.ones_like(self.trends.weights))
