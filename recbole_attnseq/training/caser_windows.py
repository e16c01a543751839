"""Caser's convolutions over every window of a history, as dense products.

RecBole's Caser has one convolution a window width, 1 to L, each over an image of a single channel that is as wide as
the embedding: a shape for which no CPU kernel is made. Here every item is multiplied with what all windows want of an
item at one offset, for each offset in turn, and the products are added where the windows begin.

A history shorter than L ends in padding, one vector again and again: what windows take of it is summed up once for all
histories, and of the windows that hold nothing else the first stands for all.
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
        items: (B, L, D), padding behind each history.
        lengths: (B,) of the histories.
        padding: (D,) the vector of padding; like an ``nn.Embedding``'s it gets no gradient from here.
        weight: (L, D, L * C), offset by width and channel; a width w has zeros from offset w on.
        bias: (L * C,).

    Returns:
        (B, L * C), widths in order, channels within a width.
    """

    @staticmethod
    def forward(ctx: Any, items: Tensor, lengths: Tensor, padding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        length, filters = items.shape[1], len(bias)
        channels = filters // length
        # A window of width w fits at the first L - w + 1 places.
        place = torch.arange(length, device=items.device)
        outside = place[:, None] + place > length - 1  # (place, width - 1)
        outside = outside.repeat_interleave(channels, 1)
        # What windows take of padding from each offset on: (L + 1, L * C).
        beyond = F.pad(padding @ weight, (0, 0, 0, 1)).flip(0).cumsum(0).flip(0) + bias
        result = torch.empty(len(items), filters, dtype=items.dtype, device=items.device)
        where = torch.empty(len(items), filters, dtype=torch.int16, device=items.device)
        pieces = _like_lengths(lengths, length)
        for rows, end in pieces:
            begin = beyond[place[:end].flip(0) + 1]  # a window at place p meets its first padding at offset end - p
            answers = _answers(items[rows, :end], weight, begin).masked_fill_(outside[:end, None], -torch.inf)
            best, at = answers.max(0)
            result[rows], where[rows] = best.clamp_(min=0), at.short()
        ctx.pieces = pieces
        ctx.save_for_backward(items, padding, weight, result, where)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, Tensor, Tensor]:
        items, padding, weight, result, where = ctx.saved_tensors
        arriving = gradients[0] * (result > 0)
        items_gradient, weight_gradient = torch.zeros_like(items), torch.zeros_like(weight)
        of_padding = torch.zeros_like(weight[:, 0])  # (L, L * C) how much of the gradient met padding at an offset
        for rows, end in ctx.pieces:
            answers = arriving.new_zeros(end, len(rows), arriving.shape[1])
            answers.scatter_(0, where[rows].long()[None], arriving[rows][None])
            items_gradient[rows, :end] = _back(items[rows, :end], weight, answers, weight_gradient)
            # Windows at place p meet padding from offset end - p on, those at the last place first.
            met = answers.sum(1).flip(0).cumsum(0)
            of_padding[1 : end + 1] += met[: len(of_padding) - 1]
            of_padding[end + 1 :] += met[-1]
        weight_gradient += padding[None, :, None] * of_padding[:, None]
        return items_gradient, None, None, weight_gradient, arriving.sum(0)


def _like_lengths(lengths: Tensor, longest: int) -> list[tuple[Tensor, int]]:
    """Row numbers of each piece of a batch, and how many places its histories need: one more than items, up to L."""
    order = lengths.argsort()
    ends = (lengths[order] + 1).clamp(max=longest)
    return [(rows, int(end[-1])) for rows, end in zip(order.split(_PIECE), ends.split(_PIECE), strict=True)]


def _answers(items: Tensor, weight: Tensor, begin: Tensor) -> Tensor:
    """(N, B, L * C): every filter at N places; where its window does not fit, a number without meaning.

    Args:
        items: (B, N, D), all that is behind them being padding.
        weight: (L, D, L * C).
        begin: (N, L * C), the bias and what a window at each place takes of padding.
    """
    batch, length, width = items.shape
    flat = items.transpose(0, 1).reshape(length * batch, width)
    sums = begin.repeat_interleave(batch, 0)
    for offset, rows, first in _steps(length, batch, begin.shape[1] // len(weight)):
        sums[:rows, first:].addmm_(flat[-rows:], weight[offset, :, first:])
    return sums.view(length, batch, -1)


def _back(items: Tensor, weight: Tensor, answers: Tensor, weight_gradient: Tensor) -> Tensor:
    """Gradient (B, N, D) of the items, given that (N, B, L * C) of the answers; the weights' is added up in place."""
    batch, length, width = items.shape
    flat = items.transpose(0, 1).reshape(length * batch, width)
    answers = answers.view(length * batch, -1)
    gradient = torch.zeros_like(flat)
    for offset, rows, first in _steps(length, batch, answers.shape[1] // len(weight)):
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
    padding = self.item_embedding.weight[0].detach()
    lengths = (item_seq > 0).sum(-1)
    windows = _LargestOfWindows.apply(items, lengths, padding, weight, bias)  # type: ignore[no-untyped-call]
    features = torch.cat([self.conv_v(items.unsqueeze(1)).view(-1, self.fc1_dim_v), windows], 1)
    hidden = self.ac_fc(self.fc1(self.dropout(features)))
    state: Tensor = self.ac_fc(self.fc2(torch.cat([hidden, self.user_embedding(user).squeeze(1)], 1)))
    return state
