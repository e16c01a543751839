"""What the benchmarks share: pairs timed in turn, data sets, RecBole's parts, the machine."""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import recbole_attnseq  # noqa: F401  (registers the model and mends RecBole)
from recbole_attnseq.compat import clean_argv
from recbole_attnseq.training.precision import has_amx

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "data"  # real corpora, beside the project where they exist
QUIET = {"show_progress": False, "state": "ERROR"}


def seconds(task: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def in_turn(tasks: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run the tasks A B A B ..., after one round that does not count; each returns its own measure."""
    for task in tasks.values():
        task()
    measures: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            measures[name].append(task())
    return measures


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(top: list[float], bottom: list[float]) -> dict[str, float]:
    """Spread of the ratios pair by pair."""
    return spread([a / b for a, b in zip(top, bottom, strict=True)])


def times(ratio: dict[str, float], digits: int = 0) -> str:
    """A spread of ratios as Markdown: the median in bold, then the range."""
    low, middle, high = (f"{ratio[key]:.{digits}f}" for key in ("min", "median", "max"))
    return f"**{middle}x** ({low} to {high})"


@contextmanager
def scratch() -> Iterator[None]:
    """Work in a temporary folder, since RecBole writes where it stands."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def build(model: str, dataset: str, **settings: Any) -> tuple[Any, Any, Any, Any]:
    """RecBole's trainer and its train, validation and test loaders for a model on a data set."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    extra: dict[str, Any] = {**QUIET, "valid_metric": "NDCG@10"}
    if model in ("SASRec", "GRU4Rec"):
        extra["train_neg_sample_args"] = None
    if dataset != "ml-100k":
        extra.update(data_path=str(CORPORA), load_col={"inter": ["user_id", "item_id", "timestamp"]})
    with clean_argv():
        config = Config(model=model, dataset=dataset, config_dict={**extra, **settings})
    init_seed(config["seed"], True)
    train, valid, test = data_preparation(config, create_dataset(config))
    network = get_model(model)(config, train._dataset)
    return get_trainer(config["MODEL_TYPE"], model)(config, network), train, valid, test


class First:
    """The first ``count`` batches of a loader; RecBole's own training loop runs over it unchanged."""

    def __init__(self, loader: Any, count: int) -> None:
        self.loader, self.count = loader, min(count, len(loader))
        self.shuffle = loader.shuffle

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self.loader), self.count)


def recbole_epoch(trainer: Any, train: Any, steps: int) -> Callable[[], float]:
    """Seconds that RecBole's own loop needs for an epoch, from ``steps`` of its steps."""
    some = First(train, steps)
    return lambda: seconds(lambda: trainer._train_epoch(some, 0)) / len(some) * len(train)


def our_epoch(trainer: Any, train: Any) -> Callable[[], float]:
    """Seconds that AttnSeq needs for a whole epoch."""
    number = itertools.count()
    return lambda: seconds(lambda: trainer._train_epoch(train, next(number)))


def matmul_peak(dtype: torch.dtype, size: int = 2048, repeats: int = 8) -> float:
    """The most floating-point operations a second that this machine's matrix product reaches here."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    best = float("inf")
    before = torch.get_float32_matmul_precision()
    # Two BLAS libraries stand behind one call, and the faster one is the peak; but with AMX the second rounds
    # float32 to bfloat16 first.
    settings = ("highest",) if dtype == torch.float32 and has_amx() else ("highest", "medium")
    for setting in settings:
        torch.set_float32_matmul_precision(setting)
        a @ b
        best = min(best, *(seconds(lambda: a @ b) for _ in range(repeats)))
    torch.set_float32_matmul_precision(before)
    return 2 * size**3 / best
