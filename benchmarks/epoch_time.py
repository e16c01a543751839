"""(a) Seconds an epoch: AttnSeq beside RecBole's SASRec and GRU4Rec on the same targets, at the same length.

SASRec has AttnSeq's width and layers; GRU4Rec is RecBole's own, one layer of 128.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.common import CORPORA, build, in_turn, our_epoch, ratios, recbole_epoch, scratch, spread, times
from benchmarks.progress import Progress

# data set, maximum length, RecBole's steps per measurement (its epochs take minutes; every step costs the same)
CASES = (("ml-100k", 50, 4), ("ml-100k", 200, 2), ("amazon-beauty", 50, 3))


PEERS = ("SASRec", "GRU4Rec")


def run(progress: Progress, repeats: int = 3) -> dict[str, Any]:
    """One entry a case: the spread of seconds an epoch of each model, and RecBole's over ours."""
    return {
        f"{dataset} L={length}": progress.once(f"{dataset} L={length}", lambda: _case(dataset, length, steps, repeats))  # noqa: B023
        for dataset, length, steps in CASES
    }


def _case(dataset: str, length: int, steps: int, repeats: int) -> dict[str, Any]:
    if dataset != "ml-100k" and not (CORPORA / dataset).is_dir():
        return {"skipped": f"no folder {dataset} beside the project"}
    with scratch():
        shared = {"MAX_ITEM_LIST_LENGTH": length, "train_batch_size": 2048}
        ours, train, *_ = build("AttnSeq", dataset, **shared)
        tasks = {"AttnSeq": our_epoch(ours, train)}
        for model in PEERS:
            trainer, loader, *_ = build(model, dataset, **shared)
            tasks[model] = recbole_epoch(trainer, loader, steps)
            tasks[f"{model} as shipped"] = _as_shipped(recbole_epoch(trainer, loader, max(1, steps // 2)))
        measured = in_turn(tasks, repeats)
    entry: dict[str, Any] = {name: spread(values) for name, values in measured.items()}
    for model in tasks:
        if model != "AttnSeq":
            entry[f"{model} / AttnSeq"] = ratios(measured[model], measured["AttnSeq"])
    entry["targets"] = ours.batches(train).targets
    return entry


def _as_shipped(task: Callable[[], float]) -> Callable[[], float]:
    """The task in autograd's anomaly mode, which RecBole's sine.py turns on for every sequential model."""

    def slowly() -> float:
        with torch.autograd.set_detect_anomaly(True):
            return task()

    return slowly


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "RecBole's models run with this package's remedies. \"As shipped\" is the same with autograd's anomaly mode "
        "on, as RecBole's `sine.py` leaves it for every sequential model; the remedy, in its favour, turns it off. "
        "SASRec has AttnSeq's width and layers, GRU4Rec RecBole's own, one of 128.",
        "",
        "| data set | AttnSeq s | SASRec s | GRU4Rec s | SASRec / AttnSeq | GRU4Rec / AttnSeq |",
        "|---|---|---|---|---|---|",
    ]
    for case, entry in result.items():
        if "skipped" in entry:
            lines.append(f"| {case} | skipped: {entry['skipped']} |||||")
            continue
        for suffix in ("", " as shipped"):
            if f"{PEERS[0]}{suffix}" not in entry:
                continue
            medians = [entry[f"{model}{suffix}"]["median"] for model in PEERS]
            factors = [entry[f"{model}{suffix} / AttnSeq"] for model in PEERS]
            cells = [f"{entry['AttnSeq']['median']:.2f}", *(f"{time:.2f}" for time in medians)]
            cells += [times(factor) for factor in factors]
            lines.append(f"| {case}{suffix and ', RecBole' + suffix} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
