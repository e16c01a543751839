"""``attnseq tune``: search hyper-parameters with Optuna. :func:`tune` is the same from Python."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import Any

from recbole_attnseq.cli import config_files, settings_of
from recbole_attnseq.errors import UserError
from recbole_attnseq.training.memory import keep_freed_memory
from recbole_attnseq.tuning.options import TuneOptions
from recbole_attnseq.tuning.storages import shown

TAKES_SETTINGS = True

_EPILOG = """Every other --key=value is a setting of RecBole's or the model's; one that is searched is then fixed.

examples:
  attnseq tune --model SASRec --dataset ml-100k --trials 30
  attnseq tune --dataset ml-100k --jobs 2 --timeout 3600 --epochs=50
  attnseq tune --dataset ml-1m --gpus 0,1 --storage postgresql://user@host/optuna
  (the same command on other hosts joins the study)

storages: sqlite:///FILE, FILE.journal, postgresql://, mysql://, grpc://HOST:PORT (Optuna's proxy). SQLite, PostgreSQL
and MySQL find dead workers by heartbeats. Behind a journal or the proxy, a dead worker of another host is not
noticed: once it is known to be dead, start again with --release.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own flags; every other ``--key=value`` goes to RecBole's configuration."""
    add = parser.add_argument
    add("--model", default=None, help="any RecBole model (default: AttnSeq, or what a file says)")
    add("--dataset", default=None, help="a folder of atomic files under data_path, or ml-100k")
    add(
        "--config_files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="RecBole's YAML files, later ones win",
    )
    add("--trials", type=int, default=None, help="trials in the whole study (default 30, none with --timeout)")
    add("--timeout", type=float, default=None, metavar="S", help="begin no trial after S seconds")
    add(
        "--space",
        default=None,
        metavar="FILE",
        help="YAML, RecBole's hyper.test, or a name in configs/space, as AttnSeq-parts (default: the model's)",
    )
    add("--storage", default=None, metavar="URL", help="see below (default: SQLite in the output folder)")
    add("--study", default=None, metavar="NAME", help="the study's name (default MODEL-DATASET)")
    add("--sampler", default="tpe", help="Optuna's name, NAME:key=value,... for arguments (default tpe)")
    add("--pruner", default="median", help="median, hyperband, wilcoxon (over seeds), none, ... (default median)")
    add("--seeds", type=int, default=3, metavar="K", help="runs of the winner scored on test; 0 for none (default 3)")
    add(
        "--trial_seeds",
        type=int,
        default=None,
        metavar="K",
        help="runs of each trial (default 1; wilcoxon: as --seeds)",
    )
    add("--gpus", default="", metavar="0,1", help="one worker process on each of these GPUs")
    add("--jobs", type=int, default=1, help="worker processes on the CPU, which share threads and memory (default 1)")
    add("--output", default=os.path.join("results", "studies"), metavar="DIR", help="default results/studies")
    add("--heartbeat", type=int, default=20, metavar="S", help="seconds between signs of life (default 20)")
    add("--grace", type=int, default=60, metavar="S", help="seconds without one until a trial counts as dead (60)")
    add("--retries", type=int, default=3, help="repetitions of a trial whose worker died (default 3)")
    add("--patience", type=float, default=3600.0, metavar="S", help="wait for a storage that is away (default 3600)")
    add("--release", action="store_true", help="take all running trials for dead and repeat them")
    add("--no_progress", action="store_true", help="no progress bar")
    add("--fast_batches", choices=["grouped"], help="RecBole's sequential models: their batches without padding")
    add("--fast_layers", action="store_true", help="RecBole's models: cheaper arithmetic where that computes the same")
    # The command of a leaderboard that searches, for the summary: its folders are nobody's business.
    add("--told", default="", help=argparse.SUPPRESS)
    parser.epilog = _EPILOG


def run(args: argparse.Namespace) -> None:
    """Search, and print the summary."""
    options = TuneOptions(
        model=args.model,
        dataset=args.dataset,
        files=tuple(config_files(args.config_files)),
        settings=settings_of(args.settings),
        space=args.space,
        trials=args.trials if args.trials is not None or args.timeout is not None else 30,
        timeout=args.timeout,
        storage=args.storage,
        study=args.study,
        sampler=args.sampler,
        pruner=args.pruner,
        seeds=args.seeds,
        trial_seeds=args.trial_seeds,
        gpus=tuple(filter(None, args.gpus.split(","))),
        jobs=args.jobs,
        output=args.output,
        heartbeat=args.heartbeat,
        grace=args.grace,
        retries=args.retries,
        patience=args.patience,
        release=args.release,
        progress=not args.no_progress,
        fast_batches=args.fast_batches,
        fast_layers=args.fast_layers,
        told=args.told,
    )
    keep_freed_memory()
    try:
        result = tune(options)
    except KeyboardInterrupt:
        print(
            "\nattnseq: stopped; the running trial is recorded and will be repeated. To go on, start the same command "
            f"again:\n  {resume_command(options)}",
            file=sys.stderr,
        )
        raise
    print(result["summary"])
    words = ["attnseq", "run", "--config_files", str(result["best_yaml"])]
    words += [f"--data_path={result['data_path']}"] if result["data_path"] else []
    print(f"\nFiles: {result['folder']}\nRun the best: {shlex.join(words)}")
    print(f"Look into it: {result['dashboard']}")


def tune(options: TuneOptions | None = None, **settings: Any) -> dict[str, Any]:
    """Search hyper-parameters, retrain the winner, score it on test, and write the report.

    Args:
        options: all options at once; or
        settings: the fields of :class:`TuneOptions` by name.

    Returns:
        ``study`` (Optuna's), ``best_value``, ``best_settings``, ``summary``, ``folder``, ``best_yaml``, ``data_path``
        (as flags or files gave it; best.yaml names none), ``dashboard``.

    Raises:
        UserError: bad input, a storage that is down, or no trial that completed.
        KeyboardInterrupt: stopped; everything is recorded, and the same call goes on.
    """
    from recbole_attnseq.tuning.bookkeeping import recover
    from recbole_attnseq.tuning.processes import run_workers
    from recbole_attnseq.tuning.report import dashboard_command, write_report
    from recbole_attnseq.tuning.study import winner
    from recbole_attnseq.tuning.workers import open_session, run_worker

    options = options or TuneOptions(**settings)
    session = open_session(options)
    problem = session.problem
    pinned = f"; fixed by flags or files: {', '.join(problem.pinned)}" if problem.pinned else ""
    print(f"searched: {', '.join(problem.space.names())}{pinned}", flush=True)
    recover(session.study, session.storage, options.retries, options.grace, release=options.release)
    if options.workers > 1 or options.gpus:
        run_workers(session)
    else:
        run_worker(session)
    folder = os.path.join(options.output, session.name)
    text = write_report(
        folder, session.study, session.problem, session.storage, options.told or resume_command(options)
    )
    best = winner(session.study)
    return {
        "study": session.study,
        "best_value": best.value,
        "best_settings": best.user_attrs["settings"],
        "summary": text,
        "folder": folder,
        "best_yaml": os.path.join(folder, "best.yaml"),
        "data_path": str(problem.fixed.get("data_path", "")),
        "dashboard": dashboard_command(session.url),
    }


def resume_command(options: TuneOptions) -> str:
    """The command line that goes on with a search; a password in the storage's URL is left out."""
    defaults = TuneOptions()
    words = ["attnseq", "tune"]
    names = ("model", "dataset", "space", "trials", "timeout", "study", "sampler", "pruner", "seeds", "trial_seeds",
             "jobs", "output", "heartbeat", "grace", "retries", "patience", "fast_batches")  # fmt: skip
    for name in names:
        value = getattr(options, name)
        if value is not None and (value != getattr(defaults, name) or name == "trials"):
            words += [f"--{name}", str(value)]
    if options.gpus:
        words += ["--gpus", ",".join(options.gpus)]
    if options.fast_layers:
        words.append("--fast_layers")
    if options.storage:
        words += ["--storage", shown(options.storage)]
    if options.files:
        words += ["--config_files", *options.files]
    words += [f"--{key}={value}" for key, value in options.settings.items()]
    return shlex.join(words)


__all__ = ["TuneOptions", "UserError", "add_arguments", "resume_command", "run", "tune"]
