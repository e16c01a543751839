"""One run from names and settings to results, and back from its checkpoint."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from logging import getLogger
from typing import Any

import torch

from recbole_attnseq.compat import clean_argv
from recbole_attnseq.errors import UserError
from recbole_attnseq.extensions import extensions_are
from recbole_attnseq.launch import run as launch
from recbole_attnseq.registration import MODEL
from recbole_attnseq.training.checkpoints import read_checkpoint
from recbole_attnseq.training.checks import check_dataset, check_model, plain_errors, read_files


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
        RecBole's result dictionary, with ``split_hash`` and ``checkpoint`` (None where none was kept).

    Raises:
        UserError: bad input, in one line; nothing has been written then.
    """
    given = {**read_files(config_files), **(settings or {})}
    model = model or given.get("model") or MODEL
    dataset = dataset or given.get("dataset")
    if not dataset:
        raise UserError("no data set named; add --dataset=NAME, e.g. --dataset=ml-100k.")
    check_model(model)
    check_dataset(str(dataset), str(given.get("data_path", "dataset/")))
    with clean_argv(), plain_errors():
        return launch(
            model,
            str(dataset),
            config_file_list=list(config_files),
            config_dict=dict(settings or {}),
            saved=saved,
            nproc=nproc,
        )


def load_run(
    checkpoint: str | os.PathLike[str],
    model: str | None = None,
    extensions: Sequence[str] | None = None,
    data_path: str | None = None,
) -> tuple[Any, Any, Any, Any, Any, Any]:
    """RecBole's ``load_data_and_model``, with errors in one line each.

    Args:
        checkpoint: a file that a trainer wrote.
        model: the model it has to hold; None allows any.
        extensions: files or modules in place of those that it was trained with; None takes these, from the folder
            where the run was started or, where they are gone, the current one.
        data_path: the folder that holds the data set's folder by now; None takes the one it was trained from.

    Returns:
        configuration, model, data set, and the train, validation and test loaders.

    Raises:
        UserError: the file is missing, truncated, of another model, or its data set is gone or has changed.
    """
    from recbole.quick_start import load_data_and_model

    state = read_checkpoint(checkpoint)
    config = state["config"]
    if model is not None and config["model"] != model:
        raise UserError(f"checkpoint {checkpoint} holds a {config['model']}, not a {model}; choose one of {model}'s.")
    check_model(config["model"])
    if data_path is not None:
        config["data_path"] = os.path.join(data_path, config["dataset"])  # so RecBole keeps it
    check_dataset(config["dataset"], os.path.dirname(os.path.normpath(config["data_path"])))
    before = config["split_hash"]
    try:
        with plain_errors(), extensions_are(extensions), tempfile.TemporaryDirectory() as folder:
            file = str(checkpoint)
            if data_path is not None:  # RecBole reads the configuration from the file
                file = os.path.join(folder, os.path.basename(checkpoint))
                torch.save(state, file)
            loaded: tuple[Any, Any, Any, Any, Any, Any] = load_data_and_model(file)
    except RuntimeError as error:
        if "state_dict" not in str(error):
            raise
        raise UserError(
            f"checkpoint {checkpoint} does not fit: the data set '{config['dataset']}' has changed since, or "
            f"its weights are not those of a {config['model']}. Restore the data, or train anew."
        ) from error
    if before and loaded[0]["split_hash"] != before:
        getLogger().warning(
            f"checkpoint {checkpoint} was trained on the split {before}, but the data now give "
            f"{loaded[0]['split_hash']}: test results are not comparable."
        )
    return loaded


__all__ = [
    "check_dataset",
    "check_model",
    "load_run",
    "plain_errors",
    "read_checkpoint",
    "read_files",
    "train_and_test",
]
