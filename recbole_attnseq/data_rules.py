"""Settings that follow the data where they say auto: user encoder, dropout, what the loss compares with, waits."""

from __future__ import annotations

from collections.abc import Mapping
from logging import getLogger
from typing import Any

from recbole_attnseq.errors import UserError

# The part of the items that a history takes. Validation NDCG@10 without history in the loss against with it:
# ml-100k (0.06) +10%, ml-1m (0.05) +8%, lastfm (0.012) -7%, nemig-en (0.002) -3%; records in results/ablation.
DENSE = 0.02

# Up to so many training targets an item, dropout is FULL_DROPOUT; beyond, it falls with their number, down to the least
# that paid. Validation NDCG@10 at 0.2 against 0.5: ml-1m (287 targets an item) ahead by a fifth at equal epochs, a
# quarter of its users (78) +13%; ml-100k (58) -7%. At 0.1 against 0.2 ml-1m has +2.9% over two seeds.
# docs/DEVELOPING.md has all trials, and what the rule misses.
FEW_TARGETS = 60
FULL_DROPOUT = 0.5
LEAST_DROPOUT = 0.1
FALL = 1.5
DROPOUTS = ("embedding_dropout_prob", "hidden_dropout_prob")

# Where waits are read and an item has few targets, the history's mean beside the last state pays, half of its steps
# left out in training. Validation NDCG@10 against the transformer alone: ml-100k +3.6%, deskdrop +0.5%, MovieTweetings,
# which decided, +1.3%; ml-latest-small +2.1% by script (docs/DEVELOPING.md).
PLAIN, MEAN = "transformer", "transformer_mean"
MEAN_DROPOUT = 0.5
FOLLOWING = (*DROPOUTS, "user_encoder", "mean_dropout_prob", "history_negatives", "time_gaps")  # what auto decides here


def check_history_negatives(values: Any) -> bool | str:
    """The setting ``history_negatives`` of a configuration, or of its values by key.

    Raises:
        UserError: neither a truth value nor auto.
    """
    wanted: bool | str = values["history_negatives"]
    if wanted != "auto" and not isinstance(wanted, bool):
        raise UserError(f"history_negatives is {wanted!r}; choose True, False or auto.")
    return wanted


def history_negatives(config: Any, dataset: Any) -> bool:
    """Whether the loss compares a target with the items before it.

    By itself it does, unless the ranking leaves those out and they are a good part of what there is to choose from.
    Then a model would learn at every step that what was just taken does not come again, which the ranking knows. In
    sparse data this is little, and that little keeps states from resting on the items they came from.

    Args:
        config: RecBole's.
        dataset: RecBole's, of which ``inter_num`` targets are trained on.

    Raises:
        UserError: neither a truth value nor auto.
    """
    # A checkpoint of before this key compared with everything.
    wanted = True if config["history_negatives"] is None else check_history_negatives(config)
    if isinstance(wanted, bool):
        return wanted
    share = history_share(**counts_of(dataset))
    compared = compares_history(config["exclude_history"], share)
    getLogger().info(
        f"history_negatives: auto is {compared} (a history takes {share:.2g} of the items; False from {DENSE} on where "
        "exclude_history leaves them out of the ranking)"
    )
    return compared


def check_time_gaps(given: object) -> bool | str:
    """The setting ``time_gaps``: not read where nothing is said.

    Raises:
        UserError: neither a truth value nor auto.
    """
    if given is None:  # a checkpoint of before this key
        return False
    if not isinstance(given, bool) and given != "auto":
        raise UserError(f"time_gaps is {given!r}; choose True, False or auto.")
    return given


def waits_tell(waits: int | None) -> bool:
    """What ``time_gaps: auto`` means where histories tell so many different waits, None where their times are unknown.

    Where places stand for times, as in many published copies, all waits are one and the same and tell nothing, unless
    a filter has left holes. Waits differ by doublings of the unit: where all are below one unit, none is told.
    """
    return waits is not None and waits > 1


def time_gaps(given: object, waits: int | None) -> bool:
    """Whether the user encoder reads how long each step waited: where it is told to, and by itself where that tells.

    Args:
        given: the setting.
        waits: how many different ones the histories of training hold; None where they come without.

    Raises:
        UserError: it is told to, and the data do not say.
    """
    wanted = check_time_gaps(given)
    if wanted is True and waits is None:
        raise UserError(
            "time_gaps need the time of every interaction, which the rows of benchmark files have not: leave "
            "benchmark_filename out, or set time_gaps to auto."
        )
    if wanted == "auto":
        getLogger().info(f"time_gaps: auto is {waits_tell(waits)} ({waits or 0} different waits by doublings)")
        return waits_tell(waits)
    return bool(wanted)


def counts_of(dataset: Any) -> dict[str, int]:
    """What the rules go by: ``targets`` that are trained on, ``users`` and ``items``, without padding."""
    return {"targets": dataset.inter_num, "users": dataset.user_num - 1, "items": dataset.item_num - 1}


def history_share(targets: int, users: int, items: int) -> float:
    """The part of the items that a history takes: training targets a user, repeats included, over items."""
    return targets / max(1, users) / max(1, items)


def compares_history(excluded: bool, share: float) -> bool:
    """What ``history_negatives: auto`` means where the ranking leaves histories out or not, and they take ``share``."""
    return not (excluded and share >= DENSE)


def dropout(targets: int, items: int) -> float:
    """The dropout that data bear: 0.5 where an item has few training targets, less where it has many.

    An item's vector is learned from its targets: with few, dropout keeps it from learning them by heart; with many
    there is little to fear, and dropout only blurs what they tell.

    Args:
        targets: training targets.
        items: that there are, without padding.

    Returns:
        A multiple of 0.1.
    """
    each = targets / max(1, items)
    share = FULL_DROPOUT * min(1.0, (FEW_TARGETS / max(each, 1e-9)) ** FALL)
    return float(round(max(LEAST_DROPOUT, share), 1))


def dropouts(values: Mapping[str, Any], targets: int = 0, items: int = 1) -> dict[str, Any]:
    """The dropout settings as the network takes them, by key; what is not auto stays as it is given.

    Args:
        values: all settings.
        targets: training targets; without any, auto is what sparse data get.
        items: that there are, without padding.

    Raises:
        UserError: another word than auto.
    """
    for key in DROPOUTS:
        if isinstance(values.get(key), str) and values[key] != "auto":
            raise UserError(f"{key} is {values[key]!r}; give a probability in [0, 1), or auto.")
    rule = dropout(targets, items)
    return {key: rule if values.get(key) == "auto" else values.get(key) for key in DROPOUTS}


def user_encoder(given: Any, timed: bool, targets: int, items: int) -> Any:
    """The user encoder: what is given, or what ``auto`` makes of the data.

    Args:
        given: the setting.
        timed: whether waits are read.
        targets: training targets.
        items: that there are, without padding.
    """
    if given != "auto":
        return given
    return MEAN if timed and targets <= FEW_TARGETS * items else PLAIN


def mean_dropout(given: Any, encoder: Any) -> Any:
    """The part of the steps that an encoder's mean leaves out in training; None is of before there was such a key."""
    if given is None:
        return 0.0
    if given != "auto":
        return given
    return MEAN_DROPOUT if encoder == MEAN else 0.0


def network_follows(values: Mapping[str, Any], timed: bool = False, targets: int = 0, items: int = 1) -> dict[str, Any]:
    """The settings of the network that may say auto, by key, as it takes them; what is not auto stays as it is given.

    Args:
        values: all settings.
        timed: whether waits are read.
        targets: training targets; without any, auto is what sparse data get.
        items: that there are, without padding.

    Raises:
        UserError: a dropout that is another word than auto.
    """
    encoder = user_encoder(values.get("user_encoder"), timed, targets, items)
    return {
        **dropouts(values, targets, items),
        "user_encoder": encoder,
        "mean_dropout_prob": mean_dropout(values.get("mean_dropout_prob"), encoder),
    }


def what_auto_means(
    values: Mapping[str, Any], excluded: bool, *, targets: int, users: int, items: int, waits: int | None = None
) -> dict[str, Any]:
    """What the settings among ``values`` that say auto come to, by key, as far as a rule of this module decides it.

    Args:
        values: settings.
        excluded: the ranking leaves out what a user took before.
        targets, users, items: as :func:`counts_of` gives them.
        waits: how many different ones histories hold; None where that is not known, so that nothing is said of
            ``time_gaps``, nor of a user encoder that follows them.
    """
    given = values.get("time_gaps")
    timed = given if given != "auto" else None if waits is None else waits_tell(waits)
    rules = {
        **network_follows(values, bool(timed), targets, items),
        "history_negatives": compares_history(excluded, history_share(targets, users, items)),
        "time_gaps": timed,
    }
    if timed is None and values.get("user_encoder") == "auto":
        rules |= {"user_encoder": None, "mean_dropout_prob": None}
    return {key: meaning for key, meaning in rules.items() if values.get(key) == "auto" and meaning is not None}
