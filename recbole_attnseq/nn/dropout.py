"""Dropout whose random numbers cost little on a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Masked(torch.autograd.Function):
    """Multiply by a mask of bytes 0 and 1 and a scale; only the mask is kept, a byte an element.

    The mask is widened by itself: a product of floats and booleans takes several times as long on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.scale = scale
        return mask.to(inputs.dtype).mul_(inputs).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        return mask.to(gradients[0].dtype).mul_(gradients[0]).mul_(ctx.scale), None, None


BITS = {8: torch.uint8, 32: torch.int32}  # how fine a draw is, and the numbers that a random word is read as


class Dropout(nn.Module):
    """Dropout with the probability in 256ths, so that one random 64-bit number decides on eight elements.

    PyTorch's CPU dropout draws a double for each element, which costs more than the layer it follows. On other
    devices this is PyTorch's own.

    Args:
        probability: of zeroing an element; on the CPU the nearest multiple of ``2 ** -bits`` takes its place.
        bits: 8, or 32 for a probability that 256ths miss: as near as a float32 comes, at four times the draws.
    """

    def __init__(self, probability: float, bits: int = 8) -> None:
        super().__init__()
        self.probability = probability
        self.bits = bits
        self.threshold = round(probability * 2**bits)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return inputs
        if inputs.device.type != "cpu":
            return F.dropout(inputs, self.probability)
        steps = 2**self.bits
        if self.threshold == steps:
            return torch.zeros_like(inputs)
        share = 64 // self.bits  # elements that one word decides on
        words = torch.empty((inputs.numel() + share - 1) // share, dtype=torch.int64).random_(-(2**63), None)
        numbers = words.view(BITS[self.bits])[: inputs.numel()].view(inputs.shape)
        lowest = 0 if self.bits == 8 else -(steps // 2)  # there are no unsigned numbers of 32 bits to compare
        kept = numbers >= self.threshold + lowest
        result: Tensor = _Masked.apply(inputs, kept.view(torch.uint8), steps / (steps - self.threshold))  # type: ignore[no-untyped-call]
        return result

    def extra_repr(self) -> str:
        return f"probability={self.probability}, bits={self.bits}"
