"""The cycle, as sequences: after item i comes item i + 1, and after the last the first."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_attnseq.data.prefixes import prefix_rows
from recbole_attnseq.data.store import SequenceStore

ITEMS, USERS, LENGTH = 20, 60, 15


def cycle(maximum: int, seed: int = 0) -> tuple[SequenceStore, Tensor, Tensor, Tensor]:
    """Users who start anywhere on the cycle; the last step of each is held out.

    Args:
        maximum: longest history, in steps.
        seed: of the starts.

    Returns:
        The store of the training targets, and of the held-out ones the histories' items (T,), their lengths (B,)
        and the targets (B,). Item numbers start at 1.
    """
    starts = torch.randint(ITEMS, (USERS,), generator=torch.Generator().manual_seed(seed))
    items = (starts[:, None] + torch.arange(LENGTH)) % ITEMS + 1
    user = torch.repeat_interleave(torch.arange(USERS), LENGTH)
    target, length = prefix_rows(user, maximum)
    training = (target + 1) % LENGTH != 0
    store = SequenceStore(items.flatten(), target[training], length[training], user[target][training])
    histories = items[:, LENGTH - 1 - maximum : -1] if maximum < LENGTH - 1 else items[:, :-1]
    lengths = torch.full((USERS,), histories.shape[1])
    return store, histories.flatten(), lengths, items[:, -1]
