"""Reading what a trainer stored."""

from __future__ import annotations

import os
from typing import Any

import torch

from recbole_attnseq.errors import UserError


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The dictionary that RecBole's trainer stored, on the CPU.

    Checkpoints are pickles, which can run code: read only those that you trust.

    Raises:
        UserError: there is no such file, it is truncated, or it is no checkpoint of RecBole's.
    """
    if not os.path.isfile(path):
        raise UserError(f"checkpoint {path} does not exist; check the path.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as error:
        raise UserError(f"checkpoint {path} needs code that is missing here ({error}); install it.") from error
    except Exception as error:  # a damaged pickle is a program of chance: it may raise anything
        raise UserError(
            f"checkpoint {path} cannot be read: it is truncated, or none. Copy it again, or train anew."
        ) from error
    if not isinstance(state, dict) or not {"config", "state_dict"} <= state.keys():
        raise UserError(f"checkpoint {path} was not written by RecBole's trainer; choose one of its files in saved/.")
    return state
