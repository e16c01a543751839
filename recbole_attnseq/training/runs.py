"""One run from names and settings to results, with errors that a person can act on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

from recbole_attnseq.compat import clean_argv
from recbole_attnseq.errors import UserError, unknown_name
from recbole_attnseq.launch import run as launch


def train_and_test(
    model: str | None,
    dataset: str | None,
    config_files: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    *,
    nproc: int = 1,
    saved: bool = True,
) -> dict[str, Any] | None:
    """RecBole's ``run``: train with early stopping, load the best epoch, test once.

    Args:
        model: name of a RecBole model or of ours; None takes it from the files, or AttnSeq.
        dataset: name of the data set; None takes it from the files.
        config_files: YAML files, later ones win.
        settings: parameters above the files; strings are read as RecBole reads its flags.
        nproc: processes on this host.
        saved: keep the best checkpoint.

    Returns:
        RecBole's result dictionary.

    Raises:
        UserError: bad input, in one line.
    """
    given = {**read_files(config_files), **(settings or {})}
    model = model or given.get("model") or "AttnSeq"
    dataset = dataset or given.get("dataset")
    if not dataset:
        raise UserError("no data set named; add --dataset=NAME, e.g. --dataset=ml-100k.")
    check_model(model)
    check_dataset(str(dataset), str(given.get("data_path", "dataset/")))
    with clean_argv(), plain_errors():
        return launch(
            model, str(dataset), config_file_list=list(config_files), config_dict=dict(settings or {}), saved=saved,
            nproc=nproc,
        )  # fmt: skip


def read_files(paths: Sequence[str]) -> dict[str, Any]:
    """The merged mappings of YAML files.

    Raises:
        UserError: a file is missing, is no YAML, or holds no mapping; named with its line.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        if not os.path.isfile(path):
            raise UserError(f"config file {path} does not exist; check the path.")
        with open(path, encoding="utf-8") as file:
            try:
                values = yaml.safe_load(file)
            except yaml.YAMLError as error:
                mark = getattr(error, "problem_mark", None)
                where = f"{path}:{mark.line + 1}" if mark else path
                raise UserError(f"{where}: not valid YAML ({getattr(error, 'problem', error)}).") from error
        if values is not None and not isinstance(values, dict):
            raise UserError(f"{path}: expected 'key: value' lines, found a {type(values).__name__}.")
        merged.update(values or {})
    return merged


def known_models() -> list[str]:
    """The names of all models that RecBole finds, ours included."""
    import recbole.model as models

    names = {"AttnSeq"}
    for folder in next(iter(models.__path__), ""), :
        for group in sorted(os.listdir(folder)):
            init = os.path.join(folder, group, "__init__.py")
            if group.endswith("_recommender") and os.path.isfile(init):
                with open(init, encoding="utf-8") as file:
                    names |= {line.split(" import ")[1].strip() for line in file if " import " in line}
    return sorted(names)


def check_model(name: str) -> None:
    """Raise :class:`UserError` where RecBole has no model of that name."""
    from recbole.utils import get_model

    try:
        get_model(name)
    except (ValueError, AttributeError):
        raise unknown_name("model", name, known_models()) from None


def check_dataset(name: str, data_path: str) -> None:
    """Raise :class:`UserError` where the data set's folder is missing and RecBole cannot download it."""
    if name == "ml-100k" or os.path.isdir(os.path.join(data_path, name)):
        return
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
    """Turn RecBole's complaints about its input into :class:`UserError`; let real faults through with their trace."""
    from urllib.error import URLError

    try:
        yield
    except UserError:
        raise
    except URLError as error:
        raise UserError(f"the data set could not be downloaded ({error.reason}); put its atomic files in place.") from error
    except (ValueError, NotImplementedError, KeyError, TypeError, SyntaxError) as error:
        frames = []
        trace = error.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame.f_globals.get("__name__", ""))
            trace = trace.tb_next
        # RecBole raises these itself, with a message, while it reads the configuration and the files.
        if frames[-1].startswith(("recbole.config", "recbole.data.dataset", "recbole.data.utils")):
            raise UserError(str(error).strip("'\"")) from error
        raise
