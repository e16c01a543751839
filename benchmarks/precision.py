"""(h) Validation NDCG@10 of real training in float32 and in bfloat16, seed by seed."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.common import build, scratch
from benchmarks.progress import Progress
from recbole_attnseq.training.precision import has_amx, has_bfloat16

SEEDS = (2020, 2021, 2022)
EPOCHS = 30


def best_validation(precision: str, seed: int, epochs: int) -> float:
    """The best validation NDCG@10 of ``epochs`` epochs on ml-100k."""
    with scratch():
        trainer, train, valid, _ = build(
            "AttnSeq", "ml-100k", precision=precision, seed=seed, epochs=epochs, stopping_step=epochs
        )
        score, _ = trainer.fit(train, valid, verbose=False, saved=False)
    return float(score)


def run(progress: Progress, epochs: int = EPOCHS) -> dict[str, Any]:
    """One value a precision and seed, and what the processor multiplies in hardware."""
    scores = {
        precision: [
            progress.once(f"{precision} {seed}", lambda: best_validation(precision, seed, epochs))  # noqa: B023
            for seed in SEEDS
        ]
        for precision in ("float32", "bfloat16")
    }
    return {"epochs": epochs, "bfloat16 in hardware": has_bfloat16(), "AMX": has_amx(), **scores}


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    how = "has no bfloat16 unit, so that it is emulated"
    if result["bfloat16 in hardware"]:
        how = "multiplies bfloat16 in hardware" + (", layers included (AMX)" if result["AMX"] else ", logits alone")
    pairs = [b - a for a, b in zip(result["float32"], result["bfloat16"], strict=True)]
    lines = [
        f"ml-100k, best of {result['epochs']} epochs; this processor {how}.",
        "",
        "| precision | " + " | ".join(f"seed {i + 1}" for i in range(len(pairs))) + " | mean | standard deviation |",
        "|---" * (len(pairs) + 3) + "|",
    ]
    for precision in ("float32", "bfloat16"):
        values = result[precision]
        cells = [f"{value:.4f}" for value in [*values, statistics.mean(values), statistics.stdev(values)]]
        lines.append(f"| {precision} | " + " | ".join(cells) + " |")
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    lines += ["", f"Difference, seed by seed: {statistics.mean(pairs):+.4f}, standard error {error:.4f}."]
    return "\n".join(lines)
