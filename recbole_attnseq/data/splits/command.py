"""``attnseq split``: a prepared data set by the clock, as RecBole's benchmark files."""

from __future__ import annotations

import argparse
from pathlib import Path

from recbole_attnseq.data.splits.folder import KINDS, split_folder
from recbole_attnseq.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``attnseq split``."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a prepared data set, e.g. datasets/ml-1m")
    parser.add_argument("--by", choices=KINDS, default=KINDS[0], help="one cut in time for all, or whole sessions")
    parser.add_argument("--shares", metavar="A,B[,C]", help="three ratios; or days of test and of validation")
    parser.add_argument("--history", type=int, default=50, metavar="L", help="items in the history of a row (0: none)")
    parser.add_argument("--force", action="store_true", help="replace the files of an earlier split")


def run(args: argparse.Namespace) -> None:
    """Writes the files and prints what they hold, and the settings of a run on them.

    Raises:
        UserError: no such data set, shares that make no sense, a split that comes out empty, an earlier split.
    """
    folder = Path(args.folder).resolve()
    if args.history < 0:
        raise UserError(f"--history must not be negative, it is {args.history}.")
    inter = folder / f"{folder.name}.inter"
    if not inter.exists():
        raise UserError(f"{inter}: no such file; make it with `attnseq prepare`, and give its folder.")
    written = split_folder(folder, args.by, _numbers(args.shares), history=args.history, force=args.force)
    rows = ", ".join(f"{count:,} {part}" for part, count in written.rows.items())
    left = f", {written.left_out:,} in none (no history, an item or session that the cuts leave out)"
    print(f"{folder.name}: {args.by}: {rows}{left if written.left_out else ''}; split hash {written.split_hash}")
    print("Run it with: benchmark_filename: [train, valid, test]")
    if args.history:
        print("  alias_of_item_id: [item_id_list]")
        print("  load_col: {inter: [user_id, item_id, timestamp, item_id_list]}")


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError as error:
        raise UserError(f"--shares '{text}' are not numbers separated by commas.") from error
