"""Code of the user's own that registers parts (encoders, attentions, losses), found by name."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from recbole_attnseq.errors import UserError


def import_extensions(wanted: object) -> None:
    """Import what ``extensions`` names, once in a process.

    Args:
        wanted: one or a list of ``FILE.py`` or of a module's name, which is looked for in the current folder too;
            None for none.

    Raises:
        UserError: there is no such file or module, or it cannot be imported; names it and the reason.
    """
    if wanted is None or wanted == "":
        return
    names = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    for name in names:
        if not isinstance(name, str):
            raise UserError(f"extensions is {wanted!r}; give files or modules, e.g. extensions=my_encoder.py.")
        try:
            _import(name)
        except UserError:
            raise
        except Exception as error:  # whatever the user's code raises
            what = f"{type(error).__name__}: {error}"
            raise UserError(f"extensions: {name} cannot be imported ({what}); mend it.") from error


def _import(name: str) -> None:
    if not name.endswith(".py"):
        before = list(sys.path)
        sys.path.insert(0, os.getcwd())
        try:
            importlib.import_module(name)
        finally:
            sys.path[:] = before
        return
    path = os.path.abspath(name)
    known = f"recbole_attnseq_extension:{path}"
    if known in sys.modules:
        return
    if not os.path.isfile(path):
        raise UserError(f"extensions: {name} does not exist; give the path of a Python file, or a module's name.")
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
