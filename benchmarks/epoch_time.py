"""(a) Seconds an epoch: AttnSeq beside RecBole's SASRec and GRU4Rec, equal width, layers, length and targets."""

from __future__ import annotations

from typing import Any

from benchmarks.common import CORPORA, build, in_turn, our_epoch, ratios, recbole_epoch, scratch, spread

# data set, maximum length, RecBole's steps per measurement (its epochs take minutes; every step costs the same)
CASES = (("ml-100k", 50, 4), ("ml-100k", 200, 2), ("amazon-beauty", 50, 3))


def run(repeats: int = 3) -> dict[str, Any]:
    """One entry a case: the spread of seconds an epoch of each model, and RecBole's over ours."""
    result: dict[str, Any] = {}
    for dataset, length, steps in CASES:
        if dataset != "ml-100k" and not (CORPORA / dataset).is_dir():
            result[f"{dataset} L={length}"] = {"skipped": f"no folder {dataset} beside the project"}
            continue
        with scratch():
            shared = {"MAX_ITEM_LIST_LENGTH": length, "train_batch_size": 2048}
            ours, train, *_ = build("AttnSeq", dataset, **shared)
            tasks = {"AttnSeq": our_epoch(ours, train)}
            for model in ("SASRec", "GRU4Rec"):
                trainer, loader, *_ = build(model, dataset, **shared)
                tasks[model] = recbole_epoch(trainer, loader, steps)
            measured = in_turn(tasks, repeats)
        entry: dict[str, Any] = {name: spread(values) for name, values in measured.items()}
        for model in ("SASRec", "GRU4Rec"):
            entry[f"{model} / AttnSeq"] = ratios(measured[model], measured["AttnSeq"])
        entry["targets"] = ours.batches(train).targets
        result[f"{dataset} L={length}"] = entry
    return result


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "| data set | AttnSeq s | SASRec s | GRU4Rec s | SASRec / AttnSeq | GRU4Rec / AttnSeq |",
        "|---|---|---|---|---|---|",
    ]
    for case, entry in result.items():
        if "skipped" in entry:
            lines.append(f"| {case} | skipped: {entry['skipped']} |||||")
            continue
        cells = [f"{entry[m]['median']:.2f}" for m in ("AttnSeq", "SASRec", "GRU4Rec")]
        cells += [
            f"**{r['median']:.0f}x** ({r['min']:.0f} to {r['max']:.0f})"
            for r in (entry["SASRec / AttnSeq"], entry["GRU4Rec / AttnSeq"])
        ]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
