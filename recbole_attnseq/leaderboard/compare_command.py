"""``attnseq compare``: two runs side by side, of one seed or of several each, with the tests of significance."""

from __future__ import annotations

import argparse
import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.cells import differences
from recbole_attnseq.leaderboard.markdown_page import protocol_text, shown
from recbole_attnseq.leaderboard.measures import CUTOFFS, per_target, split_name
from recbole_attnseq.leaderboard.records import RunRecord, aligned_seeds, read_record
from recbole_attnseq.leaderboard.significance import LEVEL, Comparison, compare_runs, holm
from recbole_attnseq.leaderboard.standings import cost

DEFAULT_METRICS = tuple(f"{name}@{k}" for name in ("ndcg", "recall", "mrr") for k in CUTOFFS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument(
        "first",
        metavar="RUN_A",
        help="a run record, e.g. results/runs/ml-100k/AttnSeq-2020-....json, or a quoted pattern of one run's seeds, "
        "'results/runs/ml-100k/AttnSeq-*-....json'",
    )
    parser.add_argument("second", metavar="RUN_B", help="the same, of the same split and protocol")
    parser.add_argument("--metrics", default=",".join(DEFAULT_METRICS), metavar="A,B", help="default %(default)s")
    parser.epilog = (
        "Difference is A minus B per user, seeds averaged, with its 95% bootstrap interval; p is of a paired "
        "randomisation test. Where both have several seeds, the interval and p for other users and other seeds stand "
        "behind them (an analysis of variance). Each p is corrected by Holm's method over the metrics that are shown."
    )


def run(args: argparse.Namespace) -> None:
    """Print the comparison."""
    metrics = ["@".join(map(str, split_name(name.strip()))) for name in args.metrics.split(",") if name.strip()]
    if not metrics:
        raise UserError("--metrics names none; give some, e.g. --metrics=ndcg@10,recall@10.")
    print(side_by_side(read_seeds(args.first), read_seeds(args.second), metrics))


def read_seeds(pattern: str) -> list[RunRecord]:
    """The records that a path or a pattern names, one a seed, in the order of the seeds.

    Raises:
        UserError: none matches, they do not compare, or they are not of one configuration at different seeds.
    """
    named = Path(pattern).is_file() or not glob.has_magic(pattern)  # a folder's name may hold brackets
    records = [read_record(path) for path in ([pattern] if named else sorted(glob.glob(pattern)))]
    if not records:
        raise UserError(f"no file matches {pattern}; run records lie in results/runs/DATASET.")
    for other in records[1:]:
        refuse_unlike(records[0], other)
    kinds = sorted({record.config_hash for record in records})
    if len(kinds) > 1:
        raise UserError(
            f"{pattern} matches runs of {len(kinds)} configurations ({', '.join(kinds)}): name one of them, as in "
            f"'{records[0].model}-*-{kinds[0]}.json'."
        )
    twice = [seed for seed, times in Counter(record.seed for record in records).items() if times > 1]
    if twice:
        raise UserError(f"{pattern} matches seed {twice[0]} more than once; name each seed's record once.")
    return sorted(records, key=lambda record: record.seed)


def refuse_unlike(first: RunRecord, second: RunRecord) -> None:
    """Raise where two records do not compare.

    Raises:
        UserError: says in what they differ: data set, split, protocol or users.
    """
    names = f"{first.name} and {second.name}"
    if first.dataset != second.dataset:
        raise UserError(f"{names} are of two data sets, {first.dataset} and {second.dataset}: nothing to compare.")
    if first.split_hash != second.split_hash:
        raise UserError(
            f"{names} are of two splits, {first.split_hash} and {second.split_hash}: their targets differ, so their "
            "metrics do not compare. Run one of them again on the split of the other."
        )
    if first.protocol != second.protocol:
        raise UserError(
            f"{names} were ranked by two protocols ({differences(first.protocol, second.protocol)}): run one of them "
            "again as the other was."
        )
    if Counter(first.users) != Counter(second.users):
        raise UserError(f"{names} name one split but not the same users; one of them is corrupt, run it again.")


def side_by_side(first: Sequence[RunRecord], second: Sequence[RunRecord], metrics: list[str]) -> str:
    """The comparison as text.

    Args:
        first: one run, a record a seed.
        second: the other.
        metrics: as :func:`~recbole_attnseq.leaderboard.measures.per_target` knows them.

    Raises:
        UserError: the records do not compare, see :func:`refuse_unlike`.
    """
    one = first[0]
    refuse_unlike(one, second[0])
    users = one.users
    own, other = (aligned_seeds(side, users) for side in (first, second))
    values = [(per_target(name, own), per_target(name, other)) for name in metrics]
    found, wide = zip(*(compare_runs(a, b, users) for a, b in values), strict=True)
    tests = {"95% interval": _cells(found)}
    if all(wide):
        tests["and for other seeds"] = _cells(wide)
    heads = "".join(f"   {interval:<20}{'p (Holm)':>9}{'':>17}" for interval in tests)
    lines = [
        f"A: {_title(first)}",
        f"B: {_title(second)}",
        f"{one.dataset}, split {one.split_hash}, {len(users):,} targets: {protocol_text(one.protocol)}",
        f"configuration: {differences(one.config, second[0].config, most=8) or 'the same'} (A instead of B)",
        "",
        f"{'':<14}{'A':>9}{'B':>9}{'A - B':>10}{heads}",
    ]
    for name, (a, b), difference, *cells in zip(metrics, values, found, *tests.values(), strict=True):
        figures = f"{a.mean():>9.4f}{b.mean():>9.4f}{difference.difference:>+10.4f}"
        lines.append(f"{shown(name):<14}{figures}{''.join(cells)}")
    costs = cost(first), cost(second)
    for key, text in (("epochs", "epochs"), ("processor", "processor s"), ("epoch", "s an epoch"),
                      ("memory", "peak MiB"), ("parameters", "parameters")):  # fmt: skip
        lines.append(f"{text:<14}" + "".join(f"{side[key]:>9g}" for side in costs))
    lines.append(f"{'processor':<14}" + " / ".join(side["processors"] for side in costs))
    mean, others = own.mean(axis=0), other.mean(axis=0)
    higher, lower = int((mean < others).sum()), int((mean > others).sum())
    lines.append(f"\nA ranks the target higher for {higher:,} targets, B for {lower:,}.")
    return "\n".join(line.rstrip() for line in lines)


def _title(records: Sequence[RunRecord]) -> str:
    record = records[0]
    row = record.row if record.row == record.model else f"{record.row} ({record.model})"
    seeds = ", ".join(str(each.seed) for each in records)
    commits = ", ".join(dict.fromkeys(each.commit for each in records))
    return f"{row}, seed {seeds}, configuration {record.config_hash}, commit {commits}"


def _cells(column: Sequence[Comparison]) -> list[str]:
    """Intervals and corrected p-values as text, one a metric."""
    return [
        f"   {f'[{found.low:+.4f}, {found.high:+.4f}]':<20}{p:>9.4f}{'' if p < LEVEL else '  not significant':<17}"
        for found, p in zip(column, holm([found.p for found in column]), strict=True)
    ]
