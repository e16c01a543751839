"""Objectives without data, and workers as processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import optuna

from recbole_attnseq.tuning.bookkeeping import Retry, history, tally
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.storages import open_storage

# Processes are forked: a fresh interpreter would need seconds to import torch, a fork needs none.
FORK = multiprocessing.get_context("fork")


def open_study(url, name="study", retries=30):
    """A study with quick heartbeats, created or joined."""
    storage = open_storage(url, heartbeat=1, grace=2, patience=20, on_stale=Retry(retries))
    sampler = optuna.samplers.RandomSampler()
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True, sampler=sampler
    )
    return storage, study


class SlowSteps:
    """An objective of five epochs with a curve; ``pause`` seconds an epoch."""

    def __init__(self, pause):
        self.pause = pause

    def __call__(self, trial):
        x = trial.suggest_float("x", 0, 1)
        for epoch in range(5):
            time.sleep(self.pause)
            trial.report(x * epoch, epoch)
        return x


def worker(url, trials, pause=0.02, retries=30):
    """What a worker process does."""
    storage, study = open_study(url, retries=retries)
    work(study, storage, SlowSteps(pause), Plan(trials, retries=retries, grace=2, poll=0.2))


def start(url, trials, pause=0.02):
    """A worker process, started."""
    process = FORK.Process(target=worker, args=(url, trials, pause))
    process.start()
    return process


def wait_for_a_trial(study, process, epochs=(0, 1, 2, 3, 4, 5)):
    """Wait until the process is at work on a trial with that many reported epochs; the number of that trial."""
    for _ in range(3000):
        time.sleep(0.02)
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            mine = trial.user_attrs.get("worker", {}).get("pid") == process.pid
            if mine and len(trial.intermediate_values) in epochs:
                return trial.number
    raise AssertionError("the worker never ran a trial")


def kill_in_a_trial(study, process):
    """kill -9 while the process is at work on a trial; the number of that trial."""
    number = wait_for_a_trial(study, process, epochs=(1, 2))
    kill(process)
    return number


def kill(process):
    """kill -9."""
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def check_nothing_lost(study, trials, surplus=0):
    """Every trial or one repetition of it has run to completion, exactly once, with its whole curve."""
    everything = study.get_trials(deepcopy=False)
    state = optuna.trial.TrialState
    count = tally(everything, 30)
    assert trials <= count.done <= trials + surplus
    assert (count.running, count.waiting, count.lost) == (0, 0, ())
    roots = [(history(trial) or [trial.number])[0] for trial in everything if trial.state == state.COMPLETE]
    assert len(roots) == len(set(roots)) == count.done
    assert {trial.number for trial in everything if not history(trial)} == set(roots)
    for trial in everything:
        if trial.state == state.COMPLETE:
            assert len(trial.intermediate_values) == 5
            assert trial.value == trial.params["x"]
