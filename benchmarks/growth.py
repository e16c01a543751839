"""(f) Seconds a token as histories grow to 1,000 steps and the catalogue to a million items."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from benchmarks.common import seconds
from recbole_attnseq.data.batches import SequenceBatches
from recbole_attnseq.data.store import SequenceStore
from recbole_attnseq.model import SPARSE_ABOVE
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.registration import network_settings
from recbole_attnseq.training.optimizer import DenseAndSparse
from recbole_attnseq.training.precision import choose, matmul_precision

TOKENS = 40_000
LENGTHS = (50, 200, 1000)
CATALOGUES = (10_000, 100_000, 1_000_000)


def store(length: int, items: int) -> SequenceStore:
    """Random sequences of equal length, about TOKENS tokens in all."""
    sequences = max(1, TOKENS // length)
    position = torch.arange(sequences * (length + 1)).view(sequences, -1)
    target = position[:, 1:].flatten()
    rank = torch.arange(1, length + 1).repeat(sequences)
    numbers = torch.randint(1, items, (position.numel(),))
    return SequenceStore(numbers, target, rank, torch.arange(sequences).repeat_interleave(length))


def microseconds_a_token(length: int, items: int, steps: int = 8, **settings: Any) -> float:
    """Median time of a training step over its tokens."""
    sparse = items > SPARSE_ABOVE
    network = Network(network_settings(items=items, max_length=length, **settings), sparse=sparse)
    tables = [network.item_encoder.table.weight] if sparse else []
    rest = [p for p in network.parameters() if all(p is not table for table in tables)]
    optimizer = DenseAndSparse(rest, tables, 1e-3, 0.0) if sparse else torch.optim.Adam(rest)
    precision = choose("auto", torch.device("cpu"))
    network.low_precision = precision.logits
    batches = list(SequenceBatches(store(length, items), size=4096, stride=4096, bucket=False, seed=0).epoch(0))
    times = []
    with matmul_precision(precision.matmul):
        for batch in (batches * steps)[: steps + 2]:
            assert batch is not None

            def step(batch: Any = batch) -> None:
                optimizer.zero_grad()
                network.loss(batch.items, Packing(batch.lengths, length), batch.queries, batch.targets).backward()
                optimizer.step()

            times.append(seconds(step) / len(batch.items) * 1e6)
    return statistics.median(times[2:])


def run() -> dict[str, Any]:
    """Microseconds a token by length and by catalogue."""
    torch.manual_seed(0)
    by_length = {str(n): microseconds_a_token(n, 10_000, loss_type="sampled_softmax") for n in LENGTHS}
    by_items = {str(n): microseconds_a_token(50, n, loss_type="sampled_softmax") for n in CATALOGUES}
    return {"length": by_length, "items": by_items}


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = ["| history length | microseconds a token |", "|---|---|"]
    lines += [f"| {n} | {value:.1f} |" for n, value in result["length"].items()]
    lines += ["", "| items | microseconds a token |", "|---|---|"]
    lines += [f"| {int(n):,} | {value:.1f} |" for n, value in result["items"].items()]
    return "\n".join(lines)
