"""What can be known to be wrong before a run starts, and RecBole's own complaints in one line each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import yaml

from recbole_attnseq.data.prepare.source import RECBOLES_OWN
from recbole_attnseq.errors import UserError, unknown_name
from recbole_attnseq.yaml_files import read_yaml


def read_files(paths: Sequence[str]) -> dict[str, Any]:
    """The merged mappings of YAML files.

    Raises:
        UserError: a file is missing, is no YAML, gives a key twice, or holds no mapping; named with its line.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        if not os.path.isfile(path):
            raise UserError(f"config file {path} does not exist; check the path.")
        values = read_yaml(path, "config file")
        if not isinstance(values, dict):
            found = "nothing" if values is None else f"a {type(values).__name__}"
            raise UserError(f"{path}: expected 'key: value' lines, found {found}; write some, or leave it out.")
        merged.update(values)
    return merged


def check_model(name: str) -> None:
    """Raise :class:`UserError` where RecBole has no model of that name, or cannot import it."""
    from recbole.utils import get_model

    get_model(name)


def check_dataset(name: str, data_path: str) -> None:
    """Raise :class:`UserError` where the data set's folder is missing and RecBole cannot download it."""
    if name == RECBOLES_OWN or os.path.isdir(os.path.join(data_path, name)):
        return
    prepared = os.path.join("datasets", name)
    if os.path.isdir(prepared):
        raise UserError(f"data set '{name}': it lies in {prepared}, not in {data_path}; add --data_path=datasets.")
    import recbole

    table = os.path.join(os.path.dirname(str(recbole.__file__)), "properties", "dataset", "url.yaml")
    with open(table, encoding="utf-8") as file:
        known = yaml.safe_load(file)
    if name not in known:
        raise UserError(
            f"data set '{name}': no folder {os.path.join(data_path, name)}. Put its atomic files there "
            f"({name}.inter and so on), or point data_path to where they are."
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn RecBole's complaints about its input into :class:`UserError`; let real faults through as they are.

    The log of a refused run is dropped before it reaches the disk.
    """
    from urllib.error import URLError

    from recbole_attnseq.compat import discard_log

    try:
        yield
    except UserError:
        discard_log()
        raise
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        discard_log()
        if error.filename is None:
            raise
        raise UserError(f"{error.filename}: {error.strerror}; put a file there that can be read.") from error
    except URLError as error:
        discard_log()
        raise UserError(
            f"the data set could not be downloaded ({error.reason}); put its atomic files in place."
        ) from error
    except (ValueError, ArithmeticError, KeyError, TypeError, SyntaxError, RuntimeError) as error:
        if isinstance(error, ValueError) and "loss is nan" in str(error):
            raise UserError("the training loss is no number any more (it diverged); lower learning_rate.") from error
        if _raised_by_recbole(error):
            discard_log()
            raise _in_our_words(str(error.args[0]) if error.args else str(error)) from error  # a KeyError's is quoted
        model = _refusing_model(error)
        if model:
            discard_log()
            text = " ".join(str(error).split()).rstrip(".!")
            raise UserError(
                f"{model} cannot be built with these settings ({text}); compare them with its defaults in RecBole's "
                f"properties/model/{model}.yaml."
            ) from error
        raise


def _in_our_words(text: str) -> UserError:
    """What RecBole complains of; where it says no more than that, with what to do."""
    metric = re.search("There is no metric named '(.*)'", text)
    if metric:
        return _unknown_metric(metric[1])
    missing = re.fullmatch(r"File (.+) not exist\.", text)
    if missing:
        folder, name = os.path.split(missing[1])
        files = [each.name for each in os.scandir(folder) if each.is_file()] if os.path.isdir(folder) else []
        there = f"it holds {', '.join(sorted(files)[:10])}" if files else "it holds no file"
        return UserError(
            f"data set '{os.path.basename(folder)}': there is no file {name} in {folder} ({there}). Put it there; "
            "atomic files bear their folder's name, and parts that are split already are named by benchmark_filename."
        )
    return UserError(" ".join(text.split()))


def _unknown_metric(name: str) -> UserError:
    from recbole.evaluator import metric_types

    if name.startswith("["):  # what RecBole cannot read as Python is a string to it
        words = ", ".join(repr(word.strip()) for word in name.strip("[]").split(","))
        return UserError(f'metrics is no list to RecBole: {name}. Quote its names, --metrics="[{words}]".')
    return unknown_name("metric", name.lower(), metric_types)


# What constructors raise on numbers and words that cannot be; an AttributeError, say, is a fault of code.
_REFUSALS = (ValueError, TypeError, KeyError, ZeroDivisionError, NotImplementedError)


def _refusing_model(error: BaseException) -> str | None:
    """The model of RecBole's that its settings do not suit: its constructor, or what that builds, made the error."""
    if not isinstance(error, _REFUSALS) and "negative dimension" not in str(error):  # torch's RuntimeError
        return None
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_name == "__init__" and frame.f_globals.get("__name__", "").startswith("recbole.model."):
            return type(frame.f_locals["self"]).__name__
    return None


def _raised_by_recbole(error: BaseException) -> bool:
    """Whether a ``raise`` of RecBole's own made the error while it read the configuration or the files."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    module = trace.tb_frame.f_globals.get("__name__", "")
    return str(module).startswith(("recbole.config", "recbole.data", "recbole.sampler"))
