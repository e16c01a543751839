"""Tables generated from run records; README holds one between two marks, and a test checks that it is current.

python -m recbole_attnseq.leaderboard.tables results/runs/ml-100k README.md
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.records import RunRecord, read_record

BEGIN, END = "<!-- results: generated -->", "<!-- results: end -->"


def read_folder(folder: str | Path) -> list[RunRecord]:
    """All records of a folder.

    Raises:
        UserError: there is none, one cannot be read, or their splits differ.
    """
    records = [read_record(path) for path in sorted(Path(folder).glob("*.json"))]
    if not records:
        raise UserError(f"no records in {folder}; make some with attnseq run --record={Path(folder).parent}.")
    splits = {record.split_hash for record in records}
    if len(splits) > 1:
        raise UserError(
            f"{folder} holds records of {len(splits)} splits ({', '.join(sorted(splits))}): not comparable."
        )
    return records


def markdown(records: Sequence[RunRecord]) -> str:
    """One row a model and configuration, best test NDCG@10 first; mean over its seeds, and their spread."""
    cells: dict[tuple[str, str], list[RunRecord]] = defaultdict(list)
    for record in records:
        cells[record.model, record.config_hash].append(record)
    lines = [
        "| model | seeds | valid NDCG@10 | test NDCG@10 | test Recall@10 | epochs | processor s an epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for (model, _), runs in sorted(cells.items(), key=lambda cell: -_mean(cell[1], "ndcg@10")):
        tests = [run.test["ndcg@10"] for run in runs]
        spread = f" ± {statistics.stdev(tests):.4f}" if len(tests) > 1 else ""
        epochs = statistics.mean(len(run.curve) for run in runs)
        seconds = statistics.mean(run.processor_seconds / max(1, len(run.curve)) for run in runs)
        valid = statistics.mean(run.valid["ndcg@10"] for run in runs)
        lines.append(
            f"| {model} | {len(runs)} | {valid:.4f} | {statistics.mean(tests):.4f}{spread} | "
            f"{_mean(runs, 'recall@10'):.4f} | {epochs:.0f} | {seconds:.1f} |"
        )
    return "\n".join(lines)


def _mean(runs: Sequence[RunRecord], metric: str) -> float:
    return statistics.mean(run.test[metric] for run in runs)


def insert(page: str, table: str) -> str:
    """``page`` with ``table`` between its two marks.

    Raises:
        UserError: the page has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"the page lacks the marks {BEGIN} and {END}; add them where the table belongs.")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("runs", metavar="DIR", help="folder of run records of one data set and split")
    parser.add_argument("--page", metavar="FILE", help="write the table between the marks of this page")


def run(args: argparse.Namespace) -> None:
    """Print the table of a folder of records, or write it into a page."""
    table = markdown(read_folder(args.runs))
    if args.page:
        page = Path(args.page)
        page.write_text(insert(page.read_text(encoding="utf-8"), table), encoding="utf-8")
    else:
        print(table)
