"""The command line. This module alone reads ``sys.argv``; a command is a function of its parsed arguments."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence

from recbole_attnseq.errors import UserError

# name: (module with add_arguments(parser) and run(args), one line of help). A module loads when it is used.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("recbole_attnseq.demo", "train on ml-100k, compare with Pop, ItemKNN and BPR, recommend films"),
    "run": ("recbole_attnseq.run_command", "train and test any RecBole model, AttnSeq by default"),
    "evaluate": ("recbole_attnseq.evaluate_command", "score a stored model on its validation and test data"),
    "prepare": (
        "recbole_attnseq.data.prepare.command",
        "turn an owner's download into RecBole's atomic files",
    ),
    "split": ("recbole_attnseq.data.splits.command", "cut a prepared data set by time, for RecBole to read"),
    "datasets": ("recbole_attnseq.data.prepare.datasets_command", "list the data sets that have a preparer"),
    "table": ("recbole_attnseq.leaderboard.tables", "print the table of a folder of run records"),
    "leaderboard": (
        "recbole_attnseq.leaderboard.command",
        "run what a leaderboard lacks, and write its report",
    ),
    "compare": ("recbole_attnseq.leaderboard.compare_command", "set two run records side by side, with a test"),
    "tune": ("recbole_attnseq.tuning.command", "search hyper-parameters with Optuna"),
}

_EPILOG = """examples:
  attnseq demo
  attnseq run --model=AttnSeq --dataset=ml-100k
  attnseq run --dataset=ml-100k --user_encoder=gru --learning_rate=0.002
  attnseq run --model=SASRec --dataset=ml-100k --config_files=my.yaml
  attnseq evaluate saved/AttnSeq-Jan-01-2026_12-00-00.pth
"""


def _available() -> dict[str, tuple[str, str]]:
    return {name: entry for name, entry in COMMANDS.items() if importlib.util.find_spec(entry[0]) is not None}


def _stopped() -> int:
    print("attnseq: stopped.", file=sys.stderr)
    return 130


def _unread() -> bool:
    """Whether nobody reads our output any more, as behind ``compare ... | head``; if so, the rest of it is dropped."""
    try:
        os.write(sys.stdout.fileno(), b"\n")  # the buffer is empty after the first failure: flushing it shows nothing
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        return True
    except OSError:  # no file behind it
        return False
    return False


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 after a one-line error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="attnseq",
        description="AttnSeq, an attention-based sequential recommender for RecBole.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in _available().items():
        sub = commands.add_parser(
            name,
            help=text,
            description=text,
            add_help=True,
            allow_abbrev=False,  # --seed is RecBole's, not the beginning of --seeds
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if arguments[:1] == [name]:
            try:
                loaded = importlib.import_module(module)
            except KeyboardInterrupt:
                return _stopped()
            loaded.add_arguments(sub)
            sub.set_defaults(run=loaded.run, takes_settings=getattr(loaded, "TAKES_SETTINGS", False))
    args, rest = parser.parse_known_args(arguments)
    if rest and not args.takes_settings:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.settings = rest
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _unread():
            raise
        return 141  # as a shell says of a program that SIGPIPE ends
    except UserError as error:
        print(f"attnseq: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _stopped()
    return 0


def config_files(texts: Sequence[str]) -> list[str]:
    """File names, given one by one or, as RecBole takes them, with blanks or commas between; a file's own name wins."""
    split = [[text] if os.path.isfile(text) else text.replace(",", " ").split() for text in texts]
    return [name for names in split for name in names]


def settings_of(flags: Sequence[str]) -> dict[str, str]:
    """RecBole's ``--key=value`` flags (or ``--key value``) as a dictionary.

    Raises:
        UserError: a flag without a value, a stray word, or a key given twice with different values.
    """
    result: dict[str, str] = {}
    rest = list(flags)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--") or len(flag) < 3:
            raise UserError(f"'{flag}' is no setting; write --key=value.")
        key, equals, value = flag[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"--{key} has no value; write --{key}=value.")
            value = rest.pop(0)
        if result.get(key, value) != value:
            raise UserError(f"--{key} is given twice, as {result[key]} and as {value}; keep one.")
        result[key] = value
    return result


if __name__ == "__main__":
    sys.exit(main())
