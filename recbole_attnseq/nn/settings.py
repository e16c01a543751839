"""The network's settings: one field per hyper-parameter, checked before anything is built."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from recbole_attnseq.errors import UserError, unknown_name
from recbole_attnseq.nn.attention import ATTENTIONS
from recbole_attnseq.nn.item_encoders import ITEM_ENCODERS
from recbole_attnseq.nn.losses import LOSSES
from recbole_attnseq.nn.similarity import SIMILARITIES
from recbole_attnseq.nn.user_encoders import USER_ENCODERS, Transformer


@dataclass(frozen=True)
class NetworkSettings:
    """Everything that shapes the network. Field names are the configuration's keys.

    ``items`` (N, padding included) and ``max_length`` (W, steps of history) come from the data set; the rest is
    described key by key in ``defaults.yaml``.

    Raises:
        UserError: a value that cannot work, named by its key.
    """

    items: int
    max_length: int
    user_encoder: str
    item_encoder: str
    attention: str
    similarity: str
    loss_type: str
    hidden_size: int
    n_layers: int
    n_heads: int
    inner_size: int
    rnn_hidden_size: int
    user_activation: str
    item_dense: bool
    tie_embeddings: bool
    input_norm: bool
    attention_heads: int
    attention_hidden_size: int
    attention_gate: bool
    temperature: float
    num_negatives: int
    gbce_t: float
    embedding_dropout_prob: float
    hidden_dropout_prob: float
    attn_dropout_prob: float
    mean_dropout_prob: float
    layer_norm_eps: float
    initializer_range: float

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_type(field.name, str(field.type))
        for registry, key in (
            (USER_ENCODERS, "user_encoder"),
            (ITEM_ENCODERS, "item_encoder"),
            (ATTENTIONS, "attention"),
            (SIMILARITIES, "similarity"),
            (LOSSES, "loss_type"),
        ):
            if getattr(self, key) not in registry:
                raise unknown_name(key, getattr(self, key), registry)
        if self.user_activation not in ("none", "relu"):
            raise UserError(f"user_activation is '{self.user_activation}'; choose none or relu.")
        for key in (
            "items", "max_length", "hidden_size", "n_layers", "n_heads", "inner_size", "rnn_hidden_size",
            "attention_heads", "attention_hidden_size", "num_negatives", "temperature", "layer_norm_eps",
            "initializer_range",
        ):  # fmt: skip
            if getattr(self, key) <= 0:
                raise UserError(f"{key} is {getattr(self, key)}; it must be above 0.")
        for key in ("embedding_dropout_prob", "hidden_dropout_prob", "attn_dropout_prob", "mean_dropout_prob"):
            if not 0 <= getattr(self, key) < 1:
                raise UserError(f"{key} is {getattr(self, key)}; a dropout probability lies in [0, 1).")
        if not 0 <= self.gbce_t <= 1:
            raise UserError(f"gbce_t is {self.gbce_t}; gBCE's calibration lies in [0, 1].")
        if issubclass(USER_ENCODERS[self.user_encoder], Transformer):
            self._check_heads("n_heads")
        if self.attention == "multihead":
            self._check_heads("attention_heads")
        if LOSSES[self.loss_type].sampled and self.num_negatives >= self.items - 1:
            raise UserError(
                f"num_negatives is {self.num_negatives}, but there are only {self.items - 1} items, so the sample "
                f"is no sample: lower it below {self.items - 1}, or set loss_type to softmax."
            )

    def _check_type(self, key: str, wanted: str) -> None:
        value = getattr(self, key)
        if value is None:
            raise UserError(f"{key} is not set; give it a value ({wanted}).")
        good = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value),
            "bool": isinstance(value, bool),
            "str": isinstance(value, str),
        }[wanted]
        if not good:
            raise UserError(f"{key} is {value!r}; expected {wanted}.")

    def _check_heads(self, key: str) -> None:
        heads = getattr(self, key)
        if self.hidden_size % heads:
            raise UserError(
                f"{key} is {heads}, which does not divide hidden_size {self.hidden_size}: choose heads that do."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values by key; ``NetworkSettings(**settings.as_dict())`` is equal to ``settings``."""
        return asdict(self)
