"""``attnseq run``: train, select and test one model, as RecBole's ``run_recbole`` does."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_attnseq.cli import config_files, settings_of
from recbole_attnseq.errors import UserError, check_folder
from recbole_attnseq.registration import MODEL
from recbole_attnseq.training.baseline_batches import KINDS
from recbole_attnseq.training.memory import keep_freed_memory

TAKES_SETTINGS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own flags; every other ``--key=value`` goes to RecBole's configuration."""
    parser.add_argument("--model", default=None, help="any RecBole model (default: AttnSeq, or what a file says)")
    parser.add_argument("--dataset", default=None, help="a folder of atomic files under data_path, or ml-100k")
    parser.add_argument(
        "--config_files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="YAML files, later ones win; commas do too",
    )
    parser.add_argument("--nproc", type=int, default=1, help="processes on this host (default 1)")
    parser.add_argument("--record", metavar="DIR", help="also write a run record there, for tables and comparisons")
    parser.add_argument(
        "--row", metavar="NAME", help="with --record: the leaderboard row of the run (default: the model)"
    )
    parser.add_argument(
        "--fast_batches",
        nargs="?",
        const="bucketed",
        choices=KINDS,
        help="with --record: no padding for RecBole's models that it means nothing to; grouped computes their batches "
        "in groups of like lengths, bucketed (so without a word) makes batches of like lengths, which trains otherwise",
    )
    parser.add_argument(
        "--fast_layers",
        action="store_true",
        help="with --record: cheaper arithmetic under RecBole's models where that computes the same",
    )
    parser.add_argument(
        "--compiled", action="store_true", help="with --record: run RecBole's models through torch.compile"
    )
    parser.add_argument(
        "--snapshot",
        metavar="FILE",
        help="with --record: go on from FILE where an equal run was interrupted; written at most once a minute, at "
        "the end of an epoch, and removed with the last",
    )
    parser.epilog = "Every other --key=value is a setting of RecBole's or the model's, e.g. --learning_rate=0.002."


def run(args: argparse.Namespace) -> None:
    """Train and test, and print both results."""
    from recbole_attnseq.training.runs import train_and_test

    files = config_files(args.config_files)
    settings: dict[str, Any] = dict(settings_of(args.settings))
    if args.nproc < 1:
        raise UserError(f"--nproc is {args.nproc}; at least one process is needed.")
    if args.record:
        record(args, files, settings)
        return
    alone = [key for key in ("snapshot", "row", "fast_batches", "fast_layers", "compiled") if getattr(args, key)]
    if alone:
        raise UserError(f"--{alone[0]} works with --record only; add --record=DIR, or leave it out.")
    keep_freed_memory()
    result = train_and_test(args.model, args.dataset, files, settings, nproc=args.nproc)
    if result is not None:
        print_scores("valid", result["best_valid_result"])
        print_scores("test", result["test_result"])
        print(f"split hash: {result['split_hash']}")
        print(f"checkpoint: {result['checkpoint'] or 'none kept'}")


def record(args: argparse.Namespace, files: list[str], settings: dict[str, Any]) -> None:
    """The same run in this process, with its record."""
    from recbole_attnseq.leaderboard.facts import facts_of
    from recbole_attnseq.leaderboard.records import config_identity, hash_of, make_record
    from recbole_attnseq.training import snapshots
    from recbole_attnseq.training.checks import read_files
    from recbole_attnseq.training.provenance import commit
    from recbole_attnseq.training.session import configure, train
    from recbole_attnseq.training.snapshots import Snapshot

    if args.nproc > 1:
        raise UserError("--record works with one process; leave out --nproc.")
    given = {**read_files(files), **settings}
    dataset = args.dataset or given.get("dataset")
    if not dataset:
        raise UserError("no data set named; add --dataset=NAME, e.g. --dataset=ml-100k.")
    config = configure(args.model or given.get("model") or MODEL, str(dataset), files, settings)
    place = Path(args.record) / str(dataset)
    for folder in (place, place / "splits"):
        check_folder(folder, "records")
    kept = keep_freed_memory()
    commit()  # what runs, whatever is checked out by the time of the record
    how = {"fast_batches": args.fast_batches, "fast_layers": args.fast_layers, "compiled": args.compiled}
    snapshot = None
    if args.snapshot:
        if not Path(args.snapshot).absolute().parent.is_dir():
            raise UserError(f"--snapshot {args.snapshot}: its folder does not exist; make it, or choose another.")
        if Path(args.snapshot).exists() and not Path(args.snapshot).is_file():
            raise UserError(f"--snapshot {args.snapshot}: is no file; choose another.")
        how_and_where = {**how, **snapshots.arithmetic(config["device"])}
        snapshot = Snapshot(
            args.snapshot, snapshots.run_identity(hash_of(config_identity(config)), config["seed"], **how_and_where)
        )
    session = train(config, **how, ranked=True, each_epoch=print_epoch, snapshot=snapshot)
    print_scores("valid", session.valid_result)
    print_scores("test", session.test_result)
    notes = {
        **how,
        "fast_layers": session.fast_layers,
        "allocator": "keeps freed memory" if kept else os.environ.get("GLIBC_TUNABLES", ""),
    }
    print(f"split hash: {config['split_hash']}")
    facts_of(session.train, session.valid, session.test).save(args.record)
    print(f"record: {make_record(session, given, notes, args.row).save(args.record)}")
    if snapshot:
        snapshot.remove()


def print_epoch(point: Mapping[str, float]) -> None:
    """One line an epoch, at once: a run of hours is watched through its log."""
    loss, valid, seconds = (point[key] for key in ("train_loss", "valid", "seconds"))
    print(f"epoch {int(point['epoch'])}: loss {loss:.4f}  valid {valid:.4f}  {seconds:.0f} s", flush=True)


def print_scores(title: str, scores: Mapping[str, float] | None) -> None:
    """One line: what was scored, then each metric; "none" where the split left nothing to score."""
    cells = [f"{name} {float(value):.4f}" for name, value in (scores or {}).items()]
    print(f"{title}: {'  '.join(cells) or 'none'}")
