"""Errors that a person can act on.

Every error the package raises on bad input is a :class:`UserError`: one line that says what is wrong, where
(file, line or key) and what to do. The command line prints it and exits with code 2; from Python it is an
ordinary exception.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path


class UserError(ValueError):
    """Bad input, described in one line: what, where, what to do."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
    """The error for a name that is none of ``known``: it names the closest, then all.

    Args:
        kind: what the name stands for, e.g. ``"user encoder"``.
        name: the name that was given.
        known: the names that exist.

    Returns:
        The exception, for the caller to raise.
    """
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UserError(f"unknown {kind} '{name}'.{hint} Known: {', '.join(names)}.")


def check_folder(path: str | os.PathLike[str], contents: str) -> None:
    """Make sure that files can be written in a folder that exists or is still to be made.

    Args:
        path: the folder.
        contents: what will lie in it, a plural, e.g. ``"checkpoints"``.

    Raises:
        UserError: a file lies in its way, or a folder that cannot be written in.
    """
    place = Path(path).absolute()
    while not (place.exists() or place.is_symlink()):
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(
            f"{contents} go to {os.fspath(path)}, but {place} is no folder to write in; "
            "move it away, or start in another folder."
        )
