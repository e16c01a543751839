"""``attnseq demo``: from nothing to ten recommended films, beside three simple baselines, on data inside RecBole."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from recbole_attnseq.data.dataset import GAP, GAPS
from recbole_attnseq.errors import UserError
from recbole_attnseq.registration import MODEL
from recbole_attnseq.training.memory import keep_freed_memory
from recbole_attnseq.training.session import configure, train

DATASET = "ml-100k"
MODELS = ("Pop", "ItemKNN", "BPR", MODEL)
# One protocol for all: the last film of each user is the test, the one before it the validation, by exact time.
PROTOCOL: dict[str, Any] = {
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    "load_col": {
        "inter": ["user_id", "item_id", "rating", "timestamp"],
        "item": ["item_id", "movie_title", "release_year"],
    },
    "metrics": ["Recall", "NDCG", "MRR"],
    "topk": [10],
    "valid_metric": "NDCG@10",
    # Films are watched once here, so no model is asked about those that the user has rated already.
    "exclude_history": True,
    "state": "WARNING",
    "metric_decimal_place": 4,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo's flags."""
    parser.add_argument("--user", default="405", help="token of the user to recommend films to (default 405)")
    parser.add_argument("--out", default="demo", help="folder for the saved model and the logs (default demo)")
    parser.add_argument("--epochs", type=int, default=300, help="most epochs; early stopping ends sooner (default 300)")


def run(args: argparse.Namespace) -> None:
    """Train the four models, print the comparison, then the films."""
    keep_freed_memory()
    try:
        os.makedirs(args.out, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {args.out} cannot be a folder ({error.strerror}); choose another.") from error
    here = os.getcwd()
    os.chdir(args.out)  # RecBole writes its logs and checkpoints below the current folder
    try:
        started = time.perf_counter()
        print(
            f"{DATASET}: {', '.join(MODELS)} on one split, last film out, ranked among films new to the user.",
            flush=True,
        )
        print(f"\n{'model':<10}{'Recall@10':>11}{'NDCG@10':>10}{'MRR@10':>9}{'epochs':>8}{'seconds':>9}", flush=True)
        hashes = set()
        for name in MODELS:
            begin = time.perf_counter()
            progress = {"epochs": args.epochs, "show_progress": name in ("BPR", MODEL)}
            session = train(configure(name, DATASET, settings={**PROTOCOL, **progress}))
            hashes.add(session.config["split_hash"])
            number_of(args.user, session.test._dataset)  # better told now than behind the long ones
            test = session.test_result
            cells = "".join(f"{test[key]:>{w}.4f}" for key, w in (("recall@10", 11), ("ndcg@10", 10), ("mrr@10", 9)))
            epochs, seconds = len(session.curve), time.perf_counter() - begin
            print(f"{name:<10}{cells}{epochs:>8}{seconds:>9.1f}", flush=True)
        assert len(hashes) == 1, hashes
        print(f"\nsame split for all: hash {hashes.pop()}")
        print(f"model saved: {os.path.join(args.out, session.trainer.saved_model_file)}")
        recommend(session.trainer, session.test, args.user)
        print(f"\n{time.perf_counter() - started:.0f} s in all")
    finally:
        os.chdir(here)


def recommend(trainer: Any, test_data: Any, user: str, count: int = 10) -> None:
    """Print a user's last films, and the ``count`` films that the model would show next."""
    from recbole.data.interaction import Interaction

    dataset, model = test_data._dataset, trainer.model
    columns = dataset.inter_feat.interaction
    own = columns.flat[dataset.uid_field] == number_of(user, dataset)
    history = columns.flat[dataset.iid_field][own]
    parts = {model.ITEM_SEQ: history, GAPS: columns.flat[GAP][own]}
    recent = {name: values[None, -model.max_seq_length :] for name, values in parts.items()}
    model.eval()
    with torch.no_grad():
        batch = Interaction({**recent, model.ITEM_SEQ_LEN: torch.tensor([recent[model.ITEM_SEQ].shape[1]])})
        scores = model.full_sort_predict(batch.to(trainer.device))[0].cpu()
    scores[0] = -np.inf
    scores[history] = -np.inf
    best = scores.topk(count)
    print(f"\nUser {user} rated {len(history)} films; the last five:")
    for title in titles(dataset, history[-5:].tolist()):
        print(f"      {title}")
    print(f"\nTen films for user {user}:")
    for place, (title, score) in enumerate(zip(titles(dataset, best.indices.tolist()), best.values, strict=True), 1):
        print(f"  {place:>2}. {title:<55} {float(score):6.2f}")


def number_of(user: str, dataset: Any) -> int:
    """RecBole's number of a user's token.

    Raises:
        UserError: there is no such user.
    """
    users = dataset.field2token_id[dataset.uid_field]
    if user not in users:
        raise UserError(f"no user '{user}' in {DATASET}; users are numbered 1 to {len(users) - 1}.")
    return int(users[user])


def titles(dataset: Any, items: Sequence[int]) -> list[str]:
    """Title and year of each item number."""
    words, years = dataset.field2id_token["movie_title"], dataset.field2id_token["release_year"]
    result = []
    for item in items:
        row = dataset.item_feat["movie_title"][item]
        year = years[int(dataset.item_feat["release_year"][item])]
        result.append(f"{' '.join(words[int(word)] for word in row if word)} ({year})")
    return result
