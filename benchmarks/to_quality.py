"""(b) Time until AttnSeq's validation NDCG@10 reaches what RecBole's SASRec reaches at its best, on ml-100k."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.common import build, scratch
from recbole_attnseq.leaderboard.records import read_record

EPOCH = Path(__file__).parent / "records" / "epoch.json"
RECORDS = Path(__file__).resolve().parents[1] / "results" / "runs" / "ml-100k"


class _Reached(Exception):
    """Training got where it had to."""


def run(limit: int = 300) -> dict[str, Any]:
    """AttnSeq's seconds, and those of SASRec's recorded run (its own early stopping) up to its best epoch."""
    records = [read_record(path) for path in sorted(RECORDS.glob("SASRec-*.json"))]
    # RecBole's own way to rank, among all items: AttnSeq is built without exclude_history below.
    records = [record for record in records if not record.protocol["exclude_history"]]
    if not records:
        return {"skipped": "no record of SASRec ranked among all items in results/runs/ml-100k"}
    record = records[0]
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
        "SASRec's hardware": record.hardware,
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    if "skipped" in result:
        return f"Skipped: {result['skipped']}."
    ours, theirs = result["AttnSeq"], result["SASRec"]
    if ours["seconds"] is None:
        return f"AttnSeq did not reach {result['goal']:.4f}."
    epochs, notes = int(theirs["epoch"]) + 1, result["SASRec's notes"]
    told = ["on " + str(result["SASRec's hardware"]["processor"])]
    told += ["through torch.compile"] if notes.get("compiled") else []
    told += [notes["shared_machine"]] if "shared_machine" in notes else []
    text = (
        f"SASRec's best validation NDCG@10 is {result['goal']:.4f}, after {epochs} epochs of a recorded run "
        f"({'; '.join(told)}). AttnSeq gets there after {ours['epoch'] + 1} epochs and {ours['seconds']:.0f} s."
    )
    if EPOCH.is_file():
        each = json.loads(EPOCH.read_text(encoding="utf-8"))["result"]["ml-100k L=50"]["SASRec"]["median"]
        text += (
            f" At (a)'s {each:.0f} s an epoch, timed in turn on this machine, as many epochs of SASRec take "
            f"{epochs * each:,.0f} s: **{epochs * each / ours['seconds']:.0f}x**."
        )
    return text
