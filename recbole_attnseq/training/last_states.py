"""Last layers for the one state of a history that is read: LightSANs' whole one, and what it shares with SASRec's.

RecBole's LightSANs encodes every position in every layer and then gathers the last item's. Its attention asks a few
interests, weighted means of the history, and a softmax runs over the positions (padding is among them, as there): so
all positions take part, but behind the softmax one row is enough, and dense layers around weighted means can be applied
to the means.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def lightsans_forward(self: Any, item_seq: Tensor, item_seq_len: Tensor) -> Tensor:
    """Stands in for RecBole's ``LightSANs.forward``.

    Args:
        self: the model.
        item_seq: (B, L).
        item_seq_len: (B,).

    Returns:
        (B, D), the state of each history's last item.
    """
    items, positions = self.embedding_layer(item_seq)  # (B, L, D), (L, D)
    states = self.dropout(self.LayerNorm(items))
    *layers, top = self.trm_encoder.layer
    for layer in layers:
        states = layer(states, positions)
    hidden: Tensor = top.feed_forward(_attend_last(top.multi_head_attention, states, positions, item_seq_len - 1))
    return hidden


def _attend_last(attention: Any, states: Tensor, positions: Tensor, last: Tensor) -> Tensor:
    """RecBole's ``LightMultiHeadAttention`` at one position of each history.

    Args:
        attention: the module.
        states: (B, L, D).
        positions: (L, D) the positions' embeddings.
        last: (B,) the position that is asked for.

    Returns:
        (B, D).
    """
    heads, size = attention.num_attention_heads, attention.attention_head_size
    row = torch.arange(len(states), device=states.device)
    keys = _interests(attention.attpooling_key, attention.key, states).unflatten(-1, (heads, size))  # (B, K, H, S)
    values = _interests(attention.attpooling_value, attention.value, states).unflatten(-1, (heads, size))
    # The query's bias adds the same at all positions, which a softmax over positions does not see.
    folded = torch.einsum("bkhs,hsd->bdhk", keys, attention.query.weight.view(heads, size, -1)).flatten(2)
    scores = (states @ folded / math.sqrt(size)).softmax(1)[row, last].unflatten(-1, (heads, -1))  # (B, H, K)
    of_items = torch.einsum("bhk,bkhs->bhs", attention.attn_dropout(scores), values)

    places = attention.pos_ln(positions)
    query = attention.pos_q_linear(places).unflatten(-1, (heads, size)) * attention.pos_scaling  # (L, H, S)
    key = attention.pos_k_linear(places).unflatten(-1, (heads, size))
    # A softmax over the asking positions.
    bias = (torch.einsum("qhs,khs->qhk", query, key) / math.sqrt(size)).softmax(0)[last]  # (B, H, L)
    of_positions = mixed_values(attention, bias, states)

    hidden = attention.out_dropout(attention.dense((of_items + of_positions).flatten(1)))
    result: Tensor = attention.LayerNorm(hidden + states[row, last])
    return result


def mixed_values(attention: Any, weights: Tensor, states: Tensor) -> Tensor:
    """(B, H, S): values of states (B, L, D) mixed by weights (B, H, L), the values' layer applied to the mixtures."""
    heads, size = attention.num_attention_heads, attention.attention_head_size
    mixed = torch.einsum("bhd,hsd->bhs", weights @ states, attention.value.weight.view(heads, size, -1))
    # Weights behind dropout, or of a softmax over the asking positions, do not sum to 1.
    result: Tensor = mixed + weights.sum(-1, keepdim=True) * attention.value.bias.view(heads, size)
    return result


def _interests(pooling: Any, dense: Any, states: Tensor) -> Tensor:
    """(B, K, D): RecBole's pooling of ``dense(states)``, states (B, L, D), with the layer applied to the K means."""
    weights = (states @ (dense.weight.T @ pooling.theta)).softmax(1)  # (B, L, K); the bias is the same at all positions
    result: Tensor = dense(weights.transpose(1, 2) @ states)
    return result
