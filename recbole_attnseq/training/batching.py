"""How an epoch is cut into batches: by the user encoder's nature and the settings ``train_*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole_attnseq.data.batches import SequenceBatches
from recbole_attnseq.data.store import CONTEXTS, SequenceStore
from recbole_attnseq.errors import UserError
from recbole_attnseq.nn.ensemble import Ensemble
from recbole_attnseq.nn.network import Network

QUANTA = 8  # batches are filled up to eighths of their size: about six per cent is idle on average, in few shapes
KINDS = ("auto", "windows", "prefixes")


# Settings of RecBole's that would do nothing: the values that they may have all the same, and why.
_NOT_OURS: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    (
        "train_neg_sample_args",
        (None, "None", "none", {"distribution": "none"}),
        "draws negatives of its own, and none for loss_type softmax: leave it out, and set num_negatives",
    ),
    ("shuffle", (True,), "draws the order of its batches anew every epoch: leave it out"),
    ("transform", (None,), "takes histories as they are: leave it out"),
    ("enable_scaler", (False,), "scales no gradients: leave it out, and choose the arithmetic by precision"),
)


def check_batching(values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse settings of batches that cannot work.

    Args:
        values: all settings.
        given: those of the user, without any default.

    Raises:
        UserError: names the key, what is wrong and what it may be.
    """
    for key, known in (("train_batches", KINDS), ("train_context", CONTEXTS)):
        if values[key] not in known:
            raise UserError(f"{key} is '{values[key]}'; choose {', '.join(known[:-1])} or {known[-1]}.")
    tokens = values["train_batch_tokens"]
    if tokens is not None:
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
            raise UserError(f"train_batch_tokens is {tokens!r}; give a whole number from 1 on, or leave it out.")
        if given.get("train_batch_tokens") is not None and given.get("train_batch_size") is not None:
            raise UserError(
                f"train_batch_tokens ({tokens}) and train_batch_size ({given['train_batch_size']}) are both given, and "
                "each says how large a batch is: leave one of them out."
            )
    for key, idle, why in _NOT_OURS:
        if key in given and given[key] not in idle:
            raise UserError(f"{key} is {given[key]!r}, but AttnSeq {why}.")
    if str(given.get("learner")).lower() == "sparse_adam":
        raise UserError(
            "learner is sparse_adam, but most of AttnSeq's gradients are dense: leave it out, and see sparse_updates."
        )
    if values["train_context"] == "window" and values["train_batches"] == "prefixes":
        raise UserError(
            "train_context is window, but train_batches is prefixes, each of which would be cut to one item: "
            "set train_context to full, or train_batches to windows."
        )


def cut(config: Any, network: Network | Ensemble, store: SequenceStore) -> SequenceBatches:
    """The batches of the targets in ``store`` for a network.

    Raises:
        UserError: the encoder cannot be trained so, a batch has no room for its longest history, or there is nothing
            to train on.
    """
    encoder, kind, context = network.settings.user_encoder, config["train_batches"], config["train_context"]
    for key, value in (("train_batches", "windows"), ("train_context", "window")):
        if config[key] == value and not network.causal:
            raise UserError(
                f"{key} is {value}, but the user encoder '{encoder}' is not causal: its states would know their own "
                f"targets. Set {key} to {'auto' if key == 'train_batches' else 'full'}."
            )
    size, longest = config["train_batch_size"], network.settings.max_length
    prefixes = kind == "prefixes" or not network.causal
    banded = network.user_encoder.banded
    if prefixes:
        stride = 1
    elif banded and context == "full":
        # A banded encoder takes whole histories; a recurrent one would see further back in them than in the
        # histories it is asked about later, so it gets overlapping windows of twice the maximum.
        stride = config["train_batch_tokens"] or size
    else:
        stride = longest
    return SequenceBatches(
        store,
        size=size,
        stride=stride,
        bucket=prefixes or not banded,
        seed=config["seed"],
        round_to=max(1, (config["train_batch_tokens"] or size) // QUANTA) if banded and not prefixes else 1,
        context=context,
        tokens=config["train_batch_tokens"],
    )
