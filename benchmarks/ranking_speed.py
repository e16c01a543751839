"""(e) Full-ranking evaluation: users a second beside RecBole's on a real corpus, and as the catalogue grows."""

from __future__ import annotations

from typing import Any

import torch
from recbole.trainer import Trainer

from benchmarks.common import CORPORA, build, in_turn, ratios, scratch, seconds, spread, times
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.registration import network_settings
from recbole_attnseq.training.precision import choose, matmul_precision
from recbole_attnseq.training.ranking import rank_targets, rows_per_block

CATALOGUES = (10_000, 100_000, 1_000_000)
USERS, LENGTH = 1024, 50


def beside_recbole(repeats: int) -> dict[str, Any]:
    """Users a second on amazon-beauty: our evaluation of AttnSeq without attention, RecBole's of its SASRec."""
    if not (CORPORA / "amazon-beauty").is_dir():
        return {"skipped": "no folder amazon-beauty beside the project"}
    with scratch():
        ours, train, _, test = build("AttnSeq", "amazon-beauty", attention="last")
        theirs, _, _, their_test = build("SASRec", "amazon-beauty")
        ours.eval_collector.data_collect(train)
        users = len(test._dataset)
        measured = in_turn(
            {
                "AttnSeq": lambda: users / seconds(lambda: ours.evaluate(test, load_best_model=False)),
                "SASRec": lambda: users / seconds(lambda: Trainer.evaluate(theirs, their_test, load_best_model=False)),
            },
            repeats,
        )
        states = torch.randn(users, ours.model.network.settings.hidden_size)
        items = torch.randn(ours.model.network.settings.items, states.shape[1])
        with matmul_precision(ours.precision.ranking):
            product = min(seconds(lambda: [part @ items.T for part in states.split(2048)]) for _ in range(3))
    return {
        "users": users,
        **{name: spread(values) for name, values in measured.items()},
        "AttnSeq / SASRec": ratios(measured["AttnSeq"], measured["SASRec"]),
        "matrix product alone, users a second": users / product,
    }


def as_items_grow() -> dict[str, Any]:
    """Users a second at each size of the catalogue, for the last state and for attention over the history."""
    result: dict[str, Any] = {}
    for items in CATALOGUES:
        entry = {}
        for attention in ("last", "dot"):
            network = Network(network_settings(items=items, max_length=LENGTH, attention=attention)).eval()
            users = USERS if attention == "last" else max(8, USERS * 10_000 // items // 4)
            history = torch.randint(1, items, (users * LENGTH,))
            with torch.no_grad(), matmul_precision(choose("float32", torch.device("cpu")).matmul):
                vectors = network.vectors()

                def score(rows: slice, network: Network = network, history: torch.Tensor = history,
                          vectors: torch.Tensor = vectors) -> torch.Tensor:  # fmt: skip
                    part = history[rows.start * LENGTH : rows.stop * LENGTH]
                    lengths = torch.full((rows.stop - rows.start,), LENGTH)
                    return network.scores(part, Packing(lengths, LENGTH), vectors)

                targets = torch.randint(1, items, (users,))
                block = rows_per_block(items, network.budget)
                time = min(seconds(lambda: rank_targets(score, targets, block)) for _ in range(2))  # noqa: B023
            entry[attention] = users / time
        result[str(items)] = entry
    return result


def run(repeats: int = 3) -> dict[str, Any]:
    """Both parts."""
    return {"amazon-beauty": beside_recbole(repeats), "catalogue": as_items_grow()}


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = []
    beauty = result["amazon-beauty"]
    if "skipped" in beauty:
        lines += [f"amazon-beauty skipped: {beauty['skipped']}"]
    else:
        lines += [
            f"amazon-beauty, {beauty['users']:,} users: {beauty['AttnSeq']['median']:,.0f} users a second, RecBole's "
            f"SASRec {beauty['SASRec']['median']:,.0f}: {times(beauty['AttnSeq / SASRec'], 1)}. "
            f"The product of states and items alone allows {beauty['matrix product alone, users a second']:,.0f}.",
        ]
    lines += ["", "| items | last state, users/s | attention over 50 states, users/s |", "|---|---|---|"]
    for items, entry in result["catalogue"].items():
        lines.append(f"| {int(items):,} | {entry['last']:,.0f} | {entry['dot']:,.0f} |")
    return "\n".join(lines)
