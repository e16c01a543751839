"""(b) Time until AttnSeq's validation NDCG@10 reaches what RecBole's SASRec reaches at its best, on ml-100k."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from benchmarks.common import build, scratch
from recbole_attnseq.leaderboard.records import read_record

RECORDS = Path(__file__).resolve().parents[1] / "results" / "runs" / "ml-100k"


class _Reached(Exception):
    """Training got where it had to."""


def run(limit: int = 300) -> dict[str, Any]:
    """AttnSeq's seconds, and those of SASRec's recorded run (its own early stopping) up to its best epoch."""
    paths = sorted(RECORDS.glob("SASRec-*.json"))
    if not paths:
        return {"skipped": "no record of SASRec in results/runs/ml-100k"}
    record = read_record(paths[0])
    best = max(point["valid"] for point in record.curve)
    at_best = next(point for point in record.curve if point["valid"] == best)
    with scratch():
        trainer, train, valid, _ = build("AttnSeq", "ml-100k", epochs=limit)
        start, reached = time.perf_counter(), {}

        def watch(epoch: int, score: float) -> None:
            if score >= best:
                reached.update(epoch=epoch, seconds=time.perf_counter() - start)
                raise _Reached

        with contextlib.suppress(_Reached):
            trainer.fit(train, valid, verbose=False, saved=False, callback_fn=watch)
    return {
        "goal": best,
        "AttnSeq": reached or {"epoch": None, "seconds": None},
        "SASRec": {key: at_best[key] for key in ("epoch", "seconds", "processor_seconds")},
        "SASRec's notes": record.notes,
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    if "skipped" in result:
        return f"Skipped: {result['skipped']}."
    ours, theirs = result["AttnSeq"], result["SASRec"]
    if ours["seconds"] is None:
        return f"AttnSeq did not reach {result['goal']:.4f}."
    return (
        f"SASRec's best validation NDCG@10 is {result['goal']:.4f}, after {theirs['epoch'] + 1:.0f} epochs: "
        f"{theirs['seconds']:.0f} s on the clock, {theirs['processor_seconds']:.0f} s of processor time over two "
        f"threads (a recorded run, not in turn; see its record in results/runs). AttnSeq gets there after "
        f"{ours['epoch'] + 1} epochs and {ours['seconds']:.0f} s: "
        f"**{theirs['processor_seconds'] / 2 / ours['seconds']:.0f}x** less by half the processor time."
    )
