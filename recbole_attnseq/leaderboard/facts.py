"""What a split is: how long each test target's history was, and how often its item was trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.dataset import different_waits
from recbole_attnseq.data.split_hash import pairs_of_loaders
from recbole_attnseq.errors import UserError
from recbole_attnseq.leaderboard.layout import json_text
from recbole_attnseq.training.processes import write_whole

SCHEMA = 1
HISTORY_BOUNDS = (5, 10, 20, 50)
HISTORY_GROUPS = ("1-5", "6-10", "11-20", "21-50", "51+")
POPULARITY_GROUPS = ("head", "middle", "tail", "cold")


@dataclass(frozen=True)
class SplitFacts:
    """One split of one data set; the runs on it share this.

    Attributes:
        user_count, item_count, interaction_count: of the data set, all parts together.
        train_count: interactions that models learn from.
        head_from, middle_from: an item trained on at least this often is of the head, or of the middle. The head
            are the most popular items that hold the first third of the training interactions, the middle those of
            the second; cold are items that no training interaction has.
        users: (R,) user token of each test target, ordered by user, then by time.
        history: (R,) interactions of the user before the target.
        popularity: (R,) training interactions of the target's item.
        waits: how many different waits between two steps the histories of training hold, by
            :func:`~recbole_attnseq.flat.waits`; None where no run has asked for times, or there are none.
    """

    schema: int
    dataset: str
    split_hash: str
    user_count: int
    item_count: int
    interaction_count: int
    train_count: int
    head_from: int
    middle_from: int
    users: list[str]
    history: list[int]
    popularity: list[int]
    waits: int | None = None

    def counts(self) -> dict[str, int]:
        """What the rules of ``auto`` go by, as data_rules.counts_of has it: a user's first interaction is no target."""
        targets = self.train_count - self.user_count
        known = {} if self.waits is None else {"waits": self.waits}
        return {"targets": targets, "users": self.user_count, "items": self.item_count, **known}

    def history_group(self) -> npt.NDArray[np.int64]:
        """(R,) index into ``HISTORY_GROUPS`` of every target."""
        return np.searchsorted(HISTORY_BOUNDS, np.asarray(self.history), side="left")

    def popularity_group(self) -> npt.NDArray[np.int64]:
        """(R,) index into ``POPULARITY_GROUPS`` of every target."""
        count = np.asarray(self.popularity)
        group = np.where(count >= self.head_from, 0, np.where(count >= self.middle_from, 1, 2))
        return np.where(count == 0, 3, group)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write to ``folder``/dataset/splits/hash.json, whole or not at all; an equal file is left alone.

        So is one that knows of waits in addition: of the models of a leaderboard, not all ask for times.
        """
        target = facts_path(folder, self.dataset, self.split_hash)
        try:
            known = read_facts(target)
        except UserError:
            known = None
        alike = known is not None and replace(known, waits=self.waits) == self
        if known is None or not alike or self.waits not in (None, known.waits):
            write_whole(target, json_text(asdict(self), ("users", "history", "popularity")))
        return target


def facts_path(folder: str | os.PathLike[str], dataset: str, split_hash: str) -> Path:
    """Where the facts of a split lie among the records."""
    return Path(folder) / dataset / "splits" / f"{split_hash}.json"


def read_facts(path: str | os.PathLike[str]) -> SplitFacts:
    """The facts of a split from their file.

    Raises:
        UserError: the file is missing, no JSON, of another schema, or lacks a field.
    """
    remedy = "remove it and run one cell of the data set again"
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"split facts {path} do not exist; run one cell of the data set.") from None
    except OSError as error:
        raise UserError(f"split facts {path} cannot be read ({error.strerror}); is it a file of yours?") from error
    except ValueError as error:
        raise UserError(f"split facts {path} are corrupt ({error}); {remedy}.") from error
    names = {field.name for field in fields(SplitFacts)}
    if not isinstance(values, dict) or set(values) | {"waits"} != names or values["schema"] != SCHEMA:
        raise UserError(f"split facts {path} are of another schema; {remedy}.")
    targets = [values[key] for key in ("users", "history", "popularity")]
    waits = values.get("waits")
    whole = all(isinstance(found, list) and len(found) == len(targets[0]) for found in targets)
    if (
        type(waits) not in (int, type(None))
        or not whole
        or not all(type(number) is int for found in targets[1:] for number in found)
    ):
        raise UserError(f"split facts {path} are corrupt (not a history and a popularity for each user); {remedy}.")
    return SplitFacts(**values)


def facts_of(train: Any, valid: Any, test: Any) -> SplitFacts:
    """The facts of RecBole's three loaders; the same for every model of one split."""
    dataset = train._dataset
    pairs = pairs_of_loaders(train, valid, test)
    items = int(dataset.item_num)
    trained = np.bincount(pairs["train"][1], minlength=items)
    before = sum(
        np.bincount(pairs[part][0], minlength=int(dataset.user_num)) for part in ("train", "valid") if part in pairs
    )
    users, targets = pairs["test"]
    order = np.argsort(users, kind="stable")
    users, targets = users[order], targets[order]
    first = np.searchsorted(users, users, side="left")  # a user's earlier test targets are history of the later ones
    head, middle = popularity_bounds(trained)
    tokens = dataset.field2id_token[dataset.uid_field]
    every = np.concatenate([item for _, item in pairs.values()])
    seen = np.concatenate([user for user, _ in pairs.values()])
    return SplitFacts(
        schema=SCHEMA,
        dataset=str(dataset.dataset_name),
        split_hash=str(dataset.config["split_hash"]),
        user_count=len(np.unique(seen)),
        item_count=len(np.unique(every)),
        interaction_count=len(every),
        train_count=len(pairs["train"][0]),
        head_from=head,
        middle_from=middle,
        users=[str(tokens[user]) for user in users],
        history=(np.asarray(before)[users] + np.arange(len(users)) - first).tolist(),
        popularity=trained[targets].tolist(),
        waits=different_waits(dataset),
    )


def popularity_bounds(counts: Sequence[int] | npt.NDArray[np.int64]) -> tuple[int, int]:
    """The least counts of the head and of the middle: items that hold a third of all interactions each.

    Items of one count stay together, in the more popular group.
    """
    count = np.sort(np.asarray(counts, dtype=np.int64))[::-1]
    count = count[count > 0]
    share = np.cumsum(count) - count  # interactions of the items before
    total = int(count.sum())
    head = count[share < total / 3]
    middle = count[share < 2 * total / 3]
    return int(head[-1]) if len(head) else 1, int(middle[-1]) if len(middle) else 1


def load_facts(config: Any) -> SplitFacts:
    """Read a configuration's data set and split it, without training anything.

    Raises:
        UserError: the data are missing or malformed.
    """
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    from recbole_attnseq.training.checks import plain_errors

    with plain_errors():
        init_seed(config["seed"], config["reproducibility"])
        return facts_of(*data_preparation(config, create_dataset(config)))
