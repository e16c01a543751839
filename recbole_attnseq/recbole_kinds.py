"""Of what kind the values of RecBole's settings are, where another kind would end in a traceback or in silence."""

from __future__ import annotations

import codecs
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from recbole_attnseq.errors import UserError

_Check = Callable[[Any], bool]

# RecBole reads what is none as no filter, with a warning among many lines.
_INTERVAL = re.compile(r"(\s*[\[(]\s*[-\w.]+\s*,\s*[-\w.]+\s*[\])]\s*(;|$))+")


def _word(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _none_or(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _words(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _path(value: Any) -> bool:
    return _word(value) or isinstance(value, os.PathLike)


def _mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _lists_by_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(names, (list, tuple, set)) for names in value.values())


def _values_by_field(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, (str, list, tuple, set)) for each in value.values())


def _methods_by_field(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(each, Mapping) and each.get("method") in ("ED", "LD") for each in value.values()
    )


def _file(value: Any) -> bool:
    return _path(value) and not os.path.isdir(value)


def _codec(value: Any) -> bool:
    try:
        codecs.lookup(value)
    except (LookupError, TypeError):
        return False
    return True


def _interval(value: Any) -> bool:
    return _INTERVAL.fullmatch(str(value)) is not None  # RecBole reads [5, 10] as text, too


def _clipping(value: Any) -> bool:
    known = {"max_norm", "norm_type", "error_if_nonfinite", "foreach"}  # torch's clip_grad_norm_
    return isinstance(value, Mapping) and "max_norm" in value and known.issuperset(value)


_LEVELS = ("debug", "info", "warning", "error", "critical")
_FIELDS = (_none_or(_words), "list columns, e.g. ['price'], or leave it out")
_COUNTS = (_none_or(_interval), "write an interval, such as '[5,inf)', or leave it out")
_PATH = (_path, "name a folder")
_SAVED = (_none_or(_file), "name a file, not a folder, or leave it out")
_KINDS: dict[str, tuple[_Check, str]] = {
    "valid_metric": (_word, "name one metric, e.g. NDCG@10"),
    "field_separator": (_word, r"give the mark between columns, e.g. '\t'"),
    "seq_separator": (_word, "give the mark between the parts of a sequence, e.g. ' '"),
    "data_path": _PATH,
    "checkpoint_dir": _PATH,
    "dataset_save_path": _SAVED,
    "dataloaders_save_path": _SAVED,
    "encoding": (_none_or(_codec), "name one that Python knows, e.g. utf-8"),
    "state": (
        _none_or(lambda value: isinstance(value, str) and value.lower() in _LEVELS),
        "choose " + ", ".join(level.upper() for level in _LEVELS),
    ),
    "rm_dup_inter": (
        lambda value: value in (None, "first", "last"),
        "choose first or last (of a user's interactions with an item), or leave it out",
    ),
    "user_inter_num_interval": _COUNTS,
    "item_inter_num_interval": _COUNTS,
    "val_interval": (_none_or(_values_by_field), "write it as {'rating': '[3,inf)'}"),
    "unused_col": (_none_or(_lists_by_table), "write it as {'inter': ['timestamp']}"),
    "preload_weight": (_none_or(_mapping), "write it as {'item_id_of_the_vectors': 'column_of_vectors'}"),
    "discretization": (_none_or(_methods_by_field), "write it as {'price': {'method': 'ED', 'bucket': 10}}"),
    "seq_len": (_none_or(_mapping), "write it as {'title': 20}"),
    "threshold": (_none_or(_mapping), "write it as {'rating': 3}"),
    "clip_grad_norm": (lambda value: not value or _clipping(value), "write it as {'max_norm': 5, 'norm_type': 2}"),
    "enable_amp": (lambda value: isinstance(value, bool), "write True or False"),
    "normalize_field": _FIELDS,
    "numerical_features": _FIELDS,
    "alias_of_user_id": _FIELDS,
    "alias_of_item_id": _FIELDS,
    "alias_of_entity_id": _FIELDS,
    "alias_of_relation_id": _FIELDS,
    "additional_feat_suffix": (_none_or(_words), "list endings of files, e.g. ['price'], or leave it out"),
    "benchmark_filename": (
        _none_or(lambda names: _words(names) and len(names) > 0),
        "list the parts' names, e.g. ['train', 'valid', 'test'], or leave it out",
    ),
}


def check_kinds(values: Mapping[str, Any]) -> None:
    """Refuse a value of a kind that RecBole cannot take.

    Args:
        values: the merged configuration.

    Raises:
        UserError: names the key and how it is written.
    """
    for key, (check, advice) in _KINDS.items():
        if key in values and not check(values[key]):
            raise UserError(f"{key} is {values[key]!r}; {advice}.")
    if values.get("log_wandb") and importlib.util.find_spec("wandb") is None:
        raise UserError("log_wandb is True, but the package wandb is not installed; install it, or set it to False.")
