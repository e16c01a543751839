"""Every kind of storage, and what is said when one cannot be used."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
import warnings
from types import SimpleNamespace

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.processes import interruptible
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.patience import AlreadyFinished, Patience
from recbole_attnseq.tuning.storages import open_storage, shown, with_driver
from recbole_attnseq.tuning.workers import lost_storage


def objective(trial):
    return trial.suggest_float("x", 0, 1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("url", ["sqlite:///{}/new/folder/s.db", "{}/new/s.journal", "journal://{}/new/s.journal"])
def test_a_file_is_made_and_reopened(tmp_path, url):
    for _ in range(2):
        storage = open_storage(url.format(tmp_path))
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
        work(study, storage, objective, Plan(2))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2


def test_a_grpc_proxy_that_is_away_for_a_while(tmp_path):
    pytest.importorskip("grpc", reason="pip install grpcio")
    make_server = pytest.importorskip("optuna.storages._grpc.server", reason="Optuna 4.2 or newer").make_server
    port = free_port()

    def serve():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = make_server(open_storage(f"sqlite:///{tmp_path}/s.db"), "localhost", port)
        threading.Thread(target=server.start).start()
        return server

    server = serve()
    servers = []
    storage = open_storage(f"grpc://localhost:{port}", patience=60)
    study = optuna.create_study(storage=storage, study_name="s")

    def away(trial):
        if trial.number == 1:
            server.stop(0).wait()
            threading.Timer(1.5, lambda: servers.append(serve())).start()
        return objective(trial)

    try:
        work(study, storage, away, Plan(3))
        assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
        servers[0].stop(0).wait()
        storage.patience.seconds = 0.5
        with pytest.raises(StorageInternalError, match="the gRPC proxy does not answer"):
            work(study, storage, objective, Plan(5))
    finally:
        for one in servers:
            one.stop(0).wait()
        storage.close()


def test_optunas_grpc_proxy(tmp_path):
    pytest.importorskip("grpc", reason="pip install grpcio")
    make_server = pytest.importorskip("optuna.storages._grpc.server", reason="Optuna 4.2 or newer").make_server
    port = free_port()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = make_server(open_storage(f"sqlite:///{tmp_path}/s.db"), "localhost", port)
    thread = threading.Thread(target=server.start)
    thread.start()
    try:
        storage = open_storage(f"grpc://localhost:{port}")
        study = optuna.create_study(storage=storage, study_name="s")
        work(study, storage, objective, Plan(3))
        assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
        storage.close()
    finally:
        server.stop(5).wait()
        thread.join()
    behind = optuna.load_study(storage=open_storage(f"sqlite:///{tmp_path}/s.db"), study_name="s")
    assert len(behind.trials) == 3


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://localhost", ["redis://localhost", "sqlite:///", "grpc://"]),
        ("studies.db", ["studies.db", "sqlite:///"]),
        ("postgresql://u:secret@127.0.0.1:{port}/db", ["cannot be used", "***", "127.0.0.1"]),
        ("grpc://127.0.0.1:{port}", ["no gRPC proxy answers"]),
        ("sqlite:////proc/none/s.db", ["/proc/none"]),
        ("/proc/none/s.journal", ["/proc/none"]),
    ],
)
def test_what_cannot_be_used_is_one_line(url, words):
    with pytest.raises(UserError) as error:
        open_storage(url.format(port=free_port()), connect=0.5)
    text = str(error.value)
    assert "\n" not in text
    assert "secret" not in text
    assert all(word in text for word in words), text


def test_a_missing_driver_is_named(monkeypatch):
    with pytest.raises(UserError, match=r"driver is missing; pip install"):
        open_storage("postgresql+pg8000://u@localhost/db", connect=0.1)


def test_passwords_are_not_shown():
    assert shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"


@pytest.fixture(autouse=True)
def quiet_before(monkeypatch):
    """An outage is told once a minute; each test has its own minute."""
    monkeypatch.setattr("recbole_attnseq.tuning.patience._told", {})


def test_patience_outlasts_a_storage_that_is_away_and_ends():
    answers = [StorageInternalError("away")] * 2

    def action():
        if answers:
            raise answers.pop()
        return "there"

    assert Patience(10).call(action) == "there"
    answers = [StorageInternalError("away")] * 1000
    begin = time.monotonic()
    with pytest.raises(StorageInternalError):
        Patience(0.5).call(action)
    assert time.monotonic() - begin < 2


def test_after_an_outage_the_others_get_time_for_a_sign_of_life(monkeypatch):
    slept, now = [], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    patience, answers = Patience(100), [StorageInternalError("away")] * 10

    def action():
        if answers:
            raise answers.pop()

    patience.settle()
    assert slept == [0.0]
    patience.call(action)
    assert max(slept) <= 5.0, "a heartbeat is tried again at least every five seconds"
    now[0] += 3
    patience.settle()
    assert slept[-1] == pytest.approx(7.0)
    now[0] += 10
    patience.settle()
    assert slept[-1] == 0.0


@pytest.mark.parametrize(("scheme", "module"), [("postgresql", "psycopg"), ("mysql", "pymysql")])
def test_a_driver_that_is_installed_is_taken(monkeypatch, scheme, module):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == module else None)
    assert with_driver(f"{scheme}://u:p@h/db", scheme) == f"{scheme}+{module}://u:p@h/db"
    assert with_driver(f"{scheme}+other://u@h/db", scheme) == f"{scheme}+other://u@h/db"


def test_a_state_that_was_written_before_its_answer_got_lost_counts_as_written():
    answers = [AlreadyFinished("done"), StorageInternalError("away")]

    def set_trial_state_values():
        raise answers.pop()

    assert Patience(5).call(set_trial_state_values) is True
    answers = [AlreadyFinished("done")]
    with pytest.raises(AlreadyFinished):
        Patience(5).call(set_trial_state_values)


def test_a_trial_in_an_outage_of_sqlite_is_not_lost(tmp_path, monkeypatch):
    storage = open_storage(f"sqlite:///{tmp_path}/s.db", patience=10)
    study = optuna.create_study(storage=storage)
    original, outage = storage._set_trial_value_without_commit, [True, True]

    def flaky(*args, **rest):
        if outage:
            outage.pop()
            raise StorageInternalError("database is locked")
        return original(*args, **rest)

    monkeypatch.setattr(storage, "_set_trial_value_without_commit", flaky)
    work(study, storage, objective, Plan(1))
    assert outage == []
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]


@pytest.mark.parametrize("where", ["in the objective", "at the end"])
def test_a_storage_that_stays_away_stops_the_worker_and_the_trial_is_repeated(tmp_path, where):
    storage = open_storage(f"sqlite:///{tmp_path}/s.db", heartbeat=1, grace=2, patience=0.3)
    study = optuna.create_study(storage=storage)
    broken = pytest.MonkeyPatch()

    def away(*args, **rest):
        raise StorageInternalError("database or disk is full")

    def interrupted(trial):
        x = objective(trial)
        if where == "in the objective":
            away()
        broken.setattr(storage, "_set_trial_value_without_commit", away)
        return x

    with pytest.raises(StorageInternalError, match="disk is full"):
        work(study, storage, interrupted, Plan(2))
    broken.undo()
    assert len(study.trials) == 1, "no other trial was begun"
    assert "reason" not in study.trials[0].user_attrs, "it was no fault of the trial's"
    work(study, storage, objective, Plan(2, grace=0, poll=0.01))
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert len(complete) == 2
    assert study.trials[0].params in [trial.params for trial in complete]


def test_half_a_line_at_the_end_of_a_journal_does_no_harm(tmp_path):
    path = tmp_path / "s.journal"
    study = optuna.create_study(storage=open_storage(str(path)), study_name="s")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":4,"worker_id":"' + b"x" * 200_000)
    storage = open_storage(str(path))
    study = optuna.load_study(storage=storage, study_name="s")
    work(study, storage, objective, Plan(2))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert path.read_bytes().startswith(whole)
    for line in path.read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_a_journal_on_a_full_disk_waits_for_room(tmp_path, monkeypatch, capsys):
    path = tmp_path / "s.journal"
    storage = open_storage(str(path), patience=10)
    study = optuna.create_study(storage=storage)
    original, full = JournalFileBackend.append_logs, [True, True]

    def append_logs(self, logs):
        if not full:
            return original(self, logs)
        full.pop()
        with get_lock_file(self._lock), path.open("ab") as file:
            file.write(json.dumps(logs[0]).encode()[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JournalFileBackend, "append_logs", append_logs)
    work(study, storage, objective, Plan(1))
    assert full == []
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]
    assert "does not answer ([Errno 28] No space left on device); trying for 10 s" in capsys.readouterr().err


def test_a_journal_on_a_disk_that_stays_full_ends_in_one_line(tmp_path, monkeypatch):
    storage = open_storage(str(tmp_path / "s.journal"), patience=0.2)
    study = optuna.create_study(storage=storage)

    def append_logs(self, logs):
        raise OSError(28, "No space left on device")

    @lost_storage(SimpleNamespace(url="s.journal"))
    def search():
        work(study, storage, objective, Plan(1))

    with monkeypatch.context() as full:
        full.setattr(JournalFileBackend, "append_logs", append_logs)
        with pytest.raises(UserError, match=r"No space left.*start the same command again"):
            search()
    work(study, storage, objective, Plan(1))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]


def test_when_the_patience_has_run_out_no_other_call_waits_as_long():
    patience = Patience(0.6)

    def away():
        raise StorageInternalError("away")

    for least, most in ((0.1, 2.0), (0.0, 0.1)):
        begin = time.monotonic()
        with pytest.raises(StorageInternalError):
            patience.call(away)
        assert least <= time.monotonic() - begin <= most
    assert patience.call(lambda: "back") == "back"


@pytest.mark.parametrize("url", ["sqlite:///{}/s.db", "{}/s.journal"])
def test_an_interrupt_at_any_moment_leaves_a_storage_that_others_can_write_to(tmp_path, url):
    """One in the middle of a statement would leave its connection open, and with it SQLite's lock, for ever."""
    url = url.format(tmp_path)
    study = optuna.create_study(storage=open_storage(url, patience=0.5), study_name="s")
    other = optuna.load_study(storage=open_storage(url, patience=0.5), study_name="s")
    rng = random.Random(3)

    def report(trial, alarm):
        with interruptible():
            alarm.start()
            for step in range(100_000):
                trial.report(0.0, step)

    for number in range(60):
        trial = study.ask()
        alarm = threading.Timer(rng.uniform(0.0, 0.03), os.kill, (os.getpid(), signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            report(trial, alarm)
        alarm.join()
        other.set_user_attr("round", number)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
