"""Studies: created once, joined by any number of workers, refused where they do not fit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.trial import TrialState

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning.bookkeeping import INTERRUPTED, REASON, failures, is_left, shared_fault, this_worker
from recbole_attnseq.tuning.problem import Problem

IDENTITY = "attnseq:identity"
READY = "attnseq:ready"
CREATOR = "attnseq:creator"
_NAMES = {"split_hash": "split hash", "dataset": "data set", "runs": "runs of a trial"}


def open_study(
    storage: Any,
    name: str,
    problem: Problem,
    *,
    sampler: Any = None,
    pruner: Any = None,
    runs: str | None = None,
    wait: float = 30.0,
) -> Any:
    """Create or join the study ``name``.

    Whoever creates it queues the defaults and the published settings. Whoever joins waits until that is done, and
    does it where the creator died over it. A study whose trials have all died of one mistake is created anew.

    Args:
        storage: see :func:`recbole_attnseq.tuning.storages.open_storage`.
        name: the study's name.
        problem: what is tuned.
        sampler: Optuna's sampler.
        pruner: Optuna's pruner.
        runs: what a trial's value is the mean of, and what pruners compare, in words.
        wait: seconds to wait for a creator.

    Raises:
        UserError: a study of that name exists with another model, data set, metric, split or fixed setting, or with
            trials of other runs.
    """
    identity = problem.identity() | ({} if runs is None else {"runs": runs})
    study, created = _create_or_join(storage, name, problem, sampler, pruner, wait)
    if not created and _died_of_one_mistake(study):
        # There is nothing to go on from, and what was mended may be what identifies the study.
        optuna.delete_study(study_name=name, storage=storage)
        study, created = _create_or_join(storage, name, problem, sampler, pruner, wait)
    if not created:
        before = study.user_attrs.get(IDENTITY)
        if before is None and study.get_trials(deepcopy=False):
            raise UserError(f"study '{name}' was not made by attnseq tune; choose another name with --study.")
        if before is not None:
            refuse_other(name, before, identity)
    if not study.user_attrs.get(READY):
        study.set_user_attr(IDENTITY, identity)
        study.set_user_attr(CREATOR, this_worker())
        exhaustive = isinstance(sampler, optuna.samplers.BruteForceSampler)
        for origin, preset in problem.presets():
            if exhaustive and not problem.space.holds(preset, problem.defaults):
                continue  # it takes its own trials for a tree in which this one has no place
            study.enqueue_trial(
                problem.space.enqueued(preset, problem.defaults),
                user_attrs={"origin": origin, "preset": preset},
                skip_if_exists=not created,
            )
        study.set_user_attr(READY, True)
    return study


def _died_of_one_mistake(study: Any) -> bool:
    """Whether all trials of one of our studies did, and nobody is at work on it; says so."""
    trials = study.get_trials(deepcopy=False)
    reason, _ = shared_fault(trials)
    if not reason or IDENTITY not in study.user_attrs:
        return False
    if not all(is_left(trial) for trial in trials if trial.state == TrialState.FAIL):
        return False
    print(f"study '{study.study_name}' begins anew: all its trials ended with: {reason}", flush=True)
    return True


def _create_or_join(
    storage: Any, name: str, problem: Problem, sampler: Any, pruner: Any, wait: float = 30.0
) -> tuple[Any, bool]:
    """The study, and whether it was created here; a joiner waits for the creator to have queued its trials."""
    try:
        direction = "maximize" if problem.bigger else "minimize"
        study = optuna.create_study(
            storage=storage, study_name=name, direction=direction, sampler=sampler, pruner=pruner
        )
        return study, True
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name, sampler=sampler, pruner=pruner)
    deadline = time.monotonic() + wait
    while not study.user_attrs.get(READY) and time.monotonic() < deadline:
        time.sleep(0.2)
    return study, False


def refuse_other(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise :class:`UserError` where a study's identity differs, saying in what."""
    differences = []
    for key in now:
        if key == "runs" and key not in before:
            continue  # a study of before this was kept
        old, new = before.get(key), now[key]
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            differences += [
                f"{part}: {old.get(part, 'not set')} there, {new.get(part, 'not set')} here"
                for part in sorted({*old, *new})
                if old.get(part, "not set") != new.get(part, "not set")
            ]
        elif old != new:
            differences.append(f"{_NAMES.get(key, key)}: {old} there, {new} here")
    if differences:
        raise UserError(
            f"study '{name}' exists and is about something else ({'; '.join(differences)}). "
            "Its values could not be compared; choose another name with --study."
        )


def winner(study: Any) -> Any:
    """The best complete trial.

    Raises:
        UserError: none is complete; says what they died of.
    """
    trials = study.get_trials(deepcopy=False)
    if not any(trial.state == TrialState.COMPLETE for trial in trials):
        reasons = [str(t.user_attrs[REASON]) for t in trials if REASON in t.user_attrs]
        most = max(set(reasons), key=reasons.count) if reasons else "none was run to its end"
        raise UserError(f"study '{study.study_name}': no trial of {len(trials)} completed; most often: {most}")
    return study.best_trial


def final_study(storage: Any, study: Any, problem: Problem, seeds: list[int]) -> Any:
    """The study that holds the winner's runs, one waiting trial a seed; workers share it like any other.

    It is named after the winning trial: a resumed search with another winner gets runs of its own. A run that failed at
    an earlier start is tried again.
    """
    best = winner(study)
    final, created = _create_or_join(
        storage, final_name(study, best.number), problem, optuna.samplers.RandomSampler(), optuna.pruners.NopPruner()
    )
    trials = final.get_trials(deepcopy=False)
    failed = {trial.number for trial in failed_runs(trials)}
    have = {trial.user_attrs.get("preset", {}).get("seed") for trial in trials if trial.number not in failed}
    for seed in seeds:
        if seed not in have:
            final.enqueue_trial({"seed": seed}, user_attrs={"preset": {"seed": seed}}, skip_if_exists=not created)
    final.set_user_attr(READY, True)
    return final


def failed_runs(trials: Iterable[Any]) -> list[Any]:
    """Those that failed with a reason of their own, not by their worker's end, which are repeated by themselves."""
    return [trial for trial in failures(trials) if trial.user_attrs.get(REASON, INTERRUPTED) != INTERRUPTED]


def final_name(study: Any, number: int) -> str:
    """Name of the study with the runs of winning trial ``number``."""
    return f"{study.study_name} winner {number}"
