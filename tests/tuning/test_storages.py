"""Every kind of storage, and what is said when one cannot be used."""

from __future__ import annotations

import socket
import threading
import time
import warnings

import optuna
import pytest
from optuna.exceptions import StorageInternalError

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.storages import AlreadyFinished, Patience, open_storage, shown, with_driver


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
    assert slept[-1] == 7.0
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
