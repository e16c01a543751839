"""(i) What cheaper layers save each of RecBole's models, in batches of like lengths where it knows no padding."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from benchmarks.baselines import FEATURE, TRIMMED_STEPS, Spaced, gained, gains, settings_for
from benchmarks.common import CORPORA, First, build, in_turn, scratch, seconds
from benchmarks.progress import Progress
from recbole_attnseq.training.baseline_batches import PADDING_FREE, BucketedLoader
from recbole_attnseq.training.baseline_layers import lighten

MODELS = ("BERT4Rec", "CORE", "Caser", "LightSANs", "SASRec", "SASRecF")
# Where batches are not trimmed, every step costs the same.
USUAL_STEPS = 1


def _case(model: str, dataset: str, repeats: int) -> dict[str, Any]:
    if dataset != "ml-100k" and not (CORPORA / dataset).is_dir():
        return {"skipped": f"no folder {dataset} beside the project"}
    with scratch():
        trainers = {}
        for kind in ("as it is", "cheaper layers"):
            trainers[kind], train, *_ = build(model, dataset, **settings_for(model, dataset))
        lighten(trainers["cheaper layers"].model, model)
        some = Spaced(BucketedLoader(train), TRIMMED_STEPS) if model in PADDING_FREE else First(train, USUAL_STEPS)
        epoch = len(train) / len(some)
        measured = in_turn(
            {
                kind: lambda trainer=trainer: seconds(lambda: trainer._train_epoch(some, 0)) * epoch  # type: ignore[misc]
                for kind, trainer in trainers.items()
            },
            repeats,
        )
    return gained(measured, "cheaper layers")


def run(progress: Progress, repeats: int = 3) -> dict[str, Any]:
    """One entry a data set and model."""
    torch.manual_seed(0)
    return {
        f"{dataset} {model}": progress.once(f"{dataset} {model}", lambda: _case(model, dataset, repeats))  # noqa: B023
        for dataset, model in itertools.product(FEATURE, MODELS)
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "Length 50, 2,048 targets a step, batches of like lengths for the models of (g). The same loss and "
        "gradients (tests/training/test_baseline_layers.py).",
        "",
        *gains(result, "cheaper layers"),
    ]
    return "\n".join(lines)
