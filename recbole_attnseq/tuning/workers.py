"""Runs a search: in this process, or in one process a GPU or a CPU job, each running the same code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import optuna
import torch
from optuna.exceptions import StorageInternalError

from recbole_attnseq.errors import UserError
from recbole_attnseq.tuning.bookkeeping import Retry, recover, tally
from recbole_attnseq.tuning.choices import looks_at_seeds, make_pruner, make_sampler
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.meter import threads_for
from recbole_attnseq.tuning.objective import FinalObjective, SearchObjective
from recbole_attnseq.tuning.options import TuneOptions, seeds_of, storage_url, study_name
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.progress import Progress
from recbole_attnseq.tuning.storages import first_line, open_storage, shown
from recbole_attnseq.tuning.study import final_study, open_study, winner


@dataclass
class Session:
    """One start's view of a search: the problem, the storage, the study."""

    options: TuneOptions
    problem: Problem
    name: str
    url: str
    storage: Any
    study: Any
    deadline: float | None
    over_seeds: bool

    def plan(self, trials: int | None) -> Plan:
        """Limits of this start."""
        options = self.options
        return Plan(trials, self.deadline, options.retries, options.grace, poll=min(2.0, options.grace / 4))


def open_session(options: TuneOptions, index: int = 0) -> Session:
    """Check all input, open the storage, create or join the study.

    Args:
        options: the search.
        index: number of this worker, so that samplers of different workers differ.

    Raises:
        UserError: whatever is wrong with the input.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # What costs nothing is checked before the data set is read.
    sampler, pruner = make_sampler(options.sampler, index), make_pruner(options.pruner, 1)
    problem = Problem(options.model, options.dataset, options.files, options.settings, options.space)
    name = study_name(options, problem.model, problem.dataset)
    url = storage_url(options, name)
    pruner = make_pruner(options.pruner, problem.epochs)
    storage = open_storage(
        url,
        heartbeat=options.heartbeat,
        grace=options.grace,
        patience=options.patience,
        on_stale=Retry(options.retries),
    )
    study = open_study(storage, name, problem, sampler=sampler, pruner=pruner)
    # A resumed study must not draw the same random numbers again.
    study.sampler = make_sampler(options.sampler, problem.seed + 1000 * len(study.get_trials(deepcopy=False)) + index)
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    return Session(options, problem, name, url, storage, study, deadline, looks_at_seeds(pruner))


def run_worker(session: Session, final: bool = True) -> None:
    """Search until the plan is fulfilled, then take part in the winner's runs.

    Raises:
        UserError: the storage is gone for good, or no trial completed.
        KeyboardInterrupt: interrupted; the running trial has been recorded.
    """
    options, problem = session.options, session.problem
    of_trial, of_winner = seeds_of(options, problem.seed, session.over_seeds)
    with interrupt_on_sigterm(), lost_storage(session):
        bar = Progress(session.study, options.trials, session.deadline, options.retries, session.name, options.progress)
        try:
            objective = SearchObjective(problem, of_trial, session.over_seeds, bar.note)
            work(session.study, session.storage, objective, session.plan(options.trials), bar.refresh)
        finally:
            bar.close()
        if final and options.seeds:
            best = winner(session.study)
            runs = final_study(session.storage, session.study, problem, list(of_winner))
            bar = Progress(runs, options.seeds, None, options.retries, f"trial {best.number} on test", options.progress)
            try:
                last = FinalObjective(problem, best.user_attrs["settings"], bar.note)
                plan = replace(session.plan(options.seeds), deadline=None)
                work(runs, session.storage, last, plan, bar.refresh)
            finally:
                bar.close()


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """A cluster's SIGTERM ends a worker as Ctrl-C does, with its trial recorded."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def lost_storage(session: Session) -> Iterator[None]:
    """Turn a storage that stays away into one line."""
    try:
        yield
    except StorageInternalError as error:
        raise UserError(
            f"storage {shown(session.url)} stopped answering ({first_line(error)}). What was written before is safe; "
            "start the same command again when it is back, and the running trial is repeated."
        ) from error


def run_workers(session: Session) -> None:
    """Start the workers as processes and wait for them, with one progress bar over all.

    Raises:
        UserError: all workers ended and the plan is not fulfilled.
        KeyboardInterrupt: after every worker has recorded its trial.
    """
    options = session.options
    folder = os.path.join(options.output, session.name)
    os.makedirs(folder, exist_ok=True)
    processes: list[subprocess.Popen[str]] = []
    bar = Progress(session.study, options.trials, session.deadline, options.retries, session.name, options.progress)
    try:
        with interrupt_on_sigterm():
            for index in range(options.workers):
                processes.append(_start(session, index, os.path.join(folder, f"worker-{index}.log")))
            while any(process.poll() is None for process in processes):
                bar.refresh()
                time.sleep(1.0)
            bar.refresh()
    except KeyboardInterrupt:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()
        raise
    finally:
        bar.close()
    _check_workers(session, processes, folder)


def _start(session: Session, index: int, log: str) -> subprocess.Popen[str]:
    options = session.options
    environment = {**os.environ, **worker_environment(options, index)}
    settings = dict(options.settings)
    if options.gpus:
        # RecBole sets CUDA_VISIBLE_DEVICES from gpu_id, so both must say the same.
        settings["gpu_id"] = options.gpus[index]
    else:
        settings["use_gpu"] = False
    single = replace(
        options, settings=settings, gpus=(), jobs=1, progress=False, release=False, storage=session.url,
        study=session.name,
    )  # fmt: skip
    with open(log, "a", encoding="utf-8") as file:
        # A session of its own: Ctrl-C reaches the parent alone, which passes it on once.
        process = subprocess.Popen(
            [sys.executable, "-m", "recbole_attnseq.tuning.workers"],
            stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment, text=True, start_new_session=True,
        )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(f"{index}\n{single.to_json()}")
    process.stdin.close()
    return process


def worker_environment(options: TuneOptions, index: int) -> dict[str, str]:
    """What a worker process sees: its GPU, or its share of the CPU's threads."""
    threads = str(threads_for(options.workers))
    values = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    values["CUDA_VISIBLE_DEVICES"] = options.gpus[index] if options.gpus else ""
    return values


def _check_workers(session: Session, processes: list[subprocess.Popen[str]], folder: str) -> None:
    failed = [index for index, process in enumerate(processes) if process.returncode != 0]
    if not failed:
        return
    count = tally(session.study.get_trials(deepcopy=False), session.options.retries)
    logs = ", ".join(os.path.join(folder, f"worker-{index}.log") for index in failed)
    ends = ", ".join(f"worker {index}: {_end(processes[index].returncode)}" for index in failed)
    text = f"{ends}; see {logs}."
    if len(failed) == len(processes):
        raise UserError(f"no worker is left ({count.done} trials done). {text} The same command goes on from here.")
    print(f"attnseq: {text} The others have done its trials.", file=sys.stderr)


def _end(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def main() -> int:
    """A worker process: its number and the options as JSON on standard input; returns the exit code."""
    index = int(sys.stdin.readline())
    options = TuneOptions.from_json(sys.stdin.read())
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    try:
        session = open_session(options, index)
        recover(session.study, session.storage, options.retries, options.grace)
        run_worker(session)
    except UserError as error:
        print(f"attnseq: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
