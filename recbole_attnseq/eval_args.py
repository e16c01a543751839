"""What ``eval_args`` may say: RecBole takes its four keys, and passes over any other in silence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from recbole_attnseq.errors import UserError, unknown_name

_KEYS = ("split", "order", "group_by", "mode")
_LEFT_OUT = ("valid_and_test", "valid_only", "test_only")
_MODE = re.compile(r"full|labeled|(uni|pop)[1-9]\d*")
_EXAMPLE = "{'split': {'LS': 'valid_and_test'}, 'order': 'TO', 'group_by': 'user', 'mode': 'full'}"


def check_eval_args(args: Any, sequential: bool, benchmark: bool) -> None:
    """Refuse an ``eval_args`` that RecBole would read as something else than it says, or stumble over later.

    Args:
        args: the value of the key.
        sequential: whether it is for a sequential model, which goes by time.
        benchmark: whether the data come split, so that there may be no split to make.

    Raises:
        UserError: names the key and what it may be.
    """
    if not isinstance(args, dict):
        raise UserError(f"eval_args is {args!r}; write it as {_EXAMPLE}.")
    for key in args:
        if key not in _KEYS:
            raise unknown_name("key of eval_args", key, _KEYS)
    if not (benchmark and args.get("split", {}) is None):
        _check_split(args.get("split", {"RS": [8, 1, 1]}))
    if "mode" in args:
        _check_mode(args["mode"])
    if args.get("group_by") != "user" and str(args.get("group_by")).lower() != "none":
        raise UserError(f"eval_args: group_by is {args['group_by']!r}; choose user or none.")
    if "order" not in args and sequential:
        raise UserError(
            f"eval_args has no key order, and a sequential model needs 'order': 'TO'. What is given replaces the "
            f"default as a whole: write all of {_EXAMPLE}."
        )
    order = args.get("order", "RO")
    if order not in ("TO", "RO"):
        raise UserError(f"eval_args: order is {order!r}; choose TO (by time) or RO (at random).")
    if order == "RO" and sequential:
        raise UserError("eval_args: order is 'RO' (at random), but a sequential model goes by time: set it to TO.")


def _check_split(split: Any) -> None:
    from recbole.data.dataset import Dataset

    ways = ("RS", "LS", "TS") if hasattr(Dataset, "time_based_split") else ("RS", "LS")  # RecBole 1.2.0 has no TS
    if not isinstance(split, dict) or len(split) != 1:
        raise UserError(
            f"eval_args: split is {split!r}; write one way of splitting, {{'LS': 'valid_and_test'}} or "
            "{'RS': [0.8, 0.1, 0.1]}."
        )
    ((way, how),) = split.items()
    if way not in ways:
        raise unknown_name("key of split in eval_args", way, ways)
    if way == "LS":
        if how not in _LEFT_OUT:
            raise UserError(f"eval_args: LS is {how!r}; choose {', '.join(_LEFT_OUT)}.")
        return
    good = isinstance(how, list) and len(how) == 3 and all(_is_share(share) for share in how)
    if not good or not sum(how) > 0:
        raise UserError(
            f"eval_args: {way} is {how!r}; give three shares from 0 on, for training, validation and test, such as "
            "[0.8, 0.1, 0.1]."
        )


def _is_share(share: Any) -> bool:
    return isinstance(share, (int, float)) and not isinstance(share, bool) and 0 <= share < float("inf")


def _check_mode(mode: Any) -> None:
    modes: Mapping[Any, Any] = mode if isinstance(mode, dict) else {"valid": mode}
    for part, candidates in modes.items():
        if part not in ("valid", "test"):
            raise unknown_name("key of mode in eval_args", part, ("valid", "test"))
        if not isinstance(candidates, str) or not _MODE.fullmatch(candidates):
            raise UserError(
                f"eval_args: mode is {candidates!r}; choose full (all items), uni100 or pop100 (so many sampled "
                "ones, uniformly or by popularity), or labeled."
            )
