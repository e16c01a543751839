"""Runs a cell as the very command that a person would type, in a process of its own.

So the peak of memory is the run's alone, a crash fails one cell, and the command in the report is the one that ran.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from recbole_attnseq.errors import UserError
from recbole_attnseq.extensions import FOLDER_VARIABLE
from recbole_attnseq.leaderboard.board import Row
from recbole_attnseq.leaderboard.cells import Cell, best_yaml, flags_of, study_name, write_failure
from recbole_attnseq.training.processes import interruptible
from recbole_attnseq.training.provenance import commit
from recbole_attnseq.training.snapshots import read_snapshot, run_identity
from recbole_attnseq.tuning.options import storage_file

# Freed memory is kept and given out again, in huge pages: allocation is much of a baseline's time on a CPU.
ALLOCATOR = "glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184:glibc.malloc.hugetlb=1"

# Loaded before any fork: between fork and exec nothing may be imported.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Places:
    """Folders: records, searches, data, and where a run may write what nobody keeps."""

    runs: Path
    studies: Path
    data: Path
    scratch: Path


def run_cell(cell: Cell, places: Places, lock: IO[str] | None = None) -> str | None:
    """Run one cell.

    Args:
        cell: which.
        places: folders.
        lock: an open, locked file that the run keeps locked even if this process dies.

    Returns:
        None, with the record in its place; or why the run failed, kept beside the records.

    Raises:
        KeyboardInterrupt: stopped; the run is stopped too and has left nothing but its snapshot.
    """
    command = [
        *_attnseq("run", cell.row, cell.files, places),
        f"--seed={cell.seed}", f"--record={places.runs.resolve()}", f"--row={cell.row.name}", "--fast_batches=grouped",
        "--fast_layers", f"--snapshot={snapshot_path(cell, places).resolve()}",
    ]  # fmt: skip
    started = time.monotonic()
    reason = _run(command, log_path(cell, places), cell.row.time_limit, places, lock, _spent(cell, places))
    if reason is None and not cell.record_path(places.runs).is_file():
        reason = f"the run ended well but left no record {cell.name}"
    if reason is not None:
        values = {
            "row": cell.row.name,
            "model": cell.row.model,
            "dataset": cell.row.dataset,
            "seed": cell.seed,
            "config_hash": cell.config_hash,
            "reason": reason,
            "seconds": round(time.monotonic() - started, 1),
            "time_limit": cell.row.time_limit,
            "commit": commit(),
        }
        write_failure(cell.failure_path(places.runs), values)
    else:
        cell.failure_path(places.runs).unlink(missing_ok=True)
    return reason


def search(row: Row, places: Places, board: Path, lock: IO[str] | None = None) -> str | None:
    """Search a row's settings within its budget; the winner is left where :func:`best_yaml` says.

    Args:
        row: which.
        places: folders.
        board: the leaderboard's file, for the command that a report of the search names.
        lock: an open, locked file that the search keeps locked even if this process dies.

    Returns:
        None, or why there is no winner. A search that was stopped goes on where it was, within what is left of its
        seconds.
    """
    if row.tune is None or best_yaml(row, places.studies).is_file():
        return None
    budget = dict(row.tune)
    if "timeout" in budget:
        # At the least a moment: the search then begins no trial and takes the best of those that it has.
        budget["timeout"] = max(0.001, budget["timeout"] - _searched_seconds(row, places))
    command = [
        *_attnseq("tune", row, row.files, places),
        *(f"--{key}={value}" for key, value in budget.items()),
        f"--output={places.studies.resolve()}", f"--study={study_name(row)}", "--seeds=0", "--no_progress",
        "--fast_batches=grouped", "--fast_layers",
        f"--told={shlex.join(['attnseq', 'leaderboard', '--config', str(board), '--rows', row.name])}",
    ]  # fmt: skip
    return _run(command, places.scratch / f"tune-{study_name(row)}.log", None, places, lock)


def _searched_seconds(row: Row, places: Places) -> float:
    """Seconds that the trials of a row's search have taken, in whichever starts."""
    import optuna

    name = study_name(row)
    file = storage_file(str(places.studies.resolve()), name)
    if not os.path.isfile(file):
        return 0.0
    try:
        study = optuna.load_study(study_name=name, storage=f"sqlite:///{file}")
    except KeyError:  # stopped before it had a study
        return 0.0
    ended = [trial.duration for trial in study.get_trials(deepcopy=False) if trial.duration is not None]
    return float(sum(duration.total_seconds() for duration in ended))


def log_path(cell: Cell, places: Places) -> Path:
    """What the run prints, epoch by epoch."""
    return places.scratch / f"{cell.row.dataset}-{cell.name}".replace(".json", ".log")


def snapshot_path(cell: Cell, places: Places) -> Path:
    """From where the run goes on when it was interrupted."""
    return log_path(cell, places).with_suffix(".snapshot")


def _spent(cell: Cell, places: Places) -> float:
    """Seconds that the run took before it was interrupted: they count under its time limit."""
    file = snapshot_path(cell, places)
    found = read_snapshot(file) if cell.row.time_limit is not None and file.is_file() else None
    if found is None or not run_identity(cell.config_hash, cell.seed).items() <= found["identity"].items():
        return 0.0
    return float(found["seconds"])


def _attnseq(verb: str, row: Row, files: Sequence[str], places: Places) -> list[str]:
    return [
        sys.executable, "-m", "recbole_attnseq.cli", verb, f"--model={row.model}", f"--dataset={row.dataset}",
        *(["--config_files", *(str(Path(file).resolve()) for file in files)] if files else []),
        f"--data_path={places.data.resolve()}{os.sep}", "--show_progress=False", *flags_of(row.settings),
    ]  # fmt: skip


def _run(
    command: list[str], log: Path, limit: float | None, places: Places, lock: IO[str] | None, spent: float = 0.0
) -> str | None:
    places.scratch.mkdir(parents=True, exist_ok=True)
    package = str(Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ALLOCATOR),
        FOLDER_VARIABLE: os.environ.get(FOLDER_VARIABLE) or os.getcwd(),
    }
    # RecBole writes log/, saved/ and log_tensorboard/ where it stands.
    with tempfile.TemporaryDirectory(dir=places.scratch) as folder, log.open("w", encoding="utf-8") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lock.fileno()] if lock is not None else [],
            preexec_fn=_die_with_parent,
        )
        try:
            with interruptible():
                code = child.wait(timeout=None if limit is None else max(0.0, limit - spent))
        except subprocess.TimeoutExpired:
            return f"stopped by the time limit of {limit:g} s"
        finally:
            _end(child)
    return None if code == 0 else reason_of(code, log.read_text(encoding="utf-8", errors="replace"))


def _die_with_parent() -> None:
    """On Linux, a run does not outlive a leaderboard that was killed outright."""
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a run and its children, which it started in a group of its own."""
    if child.poll() is None:
        for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 60)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=patience)
                return


def reason_of(code: int, output: str) -> str:
    """Why a run ended badly, in one line and without paths of this machine."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line.removeprefix("attnseq: error: ") for line in lines if line.startswith("attnseq: error: ")]
    last = told[-1] if told else (lines[-1] if lines else "nothing was printed")
    return f"exit code {code}: " + re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+", "", last)[:300]


@contextlib.contextmanager
def claimed(cell: Cell, places: Places) -> Iterator[IO[str] | None]:
    """Hold a cell, so that two leaderboards on one folder never run it twice; None where another has it.

    A cell that waits for its row's search holds the search: its other seeds wait for the same one. The run inherits the
    lock: it stays held as long as the run lives, and no longer.
    """
    try:
        import fcntl
    except ImportError:
        raise UserError("attnseq leaderboard needs file locks (fcntl); run it on Linux or macOS.") from None
    folder = places.runs.resolve() / cell.row.dataset / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{study_name(cell.row) if cell.waits else cell.name.removesuffix('.json')}.lock"
    with place.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        try:
            yield file
        finally:
            # Removed while held: whoever has opened the same file meanwhile looks for a record before it runs.
            place.unlink(missing_ok=True)
