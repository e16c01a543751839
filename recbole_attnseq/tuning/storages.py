"""Where studies live: SQLite, a journal file, PostgreSQL, MySQL, or Optuna's gRPC proxy. All of it is Optuna's;
added are one-line errors, and patience with a database that is away for a while."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import optuna
import sqlalchemy.exc
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from sqlalchemy.engine import make_url

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning.patience import Patience, first_line

_SCHEMES = "sqlite:///FILE, FILE.journal, postgresql://, mysql:// or grpc://HOST:PORT"
_DRIVERS = {
    "postgresql": (("psycopg2", "psycopg2"), ("psycopg", "psycopg")),
    "mysql": (("mysqldb", "MySQLdb"), ("pymysql", "pymysql")),
}

_CALLS = (
    "create_new_study", "set_study_user_attr", "set_study_system_attr", "get_study_id_from_name",
    "get_study_directions", "get_study_user_attrs", "get_study_system_attrs", "get_all_studies", "create_new_trial",
    "set_trial_param", "get_trial_id_from_study_id_trial_number", "set_trial_state_values",
    "set_trial_intermediate_value", "set_trial_user_attr", "set_trial_system_attr", "get_trial", "get_all_trials",
    "_get_trials", "_create_new_trial", "record_heartbeat", "_get_stale_trial_ids", "get_best_trial",
)  # fmt: skip


class PatientStorage(optuna.storages.RDBStorage):  # type: ignore[misc]
    """Optuna's relational storage, which outlasts a restart of the database: what a trial found is not lost."""

    patience = Patience(0.0)


def _patient(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a storage that waits as long as the storage's ``patience`` has it."""

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.patience.call(original, self, *args, **kwargs)

    return call


for _name in _CALLS:
    if hasattr(optuna.storages.RDBStorage, _name):
        setattr(PatientStorage, _name, _patient(getattr(optuna.storages.RDBStorage, _name)))


def open_storage(
    url: str,
    *,
    heartbeat: int = 20,
    grace: int = 60,
    patience: float = 3600.0,
    connect: float = 20.0,
    on_stale: Any = None,
) -> Any:
    """Open, and where need be create, a storage.

    Args:
        url: see the module.
        heartbeat: seconds between a running trial's signs of life.
        grace: seconds without one after which a trial counts as dead.
        patience: seconds to wait during a study for a database that is away.
        connect: seconds to wait for it at the start.
        on_stale: called with (study, trial) for each trial found dead.

    Raises:
        UserError: unknown scheme, missing driver, or nobody answers.
    """
    scheme = urlsplit(url).scheme.split("+")[0] if "://" in url else ""
    if url.endswith(".journal") and scheme in ("", "journal"):
        return _journal(url.removeprefix("journal://"), patience)
    if scheme == "grpc":
        return _grpc(url, connect, patience)
    if scheme not in ("sqlite", "postgresql", "mysql"):
        raise UserError(f"storage '{shown(url)}' is of no known kind; give {_SCHEMES}.")
    return _relational(url, scheme, heartbeat, grace, patience, connect, on_stale)


def shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url.split("@")[-1] if "://" in url and "@" in url else url


def _journal(path: str, patience: float) -> Any:
    from recbole_attnseq.tuning.journal import PatientJournal

    try:
        _make_folder(path)
        return optuna.storages.JournalStorage(PatientJournal(path, Patience(patience)))
    except OSError as error:
        raise UserError(f"journal {path} cannot be opened ({error.strerror or error}).") from error


@functools.cache
def _patient_proxy() -> Any:
    """Optuna's client of its proxy, with the same patience; a class of its own, as grpcio may be missing."""
    from optuna.storages import GrpcStorageProxy

    failure = importlib.import_module("grpc").RpcError

    def translated(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except (failure, UnboundLocalError) as error:  # Optuna 5 stumbles over the first into the second
                raise StorageInternalError(f"the gRPC proxy does not answer ({type(error).__name__})") from error

        return call

    methods = {name: getattr(GrpcStorageProxy, name) for name in _CALLS if hasattr(GrpcStorageProxy, name)}
    return type("PatientProxy", (GrpcStorageProxy,), {name: _patient(translated(m)) for name, m in methods.items()})


def _grpc(url: str, connect: float, patience: float) -> Any:
    address = urlsplit(url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            proxy = _patient_proxy()(host=address.hostname or "localhost", port=address.port or 13000)
        proxy.wait_server_ready(timeout=connect)
    except ImportError as error:
        raise UserError(
            f"storage {url} needs Optuna 4.2 or newer and grpcio: pip install -U optuna 'recbole-attnseq[tune]'."
        ) from error
    except Exception as error:  # grpc has its own hierarchy, present only where it is installed
        raise UserError(
            f"storage {url}: no gRPC proxy answers within {connect:.0f} s. Start Optuna's "
            "(optuna.storages.run_grpc_proxy_server) on that host, or check the port."
        ) from error
    proxy.patience = Patience(patience)
    return proxy


def _relational(
    url: str, scheme: str, heartbeat: int, grace: int, patience: float, connect: float, on_stale: Any
) -> Any:
    url = with_driver(url, scheme)
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if scheme == "sqlite":
        _make_folder(make_url(url).database or "")
        arguments = {"connect_args": {"timeout": 60}}
    # Optuna 4.9 renamed the argument.
    renamed = hasattr(optuna.storages, "RetryHeartbeatStaleTrialCallback")
    callback = {"heartbeat_stale_trial_callback" if renamed else "failed_trial_callback": on_stale}

    def make() -> Any:
        return PatientStorage(
            url, engine_kwargs=dict(arguments), heartbeat_interval=heartbeat, grace_period=grace, **callback
        )

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = Patience(connect).call(make)
    except ImportError as error:
        raise UserError(
            f"storage {shown(url)}: the database driver is missing; pip install psycopg[binary] for PostgreSQL, "
            "pymysql for MySQL."
        ) from error
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError, RuntimeError) as error:
        raise UserError(f"storage {shown(url)} cannot be used: {first_line(error)}") from error
    storage.patience = Patience(patience)
    return storage


def with_driver(url: str, scheme: str) -> str:
    """The URL with a driver that is installed, where it names none."""
    try:
        parsed = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise UserError(f"storage '{shown(url)}' is no valid URL; give {_SCHEMES}.") from error
    if parsed.drivername == scheme:
        for driver, module in _DRIVERS.get(scheme, ()):
            if importlib.util.find_spec(module) is not None:
                parsed = parsed.set(drivername=f"{scheme}+{driver}")
                break
    return parsed.render_as_string(hide_password=False)


def _make_folder(path: str) -> None:
    folder = os.path.dirname(path)
    try:
        if folder:
            os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder {folder} for the study cannot be made ({error.strerror}).") from error
