"""What RecBole's own settings may be, for any model: what it would stumble over later is refused at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole_attnseq.errors import UserError, unknown_name
from recbole_attnseq.eval_args import check_eval_args
from recbole_attnseq.recbole_kinds import check_kinds

_FIELDS = ("USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD", "TIME_FIELD", "LABEL_FIELD", "NEG_PREFIX", "LIST_SUFFIX",
    "ITEM_LIST_LENGTH_FIELD", "POSITION_FIELD", "HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD",
    "ENTITY_ID_FIELD")  # fmt: skip
_NEEDED = ("NEG_PREFIX", "LIST_SUFFIX", "ITEM_LIST_LENGTH_FIELD")  # RecBole names columns by them, without a look
MOST_SEED = 2**32 - 1  # NumPy's generator takes no more
_WHOLE: dict[str, tuple[int, int | None]] = {  # least and most
    "seed": (0, MOST_SEED), "eval_step": (0, None), "worker": (0, None), "epochs": (0, None),
    "stopping_step": (0, None), "train_batch_size": (1, None), "eval_batch_size": (1, None),
    "loss_decimal_place": (0, None), "metric_decimal_place": (0, None), "MAX_ITEM_LIST_LENGTH": (1, None),
}  # fmt: skip
# What RecBole's trainer knows; it takes Adam for any other word, with a warning.
_LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")
# Truth values whose default in RecBole's files is none, or that are in none of them.
_TRUTH_VALUES = ("exclude_history", "normalize_all")


def check_common(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuse settings of RecBole's that would end in a traceback, or be read as something else, in the run.

    Args:
        given: what files, dictionaries and flags say.
        defaults: the values below them, of RecBole's own files.

    Raises:
        UserError: names the key and what it may be.
    """
    from recbole.utils import ModelType

    if "device" in given:
        raise UserError(
            f"device is {given['device']!r}, but RecBole chooses it by gpu_id and use_gpu: leave it out, and set "
            "gpu_id=0 for the first GPU or use_gpu=False for the CPU."
        )
    for key in given:
        if not isinstance(key, str):
            raise UserError(f"a setting is named {key!r}; a name is a word (YAML reads on, off, yes and no otherwise).")
    values = {**defaults, **given}
    check_eval_args(
        values["eval_args"], values["MODEL_TYPE"] == ModelType.SEQUENTIAL, values.get("benchmark_filename") is not None
    )
    check_kinds(values)
    _check_truth_values(values, defaults)
    _check_metrics(values["metrics"], values.get("topk"))
    _check_labels(values["metrics"], values["eval_args"].get("mode"))
    for key in ("load_col", "unload_col"):
        _check_columns(key, values.get(key))
    for key in _FIELDS:
        name = values.get(key)
        if not isinstance(name, str) and (name is not None or key in _NEEDED):
            raise UserError(f"{key} is {name!r}; it must be a word (quote one that looks otherwise: \"'5'\").")
    for key, (least, most) in _WHOLE.items():
        if key in values:
            _check_whole(key, values[key], least, most)
    rate = values.get("learning_rate")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or rate <= 0:
        raise UserError(f"learning_rate is {rate!r}; give a number above 0, e.g. 0.001.")
    if str(values.get("learner")).lower() not in _LEARNERS:
        raise unknown_name("learner", values.get("learner"), _LEARNERS)
    decay = values.get("weight_decay")
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or decay < 0:
        raise UserError(f"weight_decay is {decay!r}; give a number from 0 on.")


def _check_metrics(metrics: Any, topk: Any) -> None:
    names = [metrics] if isinstance(metrics, str) else metrics
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"metrics is {metrics!r}; name some, such as ['Recall', 'NDCG'].")
    lengths = topk if isinstance(topk, list) else [topk]
    if not lengths or not all(isinstance(k, int) and not isinstance(k, bool) and k > 0 for k in lengths):
        raise UserError(f"topk is {topk!r}; give whole numbers from 1 on, such as [5, 10].")


def _check_labels(metrics: Any, mode: Any) -> None:
    """Labelled rows have no candidates to rank; RecBole itself refuses the reverse, values of what is not labelled."""
    from recbole.evaluator import metric_types
    from recbole.utils import EvaluatorType

    if "labeled" not in (mode.values() if isinstance(mode, dict) else [mode]):
        return
    for name in [metrics] if isinstance(metrics, str) else metrics:
        if metric_types.get(name.lower()) == EvaluatorType.RANKING:
            raise UserError(
                f"eval_args: mode labeled is for metrics of values (AUC, LogLoss, MAE, RMSE), and {name} ranks "
                "candidates: choose mode full, uni100 or pop100, or other metrics."
            )


def _check_columns(key: str, tables: Any) -> None:
    """``load_col`` and ``unload_col``: what is no mapping of lists is read letter by letter, or not at all."""
    good = isinstance(tables, dict) and all(
        isinstance(names, (list, tuple, set)) or (names == "*" and key == "load_col") for names in tables.values()
    )
    if tables is not None and not good:
        every = ", None for all columns of all files" if key == "load_col" else ""
        raise UserError(f"{key} is {tables!r}; write it as {{'inter': ['user_id', 'item_id', 'timestamp']}}{every}.")


def _check_truth_values(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Any text is true to Python, ``no`` and ``off`` on the command line too."""
    truths = {key for key, value in defaults.items() if isinstance(value, bool)}
    for key in sorted(truths.union(_TRUTH_VALUES)):
        if isinstance(values.get(key), str):
            raise UserError(f"{key} is {values[key]!r}; write True or False.")
    if values.get("exclude_history") not in (None, True, False):
        raise UserError(f"exclude_history is {values['exclude_history']!r}; write True or False.")


def _check_whole(key: str, value: object, least: int, most: int | None = None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not whole or (most is not None and value > most):  # type: ignore[operator]
        raise UserError(
            f"{key} is {value!r}; give a whole number from {least} {'on' if most is None else f'to {most}'}."
        )
