"""A fingerprint of a split: two runs whose hashes agree had the same targets to learn, select and test on.

It says which interactions each part holds, not in which order the training ones came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recbole_attnseq.data.prefixes import PrefixColumns

Codes = npt.NDArray[np.int64]


def _token_hashes(tokens: Sequence[str]) -> npt.NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(str(t).encode(), digest_size=8).digest() for t in tokens)
    return np.frombuffer(digests, dtype=np.uint64)


def split_hash(
    splits: Mapping[str, tuple[Codes, Codes]], user_tokens: Sequence[str], item_tokens: Sequence[str]
) -> str:
    """Hash the (user, item) pairs of each part of a split by the tokens of the source file.

    The order of the pairs and the numbering of the tokens do not matter; a pair that occurs twice does.

    Args:
        splits: part name (train, valid, test) to user codes (R,) and item codes (R,).
        user_tokens: token of each user code.
        item_tokens: token of each item code.

    Returns:
        16 hexadecimal digits.
    """
    users, items = _token_hashes(user_tokens), _token_hashes(item_tokens)
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(splits):
        user, item = splits[name]
        with np.errstate(over="ignore"):
            pairs = (users[user] * np.uint64(0x9E3779B97F4A7C15)) ^ (items[item] * np.uint64(0xC2B2AE3D27D4EB4F))
        pairs = np.sort(pairs)
        digest.update(f"{name}:{len(pairs)};".encode())
        digest.update(pairs.tobytes())
    return digest.hexdigest()


def _targets(dataset: Any) -> tuple[Codes, Codes]:
    feat = dataset.inter_feat
    return feat[dataset.uid_field].numpy(), feat[dataset.iid_field].numpy()


def _first_items(dataset: Any) -> tuple[Codes, Codes]:
    """The first item of each user whose second is a target here: no target itself, but learnt from."""
    columns = dataset.inter_feat.interaction
    if not isinstance(columns, PrefixColumns):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    user, item = columns.flat[dataset.uid_field].numpy(), columns.flat[dataset.iid_field].numpy()
    first = columns.target.numpy() - 1
    first = first[(first == 0) | (user[first] != user[first - 1])]
    return user[first], item[first]


def pairs_of_loaders(train: Any, valid: Any, test: Any) -> dict[str, tuple[Codes, Codes]]:
    """User and item codes of each part of a split, by RecBole's three data loaders.

    A user's first item counts as trained on, whichever part its second item is in, so that a sequential
    model's rows and a general model's interactions of one split are alike.
    """
    parts = {
        name: loader._dataset
        for name, loader in (("train", train), ("valid", valid), ("test", test))
        if loader is not None
    }
    pairs = {name: [_targets(part)] for name, part in parts.items()}
    pairs["train"] += [_first_items(part) for part in parts.values()]
    return {
        name: (np.concatenate([u for u, _ in all_]), np.concatenate([i for _, i in all_]))
        for name, all_ in pairs.items()
    }


def hash_of_loaders(train: Any, valid: Any, test: Any) -> str:
    """The hash of RecBole's three data loaders; see :func:`split_hash` and :func:`pairs_of_loaders`."""
    dataset = train._dataset
    return split_hash(
        pairs_of_loaders(train, valid, test),
        dataset.field2id_token[dataset.uid_field],
        dataset.field2id_token[dataset.iid_field],
    )
