"""A fingerprint of a split: two runs whose hashes agree had the same targets to learn, select and test on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

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


def _pairs(dataset: Any) -> tuple[Codes, Codes]:
    """All interactions of a part: the targets, and with RecBole's prefix rows the first item of each user."""
    feat = dataset.inter_feat
    user, item = feat[dataset.uid_field].numpy(), feat[dataset.iid_field].numpy()
    list_field = getattr(dataset, f"{dataset.iid_field}_list_field", None)
    length_field = getattr(dataset, "item_list_length_field", None)
    if list_field is None or list_field not in feat or dataset.benchmark_filename_list is not None:
        return user, item
    first = feat[(feat[length_field] == 1).nonzero().squeeze(-1)]
    return (
        np.concatenate([user, first[dataset.uid_field].numpy()]),
        np.concatenate([item, first[list_field][:, 0].numpy()]),
    )


def hash_of_loaders(train: Any, valid: Any, test: Any) -> str:
    """The hash of RecBole's three data loaders; see :func:`split_hash`."""
    dataset = train._dataset
    parts = {"train": train, "valid": valid, "test": test}
    return split_hash(
        {name: _pairs(loader._dataset) for name, loader in parts.items() if loader is not None},
        dataset.field2id_token[dataset.uid_field],
        dataset.field2id_token[dataset.iid_field],
    )
