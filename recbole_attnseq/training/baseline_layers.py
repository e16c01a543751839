"""Cheaper arithmetic for RecBole's own models: the same function, the same gradients, the same parameters.

RecBole's transformers spell GELU out in six passes over memory, draw a double for each element that dropout looks at,
and compute the last layer for every position though only the last one is read; BERT4Rec encodes padding and scores all
items for places that hold no mask; Caser's convolutions are of a shape that CPUs have no kernel for. Each replacement
here is proven equal (tests/training/test_baseline_layers.py, dropout off), so a baseline's figures stay RecBole's while
its hours shrink. Dropout's masks have the same distribution but are other draws, so a run with these layers and one
without agree as two seeds do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_attnseq.nn.dropout import Dropout
from recbole_attnseq.training.baseline_batches import like_lengths
from recbole_attnseq.training.caser_windows import caser_forward
from recbole_attnseq.training.last_states import lightsans_forward, mixed_values

# Models of whose encoder's output only each history's last state is read.
LAST_STATE_ONLY = frozenset({"SASRec", "SASRecF"})


def lighten(model: Any, name: str) -> bool:
    """Put cheaper arithmetic under a RecBole model, in place; parameters and their names stay.

    Args:
        model: fresh from ``get_model``.
        name: of the model, as RecBole knows it.

    Returns:
        Whether anything was replaced.
    """
    from recbole.model.layers import FeedForward, LightMultiHeadAttention, MultiHeadAttention

    modules = list(model.modules())
    # Elsewhere dropout is no cost worth other draws: a GRU's input has it once.
    attends = any(isinstance(module, (MultiHeadAttention, LightMultiHeadAttention)) for module in modules)
    changed = False
    for module in modules:
        if isinstance(module, FeedForward) and module.intermediate_act_fn == module.gelu:
            module.intermediate_act_fn = F.gelu
            changed = True
        if isinstance(module, MultiHeadAttention):
            _replace(module, _attend)
            changed = True
        changed |= _cheap_dropout(module, attends)
    if name in LAST_STATE_ONLY:
        _replace(model.trm_encoder, _encode_last)
    if name == "LightSANs":
        _replace(model, lightsans_forward)
        changed = True
    if name == "BERT4Rec" and model.loss_type == "CE":
        _replace(model, _masked_items_loss, "calculate_loss")
        changed = True
    # On a GPU convolutions have their kernels, and a loop over offsets would be slower.
    if name == "Caser" and model.fc1.weight.device.type == "cpu":
        _replace(model, caser_forward)
        changed = True
    return changed


def _replace(module: Any, method: Callable[..., Any], name: str = "forward") -> None:
    setattr(module, name, MethodType(method, module))


def _cheap_dropout(module: nn.Module, fine: bool) -> bool:
    """Exchange dropouts for those of the same distribution: of 256ths, and with ``fine`` of any probability."""
    found = [
        (name, child.p, (256 * child.p).is_integer())
        for name, child in module.named_children()
        if type(child) is nn.Dropout and 0 < child.p < 1
    ]
    found = [(name, probability, coarse) for name, probability, coarse in found if coarse or fine]
    for name, probability, coarse in found:
        setattr(module, name, Dropout(probability, 8 if coarse else 32))
    return bool(found)


def _attend(self: Any, states: Tensor, mask: Tensor) -> Tensor:
    """RecBole's ``MultiHeadAttention`` with one product for queries, keys and values.

    Args:
        self: the module.
        states: (B, L, D).
        mask: broadcastable to (B, H, L, L), added to the logits.

    Returns:
        (B, L, D).
    """
    heads, size = self.num_attention_heads, self.attention_head_size
    parts = (self.query, self.key, self.value)
    weight, bias = torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
    batch, length, _ = states.shape
    query, key, value = F.linear(states, weight, bias).view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4)
    logits = (query / math.sqrt(size)) @ key.transpose(2, 3)
    weights = self.attn_dropout(logits.add_(mask).softmax(-1))
    mixed = (weights @ value).transpose(1, 2).reshape(batch, length, heads * size)
    hidden: Tensor = self.LayerNorm(self.out_dropout(self.dense(mixed)) + states)
    return hidden


def _attend_last(attention: Any, last: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    """The same for one query a history, so that neither keys nor values need be made of every state.

    A query's product with all keys is its product with the states, after the keys' weights are folded into it; the
    keys' bias adds the same to all logits of a query, which softmax does not see.

    Args:
        attention: RecBole's module.
        last: (B, D) the querying states.
        states: (B, L, D).
        mask: (B, 1, L), added to the logits.

    Returns:
        (B, D).
    """
    heads, size = attention.num_attention_heads, attention.attention_head_size
    query = attention.query(last).view(-1, heads, size) / math.sqrt(size)
    folded = torch.einsum("bhs,hsd->bhd", query, attention.key.weight.view(heads, size, -1))
    weights = attention.attn_dropout((folded @ states.transpose(1, 2) + mask).softmax(-1))  # (B, H, L)
    mixed = mixed_values(attention, weights, states)
    hidden: Tensor = attention.LayerNorm(attention.out_dropout(attention.dense(mixed.flatten(1))) + last)
    return hidden


def _encode_last(self: Any, states: Tensor, mask: Tensor, output_all_encoded_layers: bool = True) -> list[Tensor]:
    """RecBole's ``TransformerEncoder`` where nobody reads more than each history's last state.

    Args:
        self: the module.
        states: (B, L, D), histories at the front, padding behind.
        mask: (B, 1, L, L), causal: 0 where a position may look.
        output_all_encoded_layers: RecBole's; the models named above take the last layer in any case.

    Returns:
        One tensor (B, L, D) that holds the last state at each position.
    """
    *layers, top = self.layer
    for layer in layers:
        states = layer(states, mask)
    row = torch.arange(len(states), device=states.device)
    position = (mask[:, 0, -1] == 0).sum(-1) - 1
    last = _attend_last(top.multi_head_attention, states[row, position], states, mask[row, :, position])
    return [top.feed_forward(last).unsqueeze(1).expand_as(states)]


def _masked_items_loss(self: Any, interaction: Any) -> Tensor:
    """RecBole's ``BERT4Rec.calculate_loss`` (CE), which gives every history as many masks as the longest may have.

    What it multiplies by zero is left out, and so is the padding: histories of like lengths are encoded together, cut
    to their longest. The batch stays RecBole's, since the loss is a mean over its masks. As there, a mask at position 0
    cannot be told from none, and a batch without any other has no loss (NaN).
    """
    sequences, index, items = (interaction[key] for key in (self.MASK_ITEM_SEQ, self.MASK_INDEX, self.POS_ITEMS))
    length = (sequences > 0).sum(-1)
    states, targets = [], []
    for rows in like_lengths(length):
        encoded = self.forward(sequences[rows, : int(length[rows[-1]])])  # (N, L, D)
        row, mask = (index[rows] > 0).nonzero(as_tuple=True)  # of (N, masks)
        states.append(encoded[row, index[rows][row, mask]])
        targets.append(items[rows][row, mask])
    logits = torch.cat(states) @ self.item_embedding.weight[: self.n_items].T + self.output_bias
    return F.cross_entropy(logits, torch.cat(targets))
