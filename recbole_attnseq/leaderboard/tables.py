"""Tables generated from run records. A page may hold one between two marks; a test checks that ours is current.

attnseq table results/runs/ml-100k --page results/README.md
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.marks import BUCKETED, escaped
from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.records import RunRecord, read_record
from recbole_attnseq.leaderboard.standings import processors

BEGIN, END = "<!-- results: generated -->", "<!-- results: end -->"


def read_folder(folder: str | Path, exclude_history: bool | None = None) -> list[RunRecord]:
    """The records of a folder.

    Args:
        folder: records of one data set.
        exclude_history: only the runs that left a user's earlier items out of the ranking (True) or in (False).

    Raises:
        UserError: there is none, one cannot be read, or they differ in split, or in protocol by more than that.
    """
    records = [read_record(path) for path in sorted(Path(folder).glob("*.json"))]
    if not records:
        below = sorted(path.parent.name for path in Path(folder).glob("*/*.json"))
        if below:
            raise UserError(f"no records in {folder} itself; name a data set's folder, e.g. {Path(folder, below[0])}.")
        raise UserError(f"no records in {folder}; attnseq run --record=RUNS writes them to RUNS/DATASET.")
    records = [record for record in records if exclude_history in (None, record.protocol["exclude_history"])]
    if not records:
        raise UserError(f"no record in {folder} has exclude_history {exclude_history}; leave --history out.")
    for what, values in (
        ("splits", {record.split_hash for record in records}),
        ("protocols", {json.dumps({**record.protocol, "exclude_history": None}, sort_keys=True) for record in records}),
    ):
        if len(values) > 1:
            raise UserError(
                f"{folder} holds records of {len(values)} {what} ({', '.join(sorted(values))}): not comparable."
            )
    return records


def markdown(records: Sequence[RunRecord]) -> str:
    """One row a leaderboard row and configuration, best test NDCG@10 first; mean over its seeds, and their spread.

    Scores among all items and scores among those new to the user do not compare, so they stand apart.
    """
    cells: dict[tuple[bool, str, str], list[RunRecord]] = defaultdict(list)
    for record in one_a_cell(records):
        cells[record.protocol["exclude_history"], record.row, record.config_hash].append(record)
    heads = [
        "ranked among", "model", "seeds", "valid NDCG@10", "test NDCG@10", "test Recall@10", "epochs",
        "processor s an epoch", "processor",
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    best_first = sorted(cells.items(), key=lambda cell: (cell[0][0], -_mean(cell[1], "ndcg@10")))
    for (new, row, _), runs in best_first:
        tests = [_score(run, "ndcg@10") for run in runs]
        spread = f" ± {statistics.stdev(tests):.4f}" if len(tests) > 1 else ""
        epochs = statistics.mean(run.epochs for run in runs)
        seconds = statistics.mean(run.processor_seconds / run.epochs for run in runs)
        name = escaped(f"{row} {BUCKETED}" if any(run.bucketed for run in runs) else row)
        known = [run.valid["ndcg@10"] for run in runs if "ndcg@10" in run.valid]
        valid = f"{statistics.mean(known):.4f}" if known else ""
        lines.append(
            f"| {'new items' if new else 'all items'} | {name} | {len(runs)} | {valid} | "
            f"{statistics.mean(tests):.4f}{spread} | {_mean(runs, 'recall@10'):.4f} | {epochs:.0f} | {seconds:.1f} | "
            f"{processors(runs)} |"
        )
    return "\n".join(lines)


def one_a_cell(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records without copies of one run.

    Raises:
        UserError: two of one configuration and seed disagree.
    """
    found: dict[tuple[str, int, str], RunRecord] = {}
    for record in records:
        first = found.setdefault((record.model, record.seed, record.config_hash), record)
        if (first.users, first.ranks) != (record.users, record.ranks):
            raise UserError(f"two records of {record.name} disagree; remove the wrong one.")
    return list(found.values())


def _mean(runs: Sequence[RunRecord], metric: str) -> float:
    return statistics.mean(_score(run, metric) for run in runs)


def _score(run: RunRecord, metric: str) -> float:
    """From the ranks, as the leaderboard has it: one rule for ties, whatever the model."""
    return float(per_target(metric, run.ranks).mean())


def insert(page: str, table: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """``page`` with ``table`` between its two marks.

    Raises:
        UserError: the page has no marks.
    """
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise UserError(f"the page lacks the marks {marks[0]} and {marks[1]}; add them where the table belongs.")
    return f"{before}{marks[0]}\n{table}\n{marks[1]}{after}"


def read_page(path: Path) -> str:
    """The text of a page.

    Raises:
        UserError: there is none, or it is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the page {path} ({error}).") from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("runs", metavar="DIR", help="folder of run records of one data set and split")
    parser.add_argument(
        "--history",
        choices=("left-out", "left-in"),
        help="only runs that ranked new items, or only those that ranked seen items too (default both, apart)",
    )
    parser.add_argument("--page", metavar="FILE", help="write the table between the marks of this page")


def run(args: argparse.Namespace) -> None:
    """Print the table of a folder of records, or write it into a page."""
    table = markdown(read_folder(args.runs, None if args.history is None else args.history == "left-out"))
    if args.page:
        page = Path(args.page)
        page.write_text(insert(read_page(page), table), encoding="utf-8")
    else:
        print(table)
