"""A real PostgreSQL server on a throw-away cluster, three workers, one of them killed."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile

import pytest

from recbole_attnseq.tuning.bookkeeping import history
from recbole_attnseq.tuning.loop import Plan, work
from tests.tuning.fakes import check_nothing_lost, kill_in_a_trial, open_study, start

pytest.importorskip("psycopg", reason="pip install psycopg[binary]")


def _program(name):
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))[::-1]), None)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is missing; get it with: apt-get install postgresql")
    return found


def _command(words):
    """PostgreSQL refuses to run as root: run it as somebody else then."""
    if os.geteuid() != 0:
        return words
    return ["setpriv", f"--reuid={_user().pw_uid}", f"--regid={_user().pw_gid}", "--clear-groups", *words]


def _user():
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("running as root, and there is no user postgres or nobody to run PostgreSQL as")


@pytest.fixture(scope="module")
def server():
    """(URL, restart function) of a server that listens on a local socket only."""
    initdb, control = _program("initdb"), _program("pg_ctl")
    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")  # a socket's path must be short
    if os.geteuid() == 0:
        os.chown(folder, _user().pw_uid, _user().pw_gid)
    data = os.path.join(folder, "data")
    environment = {**os.environ, "LC_ALL": "C"}

    def run(*words):
        subprocess.run(
            _command(list(words)), check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL, timeout=60
        )

    def begin():
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        run(control, "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")

    def end():
        run(control, "-D", data, "-w", "-m", "immediate", "stop")

    try:
        run(initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        begin()
        yield f"postgresql://tester@/postgres?host={folder}", begin, end
        end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_three_workers_one_killed(server):
    url, _, _ = server
    _, study = open_study(url)
    trials = 12
    processes = [start(url, trials, pause=0.1) for _ in range(3)]
    killed = kill_in_a_trial(study, processes[0])
    for process in processes[1:]:
        process.join(timeout=60)
        assert process.exitcode == 0
    check_nothing_lost(study, trials, surplus=2)
    assert study.trials[killed].state.name == "FAIL"
    assert len([trial for trial in study.trials if history(trial)]) == 1
    workers = {trial.user_attrs["worker"]["pid"] for trial in study.trials if "worker" in trial.user_attrs}
    assert workers == {process.pid for process in processes}


def test_a_server_that_restarts_loses_nothing(server):
    url, begin, end = server
    storage, study = open_study(url, name="restart")
    before = len(study.trials)

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        end()
        begin()
        trial.report(x, 1)
        return x

    work(study, storage, objective, Plan(1))
    assert before == 0
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]
    assert study.trials[0].intermediate_values == {1: study.trials[0].value}
