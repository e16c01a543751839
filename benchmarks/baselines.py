"""(g) What batches of like lengths, cut at the longest, save each of RecBole's models that padding means nothing to.

Which rows share a step is part of training: `attnseq leaderboard` leaves RecBole's batches as they are and computes
each in groups of like lengths (`--fast_batches=grouped`), which this section does not time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.common import CORPORA, build, in_turn, ratios, recbole_epoch, scratch, seconds, spread, times
from benchmarks.progress import Progress
from recbole_attnseq.training.baseline_batches import PADDING_FREE, BucketedLoader, trim

MODELS = tuple(sorted(PADDING_FREE - {"AttnSeq"}))
FEATURE = {"ml-100k": "class", "amazon-beauty": "categories"}
WITH_FEATURES = ("FDSA", "GRU4RecF", "SASRecF")
# An epoch takes minutes, and as it is every step costs the same: so many steps stand for all.
SLOW, STEPS, USUAL_STEPS = ("GCSAN", "SRGNN"), 1, 2
# Trimmed, a step costs what its longest history costs: batches at evenly spaced places of the order by length.
TRIMMED_STEPS = 6


class Spaced:
    """Batches of a bucketed loader at evenly spaced places of their order by longest history."""

    shuffle = True

    def __init__(self, loader: BucketedLoader, count: int) -> None:
        dataset = loader._dataset
        length = dataset.inter_feat[dataset.item_list_length_field]
        self.plan = sorted(loader.plan(0), key=lambda rows: int(length[rows].max()))
        places = [(2 * i + 1) * len(self.plan) // (2 * count) for i in range(count)]
        self.chosen = [self.plan[place] for place in places]
        self.loader = loader

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[Any]:
        return (trim(self.loader.collate_fn(rows.numpy()), self.loader._dataset) for rows in self.chosen)


def settings_for(model: str, dataset: str) -> dict[str, Any]:
    """What a leaderboard asks of a model: full cross-entropy where it can, features where it takes them."""
    extra: dict[str, Any] = {"MAX_ITEM_LIST_LENGTH": 50, "train_batch_size": 2048}
    if model != "FPMC":
        extra["train_neg_sample_args"] = None
    if model in WITH_FEATURES:
        feature = FEATURE[dataset]
        extra["selected_features"] = [feature]
        extra["load_col"] = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", feature]}
    return extra


def _case(model: str, dataset: str, repeats: int) -> dict[str, Any]:
    if dataset != "ml-100k" and not (CORPORA / dataset).is_dir():
        return {"skipped": f"no folder {dataset} beside the project"}
    with scratch():
        trainer, train, *_ = build(model, dataset, **settings_for(model, dataset))
        steps = STEPS if model in SLOW else USUAL_STEPS
        some = Spaced(BucketedLoader(train), TRIMMED_STEPS)
        epoch = len(train)
        measured = in_turn(
            {
                "as it is": recbole_epoch(trainer, train, steps),
                "trimmed": lambda: seconds(lambda: trainer._train_epoch(some, 0)) / len(some) * epoch,
            },
            repeats,
        )
    return gained(measured, "trimmed")


def gained(measured: dict[str, list[float]], better: str) -> dict[str, Any]:
    """Spreads of what was timed in turn, and of the ratio of RecBole's way to ``better``."""
    spreads = {name: spread(values) for name, values in measured.items()}
    return {**spreads, "gain": ratios(measured["as it is"], measured[better])}


def run(progress: Progress, repeats: int = 2) -> dict[str, Any]:
    """One entry a data set and model."""
    torch.manual_seed(0)
    return {
        f"{dataset} {model}": progress.once(f"{dataset} {model}", lambda: _case(model, dataset, repeats))  # noqa: B023
        for dataset, model in itertools.product(("ml-100k", "amazon-beauty"), MODELS)
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"Length 50, 2,048 targets a step. Seconds an epoch are computed from {USUAL_STEPS} steps as it is, where all "
        f"cost the same ({' and '.join(SLOW)}: {STEPS}), and from {TRIMMED_STEPS} trimmed ones, spaced evenly over the "
        "order by length. These are batches of like lengths (`--fast_batches=bucketed`); a leaderboard computes "
        "RecBole's own batches in groups (`grouped`), not timed here.",
        "",
        *gains(result, "trimmed"),
    ]
    return "\n".join(lines)


def gains(result: dict[str, Any], better: str) -> list[str]:
    """Rows of a table: seconds an epoch as RecBole has it and ``better``, and the ratio."""
    lines = [
        f"| data set and model | as it is, s an epoch | {better}, s an epoch | gain |",
        "|---|---|---|---|",
    ]
    for case, entry in result.items():
        if "skipped" in entry:
            lines.append(f"| {case} | skipped: {entry['skipped']} |||")
            continue
        lines.append(
            f"| {case} | {entry['as it is']['median']:.1f} | {entry[better]['median']:.1f} | "
            f"{times(entry['gain'], 1)} |"
        )
    return lines
