"""Which arithmetic a device does fast without hurting: chosen by what the processor has, or by the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from recbole_attnseq.errors import UserError


@dataclass(frozen=True)
class Precision:
    """How a training step computes.

    Attributes:
        logits: dtype of the scores over all items inside the loss; their sums are float32 all the same.
        autocast: run the network's layers in bfloat16 where PyTorch's autocast does.
        matmul: PyTorch's ``float32_matmul_precision`` while training.
        ranking: the same while ranking: always one that multiplies in full float32, as RecBole's models are ranked,
            so that no two scores are equal, or change places, for want of digits.
    """

    logits: torch.dtype
    autocast: bool
    matmul: str
    ranking: str


def check_precision(wanted: object) -> None:
    """Raise :class:`UserError` where a value of ``precision`` is none of its three."""
    if wanted not in ("auto", "float32", "bfloat16"):
        raise UserError(f"precision is {wanted!r}; choose auto, float32 or bfloat16.")


def choose(wanted: object, device: torch.device) -> Precision:
    """The precision for ``precision: auto | float32 | bfloat16`` on a device.

    On an x86 CPU, ``matmul = medium`` lets oneDNN multiply instead of the other BLAS: on processors without AMX it
    computes in full float32 (and about twice as fast on AMD), on those with AMX in bfloat16. Where nothing is known
    of the processor (ARM has bfloat16 products of its own) only ``highest`` is sure to be full.

    Raises:
        UserError: ``wanted`` is none of the three.
    """
    check_precision(wanted)
    if device.type == "cuda":
        narrow = wanted == "bfloat16" or (wanted == "auto" and torch.cuda.is_bf16_supported(including_emulation=False))
        return Precision(
            torch.bfloat16 if narrow else torch.float32, narrow, "high" if narrow else "highest", "highest"
        )
    narrow = wanted == "bfloat16" or (wanted == "auto" and has_bfloat16())
    exact = "medium" if _flags() and not has_amx() else "highest"
    return Precision(torch.bfloat16 if narrow else torch.float32, False, "medium" if narrow else exact, exact)


def _flags() -> set[str]:
    """What an x86 processor says that it can; empty for others, and where there is no such file."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def has_bfloat16() -> bool:
    """True where this processor multiplies bfloat16 numbers in hardware."""
    return bool(_flags() & {"avx512_bf16", "amx_bf16"})


def has_amx() -> bool:
    """True where this processor has a matrix unit (Intel AMX)."""
    return "amx_bf16" in _flags()


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Set PyTorch's matrix-product precision for a while, cuDNN's (recurrent layers) with it; then the user's own."""
    before, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision(name)
    torch.backends.cudnn.allow_tf32 = cudnn and name != "highest"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = cudnn
