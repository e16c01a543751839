"""(c) The share of this machine's matrix-product peak that a training step reaches, from counted operations."""

from __future__ import annotations

import itertools
import statistics
from typing import Any

import torch

from benchmarks.common import build, matmul_peak, our_epoch, scratch


def operations(tokens: int, targets: int, *, width: int, layers: int, inner: int, window: int, items: int) -> float:
    """Floating-point operations of the matrix products of one epoch: forward once, backward twice that.

    Only what the mathematics asks for is counted: keys inside the window, no padding, no masked half of a block.
    """
    layer = 2 * (4 * width * width + 2 * width * inner) + 2 * 2 * window * width
    return 3.0 * (tokens * layers * layer + targets * 2 * width * items)


# Targets a step: as in the other sections, whose peers are given the same, and AttnSeq's own default.
BATCHES = (2048, 512)


def run(repeats: int = 3) -> dict[str, Any]:
    """Share of the float32 peak and of the bfloat16 peak, for float32 and for bfloat16 logits, at width 128."""
    result: dict[str, Any] = {}
    peaks = {"float32": matmul_peak(torch.float32), "bfloat16": matmul_peak(torch.bfloat16)}
    result["peak GFLOP/s"] = {name: value / 1e9 for name, value in peaks.items()}
    for precision, batch in itertools.product(("float32", "bfloat16"), BATCHES):
        with scratch():
            trainer, train, *_ = build(
                "AttnSeq", "ml-100k", hidden_size=128, inner_size=512, attention="last", precision=precision,
                train_batch_size=batch,
            )  # fmt: skip
            epoch = our_epoch(trainer, train)
            epoch()
            time = statistics.median(epoch() for _ in range(repeats))
            store = trainer.batches(train)
            s = trainer.model.network.settings
        tokens = int((store.pieces.end - store.pieces.start).sum())
        counted = operations(
            tokens,
            store.targets,
            width=s.hidden_size,
            layers=s.n_layers,
            inner=s.inner_size,
            window=s.max_length,
            items=s.items,
        )
        result[f"{precision}, {batch} targets a step"] = {
            "GFLOP an epoch": counted / 1e9,
            "seconds an epoch": time,
            "share of float32 peak": counted / time / peaks["float32"],
            "share of bfloat16 peak": counted / time / peaks["bfloat16"],
        }
    return result


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    peaks = result["peak GFLOP/s"]
    lines = [
        f"Peak here: {peaks['float32']:.0f} GFLOP/s in float32, {peaks['bfloat16']:.0f} in bfloat16.",
        "",
        "| precision | GFLOP an epoch | s an epoch | of float32 peak | of bfloat16 peak |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {e['GFLOP an epoch']:.0f} | {e['seconds an epoch']:.2f} | "
        f"{e['share of float32 peak']:.0%} | {e['share of bfloat16 peak']:.0%} |"
        for name, e in result.items()
        if name != "peak GFLOP/s"
    ]
    return "\n".join(lines)
