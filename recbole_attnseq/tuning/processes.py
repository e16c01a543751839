"""Several workers on this machine: a process a GPU or a CPU job, each of them one worker like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import torch

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.memory import keep_freed_memory
from recbole_attnseq.training.processes import interruptible
from recbole_attnseq.tuning.bookkeeping import recover, tally
from recbole_attnseq.tuning.options import TuneOptions
from recbole_attnseq.tuning.progress import Progress
from recbole_attnseq.tuning.shares import limit_memory, memory_for, threads_for
from recbole_attnseq.tuning.workers import Session, open_session, run_worker


def run_workers(session: Session) -> None:
    """Start the workers as processes and wait for them, with one progress bar over all.

    Raises:
        UserError: all workers ended and the plan is not fulfilled.
        KeyboardInterrupt: after every worker has recorded its trial.
    """
    options = session.options
    fleet = Fleet(session)
    bar = Progress(session.study, options.trials, session.deadline, options.retries, session.name, options.progress)
    try:
        with interruptible():
            fleet.start()
            while fleet.at_work():
                bar.refresh()
                time.sleep(1.0)
            bar.refresh()
    except KeyboardInterrupt:
        fleet.stop()
        raise
    finally:
        bar.close()
    fleet.check()


class Fleet:
    """The worker processes of one start. One that is killed, by the system when memory runs out for instance, is
    replaced, as long as trials get done: a setting that kills its workers is given up after its repetitions.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.folder = os.path.join(session.options.output, session.name)
        self.processes: list[subprocess.Popen[str]] = []
        self.deaths = 0  # since a trial was last done
        self.done = -1

    def start(self) -> None:
        """Start them all."""
        os.makedirs(self.folder, exist_ok=True)
        for index in range(self.session.options.workers):
            self.processes.append(self._start(index))

    def at_work(self) -> bool:
        """Whether any is running, the replaced ones included."""
        for index, process in enumerate(self.processes):
            if (process.poll() or 0) < 0 and self._worthwhile():
                print(f"attnseq: worker {index} was {_end(process.returncode)}; another goes on.", file=sys.stderr)
                self.processes[index] = self._start(index)
        return any(process.poll() is None for process in self.processes)

    def _worthwhile(self) -> bool:
        options = self.session.options
        done = tally(self.session.study.get_trials(deepcopy=False), options.retries).done
        self.deaths = 1 if done > self.done else self.deaths + 1
        self.done = max(done, self.done)
        return self.deaths <= options.workers * (options.retries + 1)

    def stop(self) -> None:
        """End them as Ctrl-C would, and wait until each has recorded its trial."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait()

    def check(self) -> None:
        """Say which of them ended badly.

        Raises:
            UserError: all of them did.
        """
        failed = [index for index, process in enumerate(self.processes) if process.returncode != 0]
        if not failed:
            return
        count = tally(self.session.study.get_trials(deepcopy=False), self.session.options.retries)
        logs = ", ".join(self._log(index) for index in failed)
        ends = ", ".join(f"worker {index}: {_end(self.processes[index].returncode)}" for index in failed)
        text = f"{ends}; see {logs}."
        if len(failed) == len(self.processes):
            raise UserError(f"no worker is left ({count.done} trials done). {text} The same command goes on from here.")
        print(f"attnseq: {text} The others have done its trials.", file=sys.stderr)

    def _log(self, index: int) -> str:
        return os.path.join(self.folder, f"worker-{index}.log")

    def _start(self, index: int) -> subprocess.Popen[str]:
        session, options = self.session, self.session.options
        settings = dict(options.settings)
        if options.gpus:
            # RecBole sets CUDA_VISIBLE_DEVICES from gpu_id, so both must say the same.
            settings["gpu_id"] = options.gpus[index]
        else:
            settings["use_gpu"] = False
        left = None if session.deadline is None else max(0.0, session.deadline - time.monotonic())
        single = replace(
            options, settings=settings, gpus=(), jobs=1, progress=False, release=False, storage=session.url,
            study=session.name, timeout=left,
        )  # fmt: skip
        with open(self._log(index), "a", encoding="utf-8") as file:
            # A session of its own: Ctrl-C reaches the parent alone, which passes it on once.
            process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE, stdout=file, stderr=file, text=True, start_new_session=True,
                env={**os.environ, **worker_environment(options, index)},
            )  # fmt: skip
        assert process.stdin is not None
        limit = 0 if options.gpus else memory_for(options.workers)
        process.stdin.write(f"{index} {limit}\n{single.to_json()}")
        process.stdin.close()
        return process


def worker_environment(options: TuneOptions, index: int) -> dict[str, str]:
    """What a worker process sees: its GPU, or its share of the CPU's threads."""
    threads = str(threads_for(options.workers))
    values = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    values["CUDA_VISIBLE_DEVICES"] = options.gpus[index] if options.gpus else ""
    return values


def _end(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def main() -> int:
    """A worker process: its number, its memory and the options on standard input; returns the exit code."""
    keep_freed_memory()
    index, limit = map(int, sys.stdin.readline().split())
    options = TuneOptions.from_json(sys.stdin.read())
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if limit:
        limit_memory(limit)
    try:
        gpu = os.environ["CUDA_VISIBLE_DEVICES"]
        if gpu and not torch.cuda.is_available():
            raise UserError(f"GPU {gpu} cannot be used: no CUDA device of that name.")
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
