"""Worker processes: their shares of the machine, and what happens when one of them ends."""

from __future__ import annotations

import io
import multiprocessing
import signal
import subprocess
import sys
from types import SimpleNamespace

import optuna
import pytest
import torch

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning import processes
from recbole_attnseq.tuning.bookkeeping import REASON
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.options import TuneOptions
from recbole_attnseq.tuning.processes import Fleet, worker_environment
from recbole_attnseq.tuning.shares import check_gpus, limit_memory, memory_for
from tests.tuning.fakes import open_study

KILLED, ENDED, FAILED = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "", "raise SystemExit(2)"


def test_workers_get_their_gpu_or_their_share_of_threads(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    assert worker_environment(TuneOptions(gpus=("2", "5")), 1)["CUDA_VISIBLE_DEVICES"] == "5"
    assert worker_environment(TuneOptions(jobs=2), 1)["OMP_NUM_THREADS"] == "4"
    assert worker_environment(TuneOptions(jobs=3), 1)["CUDA_VISIBLE_DEVICES"] == ""


def test_gpus_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_gpus(())
    check_gpus(("0", "1", "GPU-8932f937"))
    with pytest.raises(UserError, match="there is no GPU 2, 7 here; there are 0 to 1"):
        check_gpus(("0", "2", "7"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    check_gpus(("6", "7"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match="--gpus 0,1: no CUDA GPU is visible here; use --jobs"):
        check_gpus(("0", "1"))


def fleet(tmp_path, monkeypatch, lives, **options):
    """A fleet whose workers are short programs, one after another; ``started`` tells how many there were."""
    programs = iter(lives)
    monkeypatch.setattr(
        Fleet, "_start", lambda self, index: subprocess.Popen([sys.executable, "-c", next(programs)], text=True)
    )
    monkeypatch.setattr(processes, "Progress", lambda *args: SimpleNamespace(refresh=lambda: None, close=lambda: None))
    monkeypatch.setattr("time.sleep", lambda seconds: [process.wait() for process in one.processes])
    options = TuneOptions(output=str(tmp_path), **options)
    study = optuna.create_study()
    session = SimpleNamespace(options=options, study=study, name="s", deadline=None)
    one = Fleet(session)
    monkeypatch.setattr(processes, "Fleet", lambda session: one)
    return session, programs


def test_a_killed_worker_is_replaced(tmp_path, monkeypatch, capsys):
    session, left = fleet(tmp_path, monkeypatch, [KILLED, ENDED, KILLED, ENDED, "never"], jobs=2)
    processes.run_workers(session)
    assert list(left) == ["never"]
    assert capsys.readouterr().err.count("was killed by signal 9; another goes on") == 2


def test_workers_that_are_killed_and_killed_are_not_replaced_for_ever(tmp_path, monkeypatch):
    session, left = fleet(tmp_path, monkeypatch, [KILLED] * 40, jobs=1, retries=2)
    with pytest.raises(UserError, match=r"no worker is left .*killed by signal 9.*goes on from here"):
        processes.run_workers(session)
    assert 40 - len(list(left)) == 1 + 3, "the first, and as many as a trial has attempts"


def test_progress_gives_new_lives(tmp_path, monkeypatch):
    session, left = fleet(tmp_path, monkeypatch, [KILLED] * 6 + [ENDED], jobs=1, retries=1)
    original = Fleet._worthwhile

    def worthwhile(self):
        self.session.study.add_trial(optuna.trial.create_trial(value=1.0))
        return original(self)

    monkeypatch.setattr(Fleet, "_worthwhile", worthwhile)
    processes.run_workers(session)
    assert not list(left)


def test_a_worker_that_ends_with_an_error_is_not_replaced(tmp_path, monkeypatch, capsys):
    session, left = fleet(tmp_path, monkeypatch, [FAILED, ENDED, "never"], jobs=2)
    processes.run_workers(session)
    assert list(left) == ["never"]
    assert "worker 0: exit code 2; see " in capsys.readouterr().err


def test_memory_is_divided():
    assert 0 < memory_for(2) <= memory_for(1) // 2 + 1


def hungry(url):
    limit_memory(3 * 2**30)
    storage, study = open_study(url)

    def objective(trial):
        return float(torch.ones(int(trial.suggest_float("gib", 0, 1000) * 2**28)).mean())

    for gib in (64.0, 0.001):
        study.enqueue_trial({"gib": gib})
    work(study, storage, objective, Plan(2, poll=0.1))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses memory by this limit")
def test_a_trial_that_asks_for_too_much_memory_fails_and_its_worker_goes_on(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    # A fork would begin with the memory that the tests before it left, which may be more than the limit.
    process = multiprocessing.get_context("spawn").Process(target=hungry, args=(url,))
    process.start()
    process.join()
    assert process.exitcode == 0
    _, study = open_study(url)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert study.trials[0].user_attrs[REASON].startswith("out of memory")


def test_a_worker_keeps_freed_memory_before_it_reads_any_data(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(processes, "keep_freed_memory", lambda: calls.append("kept"))

    def stopped(options, index):
        calls.append(f"worker {index}")
        raise UserError("no such data set")

    monkeypatch.setattr(processes, "open_session", stopped)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"3 0\n{TuneOptions().to_json()}"))
    assert processes.main() == 2
    assert calls == ["kept", "worker 3"]
    assert "no such data set" in capsys.readouterr().err
