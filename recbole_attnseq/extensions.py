"""Code of the user's own that registers parts (encoders, attentions, losses), found by name."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recbole_attnseq.errors import UserError

# Where names are looked for last. The runs of a leaderboard stand in folders of their own, and are told where it stood.
FOLDER_VARIABLE = "ATTNSEQ_EXTENSIONS_FOLDER"
# Files and modules that stand for those of a checkpoint which lie elsewhere by now.
_instead: list[str] = []


@contextmanager
def extensions_are(wanted: Sequence[str] | None) -> Iterator[None]:
    """Meanwhile, models import these in place of what their configuration names; None or none changes nothing."""
    before = list(_instead)
    _instead[:] = wanted or ()
    try:
        yield
    finally:
        _instead[:] = before


def import_a_models(config: Any) -> None:
    """Import the extensions of a model that is built, be it new or a checkpoint's.

    Where the run was started goes into the checkpoint as an attribute of the configuration: the settings keep the
    names as they were given, since they say what was computed and must not depend on the folder.
    """
    if _instead:
        import_extensions(_instead)
    elif config["extensions"]:
        if getattr(config, "extensions_folder", None) is None:
            config.extensions_folder = os.getcwd()
        import_extensions(config["extensions"], config.extensions_folder)


def import_extensions(wanted: object, folder: str = "") -> None:
    """Import what ``extensions`` names, once in a process.

    Args:
        wanted: one or a list of ``FILE.py`` or of a module's name, which is looked for in the current folder too;
            None for none.
        folder: where to look first; what is not there is looked for from the current folder.

    Raises:
        UserError: there is no such file or module, or it cannot be imported; names it and the reason.
    """
    for name in _names(wanted):
        if not isinstance(name, str):
            raise UserError(f"extensions is {wanted!r}; give files or modules, e.g. extensions=my_encoder.py.")
        try:
            _import(name, folder)
        except UserError:
            raise
        except Exception as error:  # whatever the user's code raises
            what = f"{type(error).__name__}: {error}"
            raise UserError(f"extensions: {name} cannot be imported ({what}); mend it.") from error


def fingerprints(wanted: object) -> dict[str, str] | None:
    """What tells one state of the user's code from another: each name with 12 digits of its source's SHA-256.

    Args:
        wanted: as for :func:`import_extensions`, which has imported it. What it imports in turn is not looked at.
    """
    found = {}
    for name in _names(wanted):
        path = _file(name, "") if name.endswith(".py") else getattr(sys.modules.get(name), "__file__", None)
        found[name] = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12] if path else "unknown"
    return found or None


def _names(wanted: object) -> Sequence[Any]:
    """The names in a setting of one, of several or, None and the empty word, of none."""
    if isinstance(wanted, (list, tuple)):
        return wanted
    return [] if wanted is None or wanted == "" else [wanted]


def _roots(folder: str) -> list[str]:
    return [*filter(None, (folder, os.getcwd(), os.environ.get(FOLDER_VARIABLE)))]


def _file(name: str, folder: str) -> str | None:
    paths = (os.path.abspath(os.path.join(root, name)) for root in _roots(folder))
    return next(filter(os.path.isfile, paths), None)


def _import(name: str, folder: str) -> None:
    if not name.endswith(".py"):
        before = list(sys.path)
        sys.path[:0] = _roots(folder)
        try:
            importlib.import_module(name)
        finally:
            sys.path[:] = before
        return
    path = _file(name, folder)
    if path is None:
        if folder and os.path.abspath(folder) != os.getcwd():  # of a checkpoint from elsewhere
            raise UserError(
                f"extensions: {name} is neither in {folder} any more nor here; say where it is, --extensions=FILE."
            )
        raise UserError(f"extensions: {name} does not exist; give the path of a Python file, or a module's name.")
    known = f"recbole_attnseq_extension:{path}"
    if known in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(known, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[known]
        raise
