"""``attnseq leaderboard``: run what is missing, then write the report of all records."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from recbole_attnseq.errors import UserError, check_folder
from recbole_attnseq.leaderboard.board import Board, read_board, read_boards
from recbole_attnseq.leaderboard.cells import (
    CONFLICT,
    DONE,
    Cell,
    Inventory,
    cells_of,
    read_inventory,
    state_of,
    text_of,
)  # fmt: skip
from recbole_attnseq.leaderboard.estimates import duration, seconds_for
from recbole_attnseq.leaderboard.facts import SplitFacts, load_facts, read_facts
from recbole_attnseq.leaderboard.runner import Places
from recbole_attnseq.leaderboard.schedule import Queue, in_vain

_EPILOG = """The report is of all leaderboards beside FILE: the other .yaml and .yml files of its folder with 'models'.

A finished run is never repeated while its configuration stays as it is; stop this command at any time and
start it again. Two of them may work on one folder at once: each takes the cells that the other does not have.

examples:
  attnseq leaderboard --config configs/leaderboard/ml-100k.yaml --dry-run
  attnseq leaderboard --config configs/leaderboard/lastfm.yaml --data_path datasets --rows AttnSeq,SASRec
  attnseq leaderboard --config configs/leaderboard/lastfm.yaml --report-only --page README.md
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("--config", required=True, metavar="FILE", help="the leaderboard, e.g. configs/leaderboard/ml-100k.yaml")
    add("--results", default="results", metavar="DIR", help="holds runs/ and gets LEADERBOARD.md (default results)")
    add(
        "--data_path",
        default="dataset",
        metavar="DIR",
        help="folder of the data sets' folders, of all leaderboards beside FILE (default dataset)",
    )
    add("--rows", default="", metavar="A;B", help="only these rows, with ; between (or , where no name has one)")
    add("--seeds", default="", metavar="1,2", help="only these seeds")
    add("--dry-run", action="store_true", help="list the cells, their state and how long they would take; run nothing")
    add("--report-only", action="store_true", help="write the report of the records there are; run nothing")
    add("--page", default=None, metavar="FILE", help="write the summary between the marks of this page, too")
    add(
        "--retry",
        action="store_true",
        help="run cells again that a time limit stopped; other failures are tried at each start",
    )
    add("--scratch", default=None, metavar="DIR", help="for logs and checkpoints of runs (default the system's own)")
    parser.epilog = _EPILOG


def run(args: argparse.Namespace) -> None:
    """Run, list or report.

    Raises:
        UserError: bad input; or, after everything else was run and reported, runs that failed.
    """
    if args.dry_run and args.report_only:
        raise UserError("--dry-run and --report-only exclude each other; give one.")
    results = Path(args.results)
    scratch = Path(args.scratch) if args.scratch else Path(tempfile.gettempdir()) / "attnseq-leaderboard"
    places = Places(results / "runs", results / "studies", Path(args.data_path), scratch)
    board = read_board(args.config)
    for folder in (places.runs, places.studies):
        check_folder(folder, "results")
    if args.page:
        _check_page(Path(args.page))
    if args.report_only:
        _say_skipped(read_boards(board.path.parent)[1])
        _report(board, results, places.data, {}, page=args.page)
        return
    _check_siblings(board, results, places.data)
    cells = _chosen(cells_of(board, places.studies, places.data), args.rows, args.seeds)
    datasets = list(dict.fromkeys(cell.row.dataset for cell in cells))
    inventory = read_inventory(places.runs, _all_datasets(places.runs, datasets))
    _say_skipped(inventory.skipped)
    splits = {dataset: _load(board, dataset, places.data) for dataset in datasets}
    for facts in splits.values():  # these may know less than the file: of waits, where the first row asks for no times
        inventory.counts[facts.split_hash] = {**inventory.counts.get(facts.split_hash, {}), **facts.counts()}
    if args.dry_run:
        _list(cells, inventory, places.runs, splits, args.retry)
        return
    check_folder(scratch, "logs and checkpoints of runs")
    for facts in splits.values():
        facts.save(places.runs)
    hashes = {dataset: facts.split_hash for dataset, facts in splits.items()}
    queue = Queue(board, cells, places, hashes, args.retry)
    failed = queue.run(lambda: _report_meanwhile(board, results, places.data, hashes))
    _report(board, results, places.data, hashes, page=args.page)
    if failed:
        raise UserError(f"{len(failed)} of {len(cells)} cells have no result: " + "; ".join(failed))


def _check_page(page: Path) -> None:
    """Refuse a page that cannot take the summary now rather than when all has run."""
    from recbole_attnseq.leaderboard.rivals import MARKS
    from recbole_attnseq.leaderboard.tables import insert, read_page

    insert(read_page(page), "", MARKS)


def _check_siblings(board: Board, results: Path, data: Path) -> None:
    """Refuse a bad leaderboard beside this one now, for the same reason; name files that are none."""
    from recbole_attnseq.leaderboard.report import check_boards

    _say_skipped(check_boards(board.path.parent, results, data))


def _say_skipped(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"skipped: {line}")


def _chosen(cells: Sequence[Cell], rows: str, seeds: str) -> list[Cell]:
    names = dict.fromkeys(cell.row.name for cell in cells)
    wanted = [rows] if rows in names else [name.strip() for name in rows.split(";" if ";" in rows else ",") if name]
    for name in wanted:
        if name not in names:
            raise UserError(f"--rows: no row '{name}'; there are: {'; '.join(names)}.")
    numbers = {seed.strip() for seed in seeds.split(",") if seed.strip()}
    known = {str(cell.seed) for cell in cells}
    if not numbers <= known:
        raise UserError(f"--seeds: no cell has {', '.join(sorted(numbers - known))}; there are {sorted(known)}.")
    chosen = [
        cell for cell in cells if (not wanted or cell.row.name in wanted) and (not numbers or str(cell.seed) in numbers)
    ]
    if not chosen:
        there = "; ".join(f"{name}: {', '.join(str(c.seed) for c in cells if c.row.name == name)}" for name in wanted)
        raise UserError(f"--rows and --seeds: no cell is of both; seeds there are: {there}.")
    return chosen


def _all_datasets(runs: Path, first: Sequence[str]) -> list[str]:
    """Estimates look at other data sets' records too."""
    found = sorted(path.name for path in runs.glob("*") if path.is_dir()) if runs.is_dir() else []
    return list(dict.fromkeys([*first, *found]))


def _load(board: Board, dataset: str, data: Path) -> SplitFacts:
    from recbole_attnseq.training.session import configure

    row = next(row for row in board.rows if row.dataset == dataset)
    settings = {key: text_of(value) for key, value in row.settings.items()}
    settings |= {"data_path": f"{data}/", "show_progress": "False", "state": "ERROR"}
    return load_facts(configure(row.model, dataset, row.files, settings))


def _known_facts(runs: Path, splits: Mapping[str, SplitFacts]) -> dict[str, SplitFacts]:
    facts = {known.split_hash: known for known in splits.values()}
    for path in runs.glob("*/splits/*.json"):
        if path.stem not in facts:
            try:
                facts[path.stem] = read_facts(path)
            except UserError as error:
                print(f"skipped: {error}")
    return facts


def _list(
    cells: Sequence[Cell], inventory: Inventory, runs: Path, splits: Mapping[str, SplitFacts], retry: bool
) -> None:
    facts = _known_facts(runs, splits)
    width = max(len(cell.row.name) for cell in cells)
    total, unknown = 0.0, 0
    words: Counter[str] = Counter()
    print(f"{'data set':<14} {'row':<{width}} {'seed':>5}  {'state':<8} estimate")
    for cell in cells:
        state = state_of(cell, inventory, runs, splits[cell.row.dataset].split_hash)
        words[state.word] += 1
        estimate = ""
        if state.word not in (DONE, CONFLICT) and not in_vain(cell, state, retry):
            seconds = seconds_for(cell, inventory, facts)
            estimate = "unknown" if seconds is None else duration(seconds)
            total, unknown = total + (seconds or 0.0), unknown + (seconds is None)
        line = (
            f"{cell.row.dataset:<14} {cell.row.name:<{width}} {cell.seed:>5}  {state.word:<8} {estimate:<9} {state.why}"
        )
        print(line.rstrip())
    counts = ", ".join(f"{count} {word}" for word, count in words.items())
    print(f"{len(cells)} cells: {counts}; to run: {duration(total)}" + (f" and {unknown} unknown" if unknown else ""))


def _report(
    board: Board, results: Path, data: Path, splits: Mapping[str, str], quiet: bool = False, page: str | None = None
) -> None:
    from recbole_attnseq.leaderboard.report import write_report

    written = write_report(board.path.parent, results, Path(page) if page else None, data, {board.path: splits})
    if not quiet:
        print("\n".join(f"written: {path}" for path in written))


def _report_meanwhile(board: Board, results: Path, data: Path, splits: Mapping[str, str]) -> None:
    """After a cell: a file that was spoilt while it ran stops the report, not the cells that wait."""
    try:
        _report(board, results, data, splits, quiet=True)
    except UserError as error:
        print(f"no report yet: {error}", flush=True)
