"""One training run inside a study: quiet, measured, with a callback an epoch, and faults that have a name."""

from __future__ import annotations

import errno
import gc
import importlib
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.session import make_trainer, quicken
from recbole_attnseq.tuning.meter import Meter


@dataclass
class Outcome:
    """What a training run gave.

    Attributes:
        score: best validation score.
        valid: all validation metrics of that epoch.
        test: all test metrics, of the best epoch; empty where no test data was given.
    """

    score: float
    valid: dict[str, float]
    test: dict[str, float] = field(default_factory=dict)


def train_once(
    config: Any,
    loaders: Sequence[Any],
    on_epoch: Callable[[int, float], None] | None = None,
    on_cost: Callable[[dict[str, float | None]], None] | None = None,
    shortcuts: Mapping[str, Any] | None = None,
) -> Outcome:
    """Train with RecBole's early stopping; given a third loader, score the best epoch on it, once.

    Args:
        config: RecBole's configuration; its seed is the run's.
        loaders: training and validation data, and test data if it is wanted.
        on_epoch: called with the epoch (from 1) and the validation score; what it raises ends the run.
        on_cost: called with :class:`Meter`'s figures, however the run ends.
        shortcuts: what :func:`~recbole_attnseq.training.session.quicken` puts under RecBole's models.

    Raises:
        ValueError: the loss or the validation metric is no number.
    """
    train, valid, *rest = loaders
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"recbole\.")
    meter = Meter(config["device"], int(config["eval_step"] or 1))
    try:
        with without_event_files(), tempfile.TemporaryDirectory(prefix="attnseq-") as folder:
            config["checkpoint_dir"] = folder
            trainer = make_trainer(config, train)
            train, _ = quicken(trainer.model, config["model"], train, **(shortcuts or {}))

            def epoch_ended(epoch: int, score: float) -> None:
                meter.lap()
                if math.isnan(score):
                    raise ValueError(f"validation metric {config['valid_metric']} is nan")
                if on_epoch is not None:
                    on_epoch(epoch + 1, float(score))

            score, result = trainer.fit(
                train, valid, verbose=False, saved=bool(rest), show_progress=False, callback_fn=epoch_ended
            )
            if result is None or not math.isfinite(score):
                raise ValueError(f"no epoch gave a validation score ({score}); are there validation data?")
            outcome = Outcome(float(score), _numbers(result))
            if rest:
                outcome.test = _numbers(trainer.evaluate(rest[0], load_best_model=True, show_progress=False))
    finally:
        if on_cost is not None:
            on_cost(meter.figures())
    return outcome


def _numbers(result: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in result.items()}


class _NoEvents:
    """Stands in for TensorBoard's writer: a study of hundreds of trials leaves no hundreds of event folders."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


@contextmanager
def without_event_files() -> Iterator[None]:
    """RecBole's trainers write no TensorBoard files inside this block."""
    module = importlib.import_module("recbole.trainer.trainer")
    original = module.get_tensorboard
    module.get_tensorboard = lambda logger: _NoEvents()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.get_tensorboard = original  # type: ignore[attr-defined]


def reason_of(error: BaseException) -> str:
    """Why a trial failed, in one line: ``out of memory``, ``nan``, ``disk full``, ``bad setting`` or ``crash``."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "out of memory" in text.lower():
        return f"out of memory: {text}"
    if "can't allocate memory" in text.lower():
        return f"out of memory: {text}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"disk full: {text}"
    if isinstance(error, ValueError) and text.lower().endswith("is nan"):
        return f"nan: {text}"
    if isinstance(error, UserError):
        return f"bad setting: {text}"
    return f"crash: {type(error).__name__}: {text}{_place(error)}"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" ({trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno})"


def free_memory() -> None:
    """Give a finished or failed trial's memory back, so that the next one has all of it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
