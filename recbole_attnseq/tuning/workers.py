"""What one worker does: check the input, join the study, search, and take part in the winner's runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.processes import interruptible
from recbole_attnseq.tuning.bookkeeping import Retry, this_worker
from recbole_attnseq.tuning.choices import check_countable, looks_at_seeds, make_pruner, make_sampler
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.objective import FinalObjective, SearchObjective
from recbole_attnseq.tuning.options import TuneOptions, seeds_of, storage_url, study_name
from recbole_attnseq.tuning.patience import first_line
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.progress import Progress
from recbole_attnseq.tuning.shares import check_gpus
from recbole_attnseq.tuning.storages import open_storage, shown
from recbole_attnseq.tuning.study import CREATOR, failed_runs, final_study, open_study, winner


@dataclass
class Session:
    """One start's view of a search: the problem, the storage, the study."""

    options: TuneOptions
    problem: Problem
    name: str
    url: str
    storage: Any
    study: Any
    deadline: float | None
    over_seeds: bool

    def plan(self, trials: int | None) -> Plan:
        """Limits of this start."""
        options = self.options
        return Plan(trials, self.deadline, options.retries, options.grace, poll=min(2.0, options.grace / 4))


def open_session(options: TuneOptions, index: int = 0) -> Session:
    """Check all input, open the storage, create or join the study.

    Args:
        options: the search.
        index: number of this worker, so that samplers of different workers differ.

    Raises:
        UserError: whatever is wrong with the input.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # What costs nothing is checked before the data set is read.
    check_gpus(options.gpus)
    sampler, pruner = make_sampler(options.sampler, index), make_pruner(options.pruner, 1)
    problem = Problem(options.model, options.dataset, options.files, options.settings, options.space, options.shortcuts)
    check_countable(sampler, problem.space)
    check_parts(problem.base, options.seeds)
    name = study_name(options, problem.model, problem.dataset)
    url = storage_url(options, name)
    pruner = make_pruner(options.pruner, problem.epochs)
    storage = open_storage(
        url,
        heartbeat=options.heartbeat,
        grace=options.grace,
        patience=options.patience,
        on_stale=Retry(options.retries),
    )
    over_seeds = looks_at_seeds(pruner)
    of_trial, _ = seeds_of(options, problem.seed, over_seeds)
    runs = f"seeds {', '.join(map(str, of_trial))}, compared by {'seed' if over_seeds else 'epoch'}"
    study = open_study(storage, name, problem, sampler=sampler, pruner=pruner, runs=runs)
    # A resumed study must not draw the same random numbers again, nor two that join it in one moment.
    mine = study.user_attrs.get(CREATOR) == this_worker()
    count = len(study.get_trials(deepcopy=False))
    drawn = problem.seed + 1000 * count + index if mine else int.from_bytes(os.urandom(4), "little")
    study.sampler = make_sampler(options.sampler, drawn, index)
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    return Session(options, problem, name, url, storage, study, deadline, over_seeds)


def check_parts(config: Mapping[str, Any], seeds: int) -> None:
    """Refuse a split that lacks the part that decides, or the one that the winner is to be scored on.

    Args:
        config: RecBole's configuration.
        seeds: runs of the winner on test.
    """
    split = (config.get("eval_args") or {}).get("split") or {}
    ratios = next((split[kind] for kind in ("RS", "TS") if kind in split), None)
    parts = [bool(ratio) for ratio in ratios] if ratios else [True, True, True]
    if "LS" in split:
        parts = [True, split["LS"] != "test_only", split["LS"] != "valid_only"]
    if len(parts) == 3 and not parts[1]:
        raise UserError(
            f"a search decides on validation data, which the split {split} does not make; change eval_args."
        )
    if seeds and len(parts) == 3 and not parts[2]:
        raise UserError(f"the split {split} makes no test data to score the winner on; add --seeds=0.")


def run_worker(session: Session, final: bool = True) -> None:
    """Search until the plan is fulfilled, then take part in the winner's runs.

    Raises:
        UserError: the storage is gone for good, or no trial completed.
        KeyboardInterrupt: interrupted; the running trial has been recorded.
    """
    options, problem = session.options, session.problem
    of_trial, of_winner = seeds_of(options, problem.seed, session.over_seeds)
    with interruptible(), lost_storage(session):
        bar = Progress(session.study, options.trials, session.deadline, options.retries, session.name, options.progress)
        try:
            objective = SearchObjective(problem, of_trial, session.over_seeds, bar.note)
            work(session.study, session.storage, objective, session.plan(options.trials), bar.refresh)
        finally:
            bar.close()
        if final and options.seeds:
            best = winner(session.study)
            runs = final_study(session.storage, session.study, problem, list(of_winner))
            failed = len(failed_runs(runs.get_trials(deepcopy=False)))  # at an earlier start: they do not count
            bar = Progress(runs, options.seeds, None, options.retries, f"trial {best.number} on test", options.progress)
            try:
                last = FinalObjective(problem, best.user_attrs["settings"], bar.note)
                plan = replace(session.plan(options.seeds + failed), deadline=None, enough=None)
                work(runs, session.storage, last, plan, bar.refresh)
            finally:
                bar.close()


@contextmanager
def lost_storage(session: Session) -> Iterator[None]:
    """Turn a storage that stays away into one line."""
    try:
        yield
    except (StorageInternalError, OSError) as error:
        raise UserError(
            f"storage {shown(session.url)} stopped answering ({first_line(error)}). What was written before is safe; "
            "start the same command again when it is back, and the running trial is repeated."
        ) from error
