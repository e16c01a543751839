"""``attnseq compare``: two run records side by side, with the test of significance."""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.cells import differences
from recbole_attnseq.leaderboard.markdown_page import protocol_text, shown
from recbole_attnseq.leaderboard.measures import CUTOFFS, per_target, split_name
from recbole_attnseq.leaderboard.records import RunRecord, read_record
from recbole_attnseq.leaderboard.significance import LEVEL, Comparison, compare, holm, per_user
from recbole_attnseq.leaderboard.standings import aligned, cost

DEFAULT_METRICS = tuple(f"{name}@{k}" for name in ("ndcg", "recall", "mrr") for k in CUTOFFS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("first", metavar="RUN_A", help="a run record, e.g. results/runs/ml-100k/AttnSeq-2020-....json")
    parser.add_argument("second", metavar="RUN_B", help="a record of the same split and protocol")
    parser.add_argument("--metrics", default=",".join(DEFAULT_METRICS), metavar="A,B", help="default %(default)s")
    parser.epilog = (
        "Difference is A minus B per user, with its 95% bootstrap interval; p is of a paired randomisation test, "
        "corrected by Holm's method over the metrics that are shown."
    )


def run(args: argparse.Namespace) -> None:
    """Print the comparison."""
    metrics = ["@".join(map(str, split_name(name.strip()))) for name in args.metrics.split(",") if name.strip()]
    if not metrics:
        raise UserError("--metrics names none; give some, e.g. --metrics=ndcg@10,recall@10.")
    first, second = read_record(args.first), read_record(args.second)
    print(side_by_side(first, second, metrics))


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


def side_by_side(first: RunRecord, second: RunRecord, metrics: list[str]) -> str:
    """The comparison as text.

    Raises:
        UserError: the records do not compare, see :func:`refuse_unlike`.
    """
    refuse_unlike(first, second)
    own, other = first.ranks, aligned(second, first.users)
    values = {name: (per_target(name, own), per_target(name, other)) for name in metrics}
    found = {name: compare(per_user(a, first.users), per_user(b, first.users)) for name, (a, b) in values.items()}
    corrected = holm([found[name].p for name in metrics])
    lines = [
        f"A: {_title(first)}",
        f"B: {_title(second)}",
        f"{first.dataset}, split {first.split_hash}, {len(own):,} targets: {protocol_text(first.protocol)}",
        f"configuration: {differences(first.config, second.config, most=8) or 'the same'} (A instead of B)",
        "",
        f"{'':<14}{'A':>9}{'B':>9}{'A - B':>10}   {'95% interval':<20}{'p (Holm)':>9}",
    ]
    for name, p in zip(metrics, corrected, strict=True):
        a, b = (float(np.mean(side)) for side in values[name])
        lines.append(f"{shown(name):<14}{a:>9.4f}{b:>9.4f}" + _difference(found[name], p))
    costs = cost([first]), cost([second])
    for key, text in (("epochs", "epochs"), ("processor", "processor s"), ("epoch", "s an epoch"),
                      ("memory", "peak MiB"), ("parameters", "parameters")):  # fmt: skip
        lines.append(f"{text:<14}" + "".join(f"{side[key]:>9g}" for side in costs))
    lines.append(f"{'processor':<14}" + " / ".join(side["processors"] for side in costs))
    better = sum(x < y for x, y in zip(own, other, strict=True))
    worse = sum(x > y for x, y in zip(own, other, strict=True))
    lines.append(f"\nA ranks the target higher for {better:,} targets, B for {worse:,}.")
    return "\n".join(lines)


def _title(record: RunRecord) -> str:
    row = record.row if record.row == record.model else f"{record.row} ({record.model})"
    return f"{row}, seed {record.seed}, configuration {record.config_hash}, commit {record.commit}"


def _difference(found: Comparison, p: float) -> str:
    mark = "" if p < LEVEL else "  not significant"
    return f"{found.difference:>+10.4f}   {f'[{found.low:+.4f}, {found.high:+.4f}]':<20}{p:>9.4f}{mark}"
