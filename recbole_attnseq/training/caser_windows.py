"""Caser's convolutions over every window of a history, as dense products.

RecBole's Caser has one convolution a window width, 1 to L, each over an image of a single channel that is as wide as
the embedding: a shape for which no CPU kernel is made. Here every item is multiplied with what all windows want of an
item at one offset, for each offset in turn, and the products are added where the windows begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Histories a piece: its sums over all windows stay in a processor's caches.
_PIECE = 32


class _LargestOfWindows(torch.autograd.Function):
    """The largest of 0 and a filter's answers at all windows of its width.

    Args (of ``forward``):
        items: (B, L, D).
        weight: (L, D, L * C), offset by width and channel; a width w has zeros from offset w on.
        bias: (L * C,).

    Returns:
        (B, L * C), widths in order, channels within a width.
    """

    @staticmethod
    def forward(ctx: Any, items: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        length, filters = items.shape[1], len(bias)
        channels = filters // length
        # A window of width w fits at the first L - w + 1 places.
        place = torch.arange(length, device=items.device)
        outside = place[:, None] + place > length - 1  # (place, width - 1)
        outside = outside.repeat_interleave(channels, 1)
        largest, where = [], []
        for piece in items.split(_PIECE):
            answers = _answers(piece, weight, bias).masked_fill_(outside[:, None], 0.0)
            best, at = answers.max(0)
            largest.append(best)
            where.append(at.short())
        result = torch.cat(largest).clamp_(min=0)
        ctx.save_for_backward(items, weight, result, torch.cat(where))
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        items, weight, result, where = ctx.saved_tensors
        arriving = gradients[0] * (result > 0)
        items_gradient, weight_gradient = torch.empty_like(items), torch.zeros_like(weight)
        pieces = (tensor.split(_PIECE) for tensor in (items, items_gradient, arriving, where))
        for piece, target, gradient, at in zip(*pieces, strict=True):
            answers = gradient.new_zeros(items.shape[1], *gradient.shape)
            answers.scatter_(0, at.long()[None], gradient[None])
            target.copy_(_back(piece, weight, answers, weight_gradient))
        return items_gradient, weight_gradient, arriving.sum(0)


def _answers(items: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(L, B, L * C): every filter at every place; where its window does not fit, a number without meaning."""
    batch, length, width = items.shape
    flat = items.transpose(0, 1).reshape(length * batch, width)
    sums = bias.repeat(length * batch, 1)
    for offset, rows, first in _steps(length, batch, len(bias) // length):
        sums[:rows, first:].addmm_(flat[-rows:], weight[offset, :, first:])
    return sums.view(length, batch, -1)


def _back(items: Tensor, weight: Tensor, answers: Tensor, weight_gradient: Tensor) -> Tensor:
    """Gradient (B, L, D) of the items, given that (L, B, L * C) of the answers; the weights' is added up in place."""
    batch, length, width = items.shape
    flat = items.transpose(0, 1).reshape(length * batch, width)
    answers = answers.view(length * batch, -1)
    gradient = torch.zeros_like(flat)
    for offset, rows, first in _steps(length, batch, answers.shape[1] // length):
        part = answers[:rows, first:]
        gradient[-rows:].addmm_(part, weight[offset, :, first:].T)
        weight_gradient[offset, :, first:].addmm_(flat[-rows:].T, part)
    return gradient.view(length, batch, width).transpose(0, 1)


def _steps(length: int, batch: int, channels: int) -> Iterator[tuple[int, int, int]]:
    """For each offset: how many first rows have windows that reach so far, and the first column of such windows."""
    for offset in range(length):
        yield offset, (length - offset) * batch, offset * channels


def caser_forward(self: Any, user: Tensor, item_seq: Tensor) -> Tensor:
    """Stands in for RecBole's ``Caser.forward``, which needs filters of both kinds.

    Args:
        self: the model.
        user: (B,).
        item_seq: (B, L), L the maximum length.

    Returns:
        (B, D).
    """
    items = self.item_embedding(item_seq)  # (B, L, D)
    length = items.shape[1]
    # (L widths, C, L offsets, D), zeros behind a width's last offset.
    filters = torch.stack(
        [F.pad(conv.weight[:, 0], (0, 0, 0, length - width)) for width, conv in enumerate(self.conv_h, 1)]
    )
    weight = filters.permute(2, 3, 0, 1).flatten(2).contiguous()
    bias = torch.cat([conv.bias for conv in self.conv_h])
    windows = _LargestOfWindows.apply(items, weight, bias)  # type: ignore[no-untyped-call]
    features = torch.cat([self.conv_v(items.unsqueeze(1)).view(-1, self.fc1_dim_v), windows], 1)
    hidden = self.ac_fc(self.fc1(self.dropout(features)))
    state: Tensor = self.ac_fc(self.fc2(torch.cat([hidden, self.user_embedding(user).squeeze(1)], 1)))
    return state
