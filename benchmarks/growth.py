"""(f) Seconds a token as histories grow to 1,000 steps and the catalogue to a million items."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.child import measured, peak_gigabytes
from benchmarks.common import seconds
from benchmarks.progress import Progress
from recbole_attnseq.data.batches import SequenceBatches
from recbole_attnseq.data.store import SequenceStore
from recbole_attnseq.model import SPARSE_ABOVE
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.registration import network_settings
from recbole_attnseq.training.optimizer import DenseAndSparse, fused
from recbole_attnseq.training.precision import choose, matmul_precision

TOKENS = 40_000
LENGTHS = (50, 200, 1000)
CATALOGUES = (10_000, 100_000, 1_000_000)
REPEATS = 3


def store(length: int, items: int) -> SequenceStore:
    """Random sequences of equal length, about TOKENS tokens in all."""
    sequences = max(1, TOKENS // length)
    position = torch.arange(sequences * (length + 1)).view(sequences, -1)
    target = position[:, 1:].flatten()
    rank = torch.arange(1, length + 1).repeat(sequences)
    numbers = torch.randint(1, items, (position.numel(),))
    return SequenceStore(numbers, target, rank, torch.arange(sequences).repeat_interleave(length))


def microseconds_a_token(length: int, items: int, steps: int = 8) -> float:
    """Median time of a training step with sampled softmax over its tokens."""
    sparse = items > SPARSE_ABOVE
    network = Network(network_settings(items=items, max_length=length, loss_type="sampled_softmax"), sparse=sparse)
    tables = [network.item_encoder.table.weight] if sparse else []
    rest = [p for p in network.parameters() if all(p is not table for table in tables)]
    optimizer = DenseAndSparse(rest, tables, 1e-3, 0.0) if sparse else fused(torch.optim.Adam(rest))
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


def operations_a_token(length: int) -> dict[str, float]:
    """Millions of operations a token in the matrix products of a step: the layers' own, and attention's over keys.

    Histories begin at their first item, so a token sees half the history on average.
    """
    s = network_settings(items=1000, max_length=length)
    layers = 3 * s.n_layers * 2 * (4 * s.hidden_size**2 + 2 * s.hidden_size * s.inner_size) / 1e6
    return {"layers": layers, "attention": 3 * s.n_layers * 2 * 2 * (length + 1) / 2 * s.hidden_size / 1e6}


def _repeated(length: int, items: int) -> dict[str, Any]:
    """The median process: where a large table comes to lie in memory differs from one to the next."""
    command = ["-m", "benchmarks.growth", str(length), str(items)]
    runs = [measured(command, folder=Path(__file__).parent, minutes=10) for _ in range(REPEATS)]
    failed = [run for run in runs if "microseconds" not in run]
    return failed[0] if failed else sorted(runs, key=lambda run: run["microseconds"])[REPEATS // 2]


def run(progress: Progress) -> dict[str, Any]:
    """Microseconds a token and peak memory by length and by catalogue, the median of several processes each."""
    points = {"length": [(n, n, 10_000) for n in LENGTHS], "items": [(n, 50, n) for n in CATALOGUES]}
    result: dict[str, Any] = {
        axis: {
            str(key): progress.once(
                f"{axis} {key}",
                lambda length=length, items=items: _repeated(length, items),  # type: ignore[misc]
            )
            for key, length, items in several
        }
        for axis, several in points.items()
    }
    for length, entry in result["length"].items():
        entry["operations"] = operations_a_token(int(length))
    return result


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "Operations are those of the matrix products of a step, in millions a token, as the mathematics asks for them: "
        "the layers' own share is the same at any length, attention's grows with the number of keys a token sees.",
        "",
        "| history length | microseconds a token | peak GB | layers' operations | attention's | M a microsecond |",
        "|---|---|---|---|---|---|",
    ]
    for n, e in result["length"].items():
        layers, attention = e["operations"]["layers"], e["operations"]["attention"]
        rate = (layers + attention) / e["microseconds"]
        lines.append(
            f"| {n} | {e['microseconds']:.1f} | {e['gigabytes']:.2f} | {layers:.2f} | {attention:.2f} | {rate:.3f} |"
        )
    lines += ["", "| items | microseconds a token | peak GB |", "|---|---|---|"]
    lines += [f"| {int(n):,} | {e['microseconds']:.1f} | {e['gigabytes']:.2f} |" for n, e in result["items"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    torch.manual_seed(0)
    taken = microseconds_a_token(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({"microseconds": taken, "gigabytes": peak_gigabytes()}))
