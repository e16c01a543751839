"""RecBole's item table as weighted lists of features, for item encoders that use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import offsets
from recbole_attnseq.nn.item_lists import ItemLists

HELP = "load_col: {inter: [...], item: [item_id, FIELD]} loads it from the .item file"


def item_features(dataset: Any, fields: object) -> ItemLists:
    """What ``fields`` say of each item; a field of several tokens counts each by its share.

    Args:
        dataset: RecBole's data set, its item table loaded.
        fields: names of ``token`` and ``token_seq`` columns of the .item file.

    Raises:
        UserError: no field is named, or one is not loaded, or is a number.
    """
    parts, count = [], 0
    for field in check_selected(fields):
        column = _column(dataset, field)
        present = column != 0
        item, slot = present.nonzero(as_tuple=True)
        # Feature 0 of RecBole is padding; each field has its own range.
        parts.append((item, column[item, slot] - 1 + count, 1 / present.sum(1)[item]))
        count += dataset.num(field) - 1
    items, values, weights = (torch.cat(part) for part in zip(*parts, strict=True))
    # A token that occurs repeatedly is one entry with its share.
    pairs, inverse = torch.unique(items * count + values, return_inverse=True)
    shares = torch.zeros(len(pairs)).index_add_(0, inverse, weights.float())
    lengths = torch.bincount(pairs // count, minlength=dataset.item_num)
    return ItemLists(offsets=offsets(lengths), values=pairs % count, weights=shares, count=count)


def check_selected(fields: object) -> Sequence[str]:
    """``selected_features``, as soon as it is known to be a list of names.

    Raises:
        UserError: it is none.
    """
    if not isinstance(fields, (list, tuple)) or not fields or not all(isinstance(field, str) for field in fields):
        raise UserError(
            f"item_encoder is features, but selected_features is {fields!r}: give a list of columns of the .item "
            f"file, e.g. selected_features: [categories]. {HELP}."
        )
    return fields


def _column(dataset: Any, field: str) -> Tensor:
    """The feature numbers (N, K) of a field, 0 where an item has fewer than K."""
    table = dataset.get_item_feature() if dataset.item_feat is not None else {}
    if field not in table or field == dataset.iid_field:
        if dataset.item_feat is None and "item" in (dataset.config["load_col"] or {}):
            name = f"{dataset.dataset_name}.item"
            raise UserError(
                f"selected_features names '{field}', but {dataset.dataset_path} holds no file {name}, which load_col "
                "wants to read: put it there."
            )
        known = ", ".join(sorted(set(table) - {dataset.iid_field})) or "none"
        raise UserError(f"selected_features names '{field}', which is not loaded of items (loaded: {known}). {HELP}.")
    column: Tensor = table[field]
    if column.is_floating_point():
        raise UserError(f"selected_features names '{field}', a column of numbers; only tokens can be embedded.")
    return column.view(len(column), -1)
