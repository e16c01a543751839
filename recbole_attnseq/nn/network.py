"""The whole network: user encoder, item encoder, attention between them, similarity, loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from recbole_attnseq.errors import UserError
from recbole_attnseq.nn.attention import ATTENTIONS
from recbole_attnseq.nn.cross_entropy import linear_cross_entropy
from recbole_attnseq.nn.dropout import Dropout
from recbole_attnseq.nn.history import Histories
from recbole_attnseq.nn.item_encoders import ITEM_ENCODERS
from recbole_attnseq.nn.item_lists import ItemLists
from recbole_attnseq.nn.losses import LOSSES, Softmax
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.settings import NetworkSettings
from recbole_attnseq.nn.similarity import SIMILARITIES
from recbole_attnseq.nn.time_gaps import TimeGaps
from recbole_attnseq.nn.trends import Requests, Trends
from recbole_attnseq.nn.user_encoders import USER_ENCODERS, Transformer, TransformerMean, UserEncoder


def _user_encoder(s: NetworkSettings) -> UserEncoder:
    kind = USER_ENCODERS[s.user_encoder]
    if issubclass(kind, Transformer):
        own = {"mean_dropout": s.mean_dropout_prob} if issubclass(kind, TransformerMean) else {}
        return kind(
            width=s.hidden_size,
            layers=s.n_layers,
            heads=s.n_heads,
            inner=s.inner_size,
            window=s.max_length,
            dropout=s.hidden_dropout_prob,
            attention_dropout=s.attn_dropout_prob,
            eps=s.layer_norm_eps,
            **own,
        )
    return kind(
        width=s.hidden_size,
        hidden=s.rnn_hidden_size,
        layers=s.n_layers,
        dropout=s.hidden_dropout_prob,
        activation=s.user_activation,
    )


class Network(nn.Module):
    """Histories in, scores of items out.

    A batch of histories is ``items`` (T,), the item numbers of all sequences end to end, and a ``packing`` that
    knows where each lies.

    Args:
        settings: what to build.
        sparse: give the item tables sparse gradients; the optimizer must know them (sampled losses only).
        history_negatives: compare targets with the items of their own history as well, in the loss.
        item_lists: what the item encoder is made with: features or neighbours of each item.
        trends: what was popular when, as a term of every score; the moments of requests are then asked for.
        time_gaps: let the user encoder read how long each step waited; packings must then know it.
        budget: most elements of any temporary over (tokens x items), e.g. in the loss.

    Raises:
        UserError: the item encoder is made with lists, and there are none.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        budget: int = 1 << 25,
        sparse: bool = False,
        history_negatives: bool = True,
        item_lists: ItemLists | None = None,
        trends: Trends | None = None,
        time_gaps: bool = False,
    ) -> None:
        super().__init__()
        self.settings = s = settings
        self.budget = budget
        self.history_negatives = history_negatives
        self.similarity = SIMILARITIES[s.similarity]
        item_encoder = ITEM_ENCODERS[s.item_encoder]
        if item_encoder.made_with and item_lists is None:
            raise UserError(
                f"item_encoder '{s.item_encoder}' is made with {item_encoder.made_with} of the items; none are given."
            )
        self.item_encoder = item_encoder(
            items=s.items,
            width=s.hidden_size,
            dense=s.item_dense,
            tied=s.tie_embeddings,
            scale=s.initializer_range,
            sparse=sparse,
            **({"lists": item_lists} if item_encoder.made_with else {}),
        )
        self.input_norm = nn.LayerNorm(s.hidden_size, eps=s.layer_norm_eps) if s.input_norm else nn.Identity()
        self.input_dropout = Dropout(s.embedding_dropout_prob)
        self.user_encoder = _user_encoder(s)
        self.attention = ATTENTIONS[s.attention](
            width=s.hidden_size,
            heads=s.attention_heads,
            hidden=s.attention_hidden_size,
            scale=self.similarity.logit_scale(s.hidden_size),
            gate=s.attention_gate,
        )
        self.loss_function = LOSSES[s.loss_type](items=s.items - 1, negatives=s.num_negatives, calibration=s.gbce_t)
        self.low_precision = torch.float32  # of the logits over all items; the trainer may lower it
        self.trends = trends
        self.time_gaps = TimeGaps(s.hidden_size, s.initializer_range) if time_gaps else None
        self.sharpness = 1 / s.temperature if self.similarity.tempered else 1.0

    @property
    def causal(self) -> bool:
        """True where all positions of a history can be trained in one pass."""
        return self.user_encoder.causal

    def states(self, items: Tensor, packing: Packing) -> Tensor:
        """States (T, D) after each step, ready to be compared.

        Raises:
            ValueError: the network reads waits, and the packing knows none.
        """
        # Embeddings start far smaller than what a pre-norm block adds to them: without the normalisation the
        # items would drown in the residual stream.
        embedded = self.input_dropout(self.input_norm(self.item_encoder.inputs(items)))
        if self.time_gaps is not None:
            if packing.gaps is None:
                raise ValueError("this network has time_gaps, so a packing needs the gaps of its tokens.")
            embedded = embedded + self.time_gaps(packing.gaps, packing.starts)
        return self.similarity.prepare(self.user_encoder(embedded, packing))

    def vectors(self, items: Tensor | None = None) -> Tensor:
        """Vectors (..., D) of ``items`` (...), or (N, D) of all, ready to be compared."""
        encoder = self.item_encoder
        return self.similarity.prepare(encoder.all() if items is None else encoder(items))

    @property
    def networks(self) -> list[Network]:
        """What learns by itself: an ensemble has several."""
        return [self]

    def scores(
        self, items: Tensor, packing: Packing, vectors: Tensor | None = None, moments: Tensor | None = None
    ) -> Tensor:
        """Scores (B, K) of candidates at the end of each sequence.

        Args:
            items: (T,) histories.
            packing: where each lies.
            vectors: (K, D) of candidates, by default all items; with trends all of them, in their order.
            moments: (B, 2) when each asks, and when its last item was taken, for trends.

        Raises:
            ValueError: there are trends and no moments, or moments and no trends.
        """
        taste = self.taste(items, packing, vectors)
        return taste if self.trends is None and moments is None else taste + self.recent(moments)

    def taste(self, items: Tensor, packing: Packing, vectors: Tensor | None = None) -> Tensor:
        """Scores (B, K) of candidates with ``vectors`` (K, D), by default all items, whatever goes round."""
        candidates = self.vectors() if vectors is None else vectors
        if not self.attention.uses_history:
            return self.last_states(items, packing) @ candidates.T
        states = self.states(items, packing)
        step = max(1, self.budget // self._rows(packing))
        parts = [self.attention.final(states, part, packing) for part in candidates.split(step)]
        return torch.cat(parts, dim=1) * self.sharpness

    def last_states(self, items: Tensor, packing: Packing) -> Tensor:
        """States (B, D) at the end of each sequence, sharpened: all that an attention without history compares."""
        return self.states(items, packing)[packing.last] * self.sharpness

    def recent(self, moments: Tensor | None) -> Tensor:
        """What recent popularity adds to the scores (B, N) of all items at ``moments`` (B, 2)."""
        requests = self._requests(moments)
        return requests.trends.scores(requests.moments)

    def pair_scores(self, items: Tensor, packing: Packing, candidates: Tensor, moments: Tensor | None = None) -> Tensor:
        """Scores (B,) of one candidate a sequence: ``candidates`` (B,) item numbers, at ``moments`` (B, 2)."""
        states = self.states(items, packing)
        scores = self.attention.final_paired(states, self.vectors(candidates), packing) * self.sharpness
        if self.trends is None and moments is None:
            return scores
        requests = self._requests(moments)
        return scores + requests.trends.paired(requests.moments, candidates)

    def _requests(self, moments: Tensor | None) -> Requests:
        if self.trends is None or moments is None:
            raise ValueError("recent popularity needs trends and moments; one of the two is missing.")
        return Requests(self.trends, moments)

    def loss(
        self, items: Tensor, packing: Packing, queries: Tensor, targets: Tensor, moments: Tensor | None = None
    ) -> Tensor:
        """Mean loss of predicting ``targets`` (M,) after the tokens ``queries`` (M,).

        Args:
            items: (T,) histories.
            packing: where each lies.
            queries: (M,) tokens, ascending.
            targets: (M,) item number that follows each.
            moments: (M, 2) when each follows and when the item before it was taken, for trends.
        """
        requests = None if self.trends is None else self._requests(moments)
        states = self.states(items, packing)
        # Any other loss over all items is computed as a sampled one whose sample is all of them.
        full = type(self.loss_function) is Softmax
        histories = None if self.history_negatives else Histories(items, *packing.histories(queries), targets)
        if not self.attention.uses_history and full:
            return linear_cross_entropy(
                states[queries] * self.sharpness,
                self.vectors(),
                targets,
                budget=self.budget,
                low_precision=self.low_precision,
                histories=histories,
                requests=requests,
            )
        # A batch of prefixes asks for the end of each sequence alone.
        where = None if torch.equal(queries, packing.last) else queries
        positive = self._paired(states, targets, packing, where) * self.sharpness
        if requests is not None:
            positive = positive + requests.trends.paired(requests.moments, targets)
        if full:
            return self._chunked_softmax(states, packing, where, positive, histories, requests)
        if self.loss_function.sampled:
            drawn = torch.randint(1, self.settings.items, (self.settings.num_negatives,), device=items.device)
        else:
            drawn = torch.arange(1, self.settings.items, device=items.device)
        negative = self._shared_by_parts(states, self.vectors(drawn), packing, where) * self.sharpness
        if requests is not None:
            negative = negative + requests.trends.scores(requests.moments, drawn)
        accident = drawn == targets[:, None]
        if histories is not None:
            accident |= histories.among(drawn)
        return self.loss_function.forward(positive, negative.masked_fill(accident, float("-inf")))

    def _rows(self, packing: Packing) -> int:
        """Elements that scoring one candidate at the ends takes: a padded batch of logits, or of mixed states."""
        return len(packing.lengths) * max(packing.longest, self.settings.hidden_size)

    def _paired(self, states: Tensor, targets: Tensor, packing: Packing, queries: Tensor | None) -> Tensor:
        """Scores (M,) of ``targets`` (M,), each after its own of ``queries`` (M,), or at the end of its sequence."""
        if queries is None:
            return self.attention.final_paired(states, self.vectors(targets), packing)
        if not self.attention.uses_history:
            return self.attention.paired(states[queries], self.vectors(targets), packing)
        wanted = targets.new_zeros(len(states)).index_put((queries,), targets)
        return self.attention.paired(states, self.vectors(wanted), packing)[queries]

    def _shared(self, states: Tensor, candidates: Tensor, packing: Packing, queries: Tensor | None) -> Tensor:
        """Scores (M, K) of candidates (K, D) after ``queries`` (M,), or at the end of each sequence."""
        if queries is None:
            return self.attention.final(states, candidates, packing)
        if not self.attention.uses_history:
            return self.attention.shared(states[queries], candidates, packing)
        return self.attention.shared(states, candidates, packing)[queries]

    def _shared_by_parts(self, states: Tensor, candidates: Tensor, packing: Packing, queries: Tensor | None) -> Tensor:
        """:meth:`_shared`, candidates by chunks where each takes a history's worth of memory."""
        step = self._candidates_at_once(states, packing, queries)
        if not self.attention.uses_history or len(candidates) <= step:
            return self._shared(states, candidates, packing, queries)
        parts = [
            checkpoint(self._shared, states, part, packing, queries, use_reentrant=False)
            for part in candidates.split(step)
        ]
        return torch.cat(parts, dim=1)

    def _candidates_at_once(self, states: Tensor, packing: Packing, queries: Tensor | None) -> int:
        """How many candidates the budget allows to score against histories at a time."""
        return max(1, self.budget // (self._rows(packing) if queries is None else len(states)))

    def _chunked_softmax(
        self,
        states: Tensor,
        packing: Packing,
        queries: Tensor | None,
        positive: Tensor,
        histories: Histories | None,
        requests: Requests | None,
    ) -> Tensor:
        """Full cross-entropy where scoring needs the history: items by chunks, recomputed for the gradient."""
        vectors = self.vectors()[1:]
        numbers = torch.arange(1, self.settings.items, device=states.device)
        step = self._candidates_at_once(states, packing, queries)

        def mass(u: Tensor, v: Tensor, candidates: Tensor) -> Tensor:
            scores = self._shared(u, v, packing, queries) * self.sharpness
            if requests is not None:
                scores = scores + requests.trends.scores(requests.moments, candidates)
            if histories is not None:
                scores = scores.masked_fill(histories.among(candidates), float("-inf"))
            return torch.logsumexp(scores, dim=1)

        parts = list(zip(vectors.split(step), numbers.split(step), strict=True))
        if len(parts) == 1:
            return (mass(states, *parts[0]) - positive).mean()
        masses = [checkpoint(mass, states, *part, use_reentrant=False) for part in parts]
        return (torch.logsumexp(torch.stack(masses), dim=0) - positive).mean()
