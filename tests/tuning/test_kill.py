"""A worker killed with -9, at any time, loses nothing."""

from __future__ import annotations

import random
import time

import optuna
import pytest

from recbole_attnseq.tuning.bookkeeping import REASON, Retry, history, is_dead, recover, tally, this_worker
from recbole_attnseq.tuning.loop import Plan, work
from tests.tuning.fakes import (
    FORK,
    check_nothing_lost,
    kill,
    kill_in_a_trial,
    open_study,
    start,
    wait_for_a_trial,
    worker,
)


# A lock that a dead worker held on a journal is broken by Optuna after half a minute.
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("journal", marks=pytest.mark.slow)])
def test_twenty_kills_at_random_times(tmp_path, kind):
    url = f"sqlite:///{tmp_path}/study.db" if kind == "sqlite" else f"{tmp_path}/study.journal"
    chance = random.Random(7)
    _, study = open_study(url)
    deaths = 0
    for number in range(20):
        process = start(url, 1000)
        # A trial takes a tenth of a second: half of the kills fall into a start, half into or between trials. Waiting
        # for the first one to begin makes this so on a slow machine, too.
        if number % 2:
            wait_for_a_trial(study, process)
        time.sleep(chance.uniform(0.0, 0.3))
        deaths += process.is_alive()
        kill(process)
    assert deaths == 20
    _, study = open_study(url)
    trials = tally(study.trials, 30).done + 5
    worker(url, trials)
    _, study = open_study(url)
    assert len(study.trials) > trials, "no kill hit a trial"
    check_nothing_lost(study, trials)


def test_a_killed_worker_is_noticed_by_one_that_runs(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    _, study = open_study(url)
    processes = [start(url, 8, pause=0.1) for _ in range(2)]
    killed = kill_in_a_trial(study, processes[0])
    processes[1].join(timeout=40)
    assert processes[1].exitcode == 0
    check_nothing_lost(study, 8, surplus=1)
    assert study.trials[killed].state.name == "FAIL"
    assert any(history(trial) == [killed] for trial in study.trials)


def orphan(study, worker=None):
    """A trial left running by a worker that is gone."""
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    if worker is not None:
        trial.set_user_attr("worker", worker)
    return trial


def test_a_worker_killed_before_its_first_sign_of_life(tmp_path):
    storage, study = open_study(f"sqlite:///{tmp_path}/study.db")
    lost = orphan(study)
    assert recover(study, storage, 3, grace=60) == []
    assert recover(study, storage, 3, grace=0) == [lost.number]
    assert recover(study, storage, 3, grace=0) == []
    waiting = study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    assert [trial.params for trial in waiting] == [{"x": study.trials[0].params["x"]}]


def test_a_worker_killed_between_failing_a_trial_and_queueing_it_again(tmp_path):
    storage, study = open_study(f"sqlite:///{tmp_path}/study.db")
    trial = orphan(study)
    storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
    assert recover(study, storage, 3, grace=60) == []
    assert recover(study, storage, 3, grace=0) == [trial.number]


def test_two_workers_that_repeat_the_same_trial_complete_it_once(tmp_path):
    storage, study = open_study(f"sqlite:///{tmp_path}/study.db")
    trial = orphan(study)
    storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
    twice = study.trials[0]
    for _ in range(2):
        Retry(3)(study, study.trials[0])
    work(study, storage, lambda trial: trial.suggest_float("x", 0, 1), Plan(2, retries=3, poll=0.01))
    states = [trial.state.name for trial in study.trials]
    assert states == ["FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[2].user_attrs[REASON].startswith("duplicate")
    assert study.trials[1].params == twice.params


def test_a_dead_process_is_told_from_one_that_took_its_id(tmp_path):
    here = this_worker()
    assert not is_dead(here)
    assert is_dead({**here, "began": here["began"] - 100})
    assert not is_dead({**here, "host": "elsewhere", "began": 0})
    process = FORK.Process(target=time.sleep, args=(0,))
    process.start()
    gone = {**here, "pid": process.pid}
    process.join()
    assert is_dead(gone)


def test_a_trial_that_kills_its_workers_is_given_up(tmp_path):
    storage, study = open_study(f"sqlite:///{tmp_path}/study.db", retries=2)
    study.enqueue_trial({"x": 0.5})
    for attempt in range(3):
        trial = orphan(study)
        assert trial.params == {"x": 0.5}, attempt
        recover(study, storage, 2, grace=0)
    count = tally(study.trials, 2)
    assert (count.done, count.waiting, count.lost) == (1, 0, ())


def test_release_repeats_trials_of_other_hosts(tmp_path):
    storage, study = open_study(f"{tmp_path}/study.journal")
    trial = orphan(study, {"host": "elsewhere", "pid": 1, "began": 0.0})
    assert recover(study, storage, 3, grace=0) == []
    assert recover(study, storage, 3, grace=0, release=True) == [trial.number]
    assert "worker" not in study.trials[1].user_attrs


def test_an_interrupted_trial_is_recorded_and_repeated(tmp_path):
    storage, study = open_study(f"sqlite:///{tmp_path}/study.db")

    def stopped(trial):
        trial.suggest_float("x", 0, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(study, storage, stopped, Plan(1))
    assert study.trials[0].user_attrs[REASON] == "interrupted"
    work(study, storage, lambda trial: trial.suggest_float("x", 0, 1), Plan(1, poll=0.01))
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert study.trials[1].params == study.trials[0].params


def test_a_trial_that_was_taken_over_while_its_worker_slept_does_no_harm(tmp_path):
    storage, study = open_study(f"sqlite:///{tmp_path}/study.db")
    taken = []

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        if not taken:
            taken.append(trial.number)
            recover(study, storage, 3, grace=0, release=True)  # what another worker does after a long silence
        return x

    work(study, storage, objective, Plan(1, poll=0.01))
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert study.trials[1].params == study.trials[0].params
