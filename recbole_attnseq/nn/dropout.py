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


class Dropout(nn.Module):
    """Dropout with the probability in 256ths, so that one random 64-bit number decides on eight elements.

    PyTorch's CPU dropout draws a double for each element, which costs more than the layer it follows. On other
    devices this is PyTorch's own.

    Args:
        probability: of zeroing an element; on the CPU the nearest multiple of 1/256 takes its place.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.threshold = round(probability * 256)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return inputs
        if inputs.device.type != "cpu":
            return F.dropout(inputs, self.probability)
        if self.threshold == 256:
            return torch.zeros_like(inputs)
        words = torch.empty((inputs.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: inputs.numel()].view(inputs.shape) >= self.threshold
        result: Tensor = _Masked.apply(inputs, kept.view(torch.uint8), 256 / (256 - self.threshold))  # type: ignore[no-untyped-call]
        return result

    def extra_repr(self) -> str:
        return f"probability={self.probability}"
