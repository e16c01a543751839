"""One worker's loop over a study: take a trial, run it, record what happened, until all are done."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning.bookkeeping import (
    DUPLICATE,
    REASON,
    WORKER,
    is_duplicate,
    recover,
    shared_fault,
    tally,
    this_worker,
)
from recbole_attnseq.tuning.patience import AlreadyFinished
from recbole_attnseq.tuning.training import free_memory, reason_of

Objective = Callable[[Any], float]


@dataclass(frozen=True)
class Plan:
    """How long a worker works, and how it deals with the dead.

    Attributes:
        trials: trials in the whole study, over all workers and starts; None for no limit.
        deadline: ``time.monotonic()`` after which no new trial begins; None for no limit.
        retries: how often a trial whose worker died is repeated.
        grace: seconds without a sign of life after which a trial counts as dead.
        poll: seconds between two looks while others finish theirs.
        enough: so many trials that die of one and the same mistake, and nothing else, are a mistake of the search;
            None goes on regardless.
    """

    trials: int | None = None
    deadline: float | None = None
    retries: int = 3
    grace: float = 60.0
    poll: float = 2.0
    enough: int | None = 3


def work(
    study: Any, storage: Any, objective: Objective, plan: Plan, on_change: Callable[[], None] | None = None
) -> None:
    """Run trials until the study has as many as planned; also those of workers that died meanwhile.

    On return no trial is running, so that all workers agree on the winner.

    A trial that fails does not stop the worker. The last worker waits for trials that others are running, and
    takes them over should these others die. Two workers that ask for the last trial in the same moment may both
    get one, so a study can end with a trial more than planned, never with one fewer.

    Args:
        study: Optuna's study.
        storage: its storage.
        objective: Optuna's objective; ``trial.user_attrs["reason"]`` keeps why it failed.
        plan: limits.
        on_change: called after every trial and every look.

    Raises:
        KeyboardInterrupt: after the running trial has been recorded as interrupted.
        UserError: the first trials all died of one and the same mistake.
        StorageInternalError: the storage is away for good; the running trial is repeated when it is back.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    recorded = _Recorded(study, objective)
    patience = getattr(storage, "patience", None)
    exhausted = False
    while True:
        if patience is not None:
            patience.settle()
        recover(study, storage, plan.retries, plan.grace)
        trials = study.get_trials(deepcopy=False)
        count = tally(trials, plan.retries)
        reason, times = shared_fault(trials)
        if plan.enough is not None and times >= plan.enough:
            raise UserError(
                f"study '{study.study_name}': all of {times} trials ended with: {reason}. Mend that and start the same "
                "command again: it begins anew."
            )
        if on_change is not None:
            on_change()
        over = exhausted or (plan.deadline is not None and time.monotonic() >= plan.deadline)
        unfinished = count.running + len(count.lost)
        full = plan.trials is not None and count.done + unfinished >= plan.trials
        if not count.running and (over or (full and not count.lost)):
            return
        if over or full:
            optuna_housekeeping(study)
            time.sleep(plan.poll)
            continue
        try:
            study.optimize(recorded, n_trials=1, catch=(Exception,))
        except (ValueError, AssertionError, AlreadyFinished) as error:
            # This worker was silent for so long that another has taken the trial over. Optuna 5 hides its own
            # message behind an assertion.
            if recorded.lost is None:
                recorded.lost = _lost(error)
            text = f"{error} {error.__context__}"
            if recorded.lost is None and not any(words in text for words in ("Cannot tell a", "already finished")):
                raise
        finally:
            free_memory()
        exhausted = bool(getattr(study, "_stop_flag", False))  # a sampler that has tried all there is says so by it
        if recorded.lost is not None:
            raise recorded.lost


def _lost(error: BaseException | None) -> StorageInternalError | None:
    """The fault of the storage behind an error, if there is one."""
    while error is not None and not isinstance(error, StorageInternalError):
        error = error.__cause__ or error.__context__
    return error


def optuna_housekeeping(study: Any) -> None:
    """Let Optuna fail the trials whose heartbeat has stopped; it does so by itself only before a new trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


class _Recorded:
    """The objective, with who ran it and why it failed kept in the trial."""

    def __init__(self, study: Any, objective: Objective) -> None:
        self.study = study
        self.objective = objective
        self.worker = this_worker()
        self.lost: StorageInternalError | None = None

    def __call__(self, trial: Any) -> float:
        try:
            return self._run(trial)
        except StorageInternalError as error:
            self.lost = error  # no fault of the trial's
            raise

    def _run(self, trial: Any) -> float:
        trial.set_user_attr(WORKER, self.worker)
        try:
            if is_duplicate(self.study, trial.number):
                raise Duplicate(f"trial {trial.number} repeats one that another worker has taken up")
            return self.objective(trial)
        except optuna.TrialPruned as pruned:
            trial.set_user_attr("pruned", str(pruned))
            raise
        except StorageInternalError:
            raise
        except (Exception, KeyboardInterrupt) as error:
            reason = getattr(error, "reason", None)
            trial.set_user_attr(REASON, f"{reason}: {error}" if reason else reason_of(error))
            raise


class Duplicate(Exception):
    """A repetition that is under way elsewhere."""

    reason = DUPLICATE
