"""Which trials are done, which are lost, and how the lost ones come back.

Optuna's heartbeats find trials whose worker has died, on storages that have them. Here is what they leave open:
a worker killed before its first heartbeat or between failing a trial and queueing it again, storages without
heartbeats (journal, gRPC), interrupted trials, and the count of what is still to be done. Everything is derived
from the trials' own records, so that it does not matter when a worker dies.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import os
import socket
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import optuna
import psutil
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from recbole_attnseq.tuning.patience import AlreadyFinished

REASON = "reason"
WORKER = "worker"
INTERRUPTED = "interrupted"
DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Tally:
    """Trials by what remains to be done about them; a trial and its repetitions count once.

    Attributes:
        done: complete, pruned, failed with a reason, or given up.
        running: at work now.
        waiting: queued.
        lost: failed without a reason and not queued again.
    """

    done: int
    running: int
    waiting: int
    lost: tuple[FrozenTrial, ...]


def history(trial: FrozenTrial) -> list[int]:
    """Numbers of the trials that this one repeats, oldest first; Optuna's own record."""
    return list(trial.system_attrs.get("retry_history", []))


def failures(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that failed and are not repeated by another; of two that repeat one, the surplus one is none."""
    trials = list(trials)
    repeated = {number for trial in trials for number in history(trial)}
    return [
        trial
        for trial in trials
        if trial.state == TrialState.FAIL
        and trial.number not in repeated
        and not str(trial.user_attrs.get(REASON, "")).startswith(DUPLICATE)
    ]


def tally(trials: Iterable[FrozenTrial], retries: int) -> Tally:
    """Count, allowing each trial to be repeated ``retries`` times, interruptions by hand apart."""
    trials = list(trials)
    repeated = {number for trial in trials for number in history(trial)}
    stopped = {trial.number for trial in trials if trial.user_attrs.get(REASON) == INTERRUPTED}  # nobody's death
    done = running = waiting = 0
    lost = []
    for trial in trials:
        reason = str(trial.user_attrs.get(REASON, ""))
        if trial.state == TrialState.RUNNING:
            running += 1
        elif trial.state == TrialState.WAITING:
            waiting += 1
        elif trial.state != TrialState.FAIL:
            done += 1
        elif trial.number in repeated or reason.startswith(DUPLICATE):
            continue
        elif reason == INTERRUPTED or (not reason and len({*history(trial)} - stopped) < retries):
            lost.append(trial)
        else:
            done += 1
    return Tally(done, running, waiting, tuple(lost))


def shared_fault(trials: Iterable[FrozenTrial]) -> tuple[str, int]:
    """What all trials so far died of, if it is one thing and no want of memory or luck; and how many did.

    Returns:
        The reason, empty where there is no such thing, and the number of trials.
    """
    finished = [trial for trial in trials if trial.state != TrialState.WAITING]
    reasons = {str(trial.user_attrs.get(REASON, "")) for trial in finished}
    reason = reasons.pop() if len(reasons) == 1 else ""
    alike = reason.startswith(("bad setting", "crash")) and all(trial.state == TrialState.FAIL for trial in finished)
    return (reason, len(finished)) if alike else ("", 0)


def is_left(trial: FrozenTrial, grace: float = 60.0) -> bool:
    """Whether nobody is at work any more where a finished trial ran, as far as can be known from here."""
    worker = trial.user_attrs.get(WORKER)
    old = _age(trial.datetime_complete, datetime.datetime.now()) > grace
    return old or worker == this_worker() or is_dead(worker)


def this_worker() -> dict[str, Any]:
    """Who runs a trial: where, which process, and when it began, since ids are used again."""
    return {**_place(), "pid": os.getpid(), "began": _began(os.getpid())}


def is_dead(worker: Any) -> bool:
    """Whether a worker of this place is no more; False where that cannot be told."""
    if not isinstance(worker, dict) or any(worker.get(key) != value for key, value in _place().items()):
        return False
    try:
        process = psutil.Process(int(worker["pid"]))
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return bool(zombie or abs(_began(process.pid) - float(worker["began"])) > 1.0)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _place() -> dict[str, str]:
    """Where process ids mean the same: containers may share a host's name and number their processes by themselves."""
    place = {"host": socket.gethostname()}
    for key, read in (("boot", _boot), ("processes", lambda: os.readlink("/proc/self/ns/pid"))):
        with contextlib.suppress(OSError):  # not on Linux
            place[key] = read()
    return place


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _began(pid: int) -> float:
    """When a process began: by the system's own count where it has one, which no clock that is set can move."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return float(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return float(psutil.Process(pid).create_time())


class Retry:
    """Optuna's retry of a dead trial, which leaves behind what belonged to the dead worker.

    Args:
        retries: how often a trial may be repeated; None where that has been decided.
    """

    def __init__(self, retries: int | None) -> None:
        storages = optuna.storages
        kind = getattr(storages, "RetryHeartbeatStaleTrialCallback", None) or storages.RetryFailedTrialCallback
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._again = kind(max_retry=retries)

    def __call__(self, study: Any, trial: FrozenTrial) -> None:
        trial = copy.deepcopy(trial)  # storages hand out their own records, and Optuna's callback writes into them
        trial.user_attrs = {key: trial.user_attrs[key] for key in ("origin", "preset") if key in trial.user_attrs}
        self._again(study, trial)


def recover(study: Any, storage: Any, retries: int, grace: float, release: bool = False) -> list[int]:
    """Find trials of dead workers and queue them again; any worker may call this at any time.

    Args:
        study: the study.
        storage: its storage.
        retries: how often a trial may be repeated.
        grace: seconds without a sign after which a trial counts as dead.
        release: take every running trial for dead, because a person knows that no worker is left.

    Returns:
        Numbers of the trials that were queued again here.
    """
    retry, again, now, queued = Retry(retries), Retry(None), datetime.datetime.now(), []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = trial.user_attrs.get(WORKER)
        silent = worker is None and _age(trial.datetime_start, now) > grace
        if (release or silent or is_dead(worker)) and _fail(storage, trial):
            retry(study, storage.get_trial(trial._trial_id))
            queued.append(trial.number)
    # Whoever failed a trial queues it again at once. If that has not happened, it died in between.
    for trial in tally(study.get_trials(deepcopy=True), retries).lost:
        if _age(trial.datetime_complete, now) > grace or trial.user_attrs.get(REASON) == INTERRUPTED:
            again(study, trial)
            queued.append(trial.number)
    return queued


def _fail(storage: Any, trial: FrozenTrial) -> bool:
    """Set a trial to failed; only one of several workers that try succeeds."""
    try:
        return bool(storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL))
    except (AlreadyFinished, RuntimeError):
        return False


def _age(moment: datetime.datetime | None, now: datetime.datetime) -> float:
    return 0.0 if moment is None else (now - moment).total_seconds()


def is_duplicate(study: Any, number: int) -> bool:
    """Whether an older trial repeats the same one as trial ``number``: two workers healed one loss at once."""
    trials = study.get_trials(deepcopy=False)
    own = history(trials[number])
    return bool(own) and any(
        trial.number < number
        and history(trial) == own
        and not str(trial.user_attrs.get(REASON, "")).startswith(DUPLICATE)
        for trial in trials
    )
