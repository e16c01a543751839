"""One training session with everything that a record of it needs: curve, times, ranks, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from recbole_attnseq.compat import clean_argv
from recbole_attnseq.errors import UserError
from recbole_attnseq.registration import MODEL
from recbole_attnseq.training.baseline_batches import bucketed, group
from recbole_attnseq.training.baseline_layers import lighten
from recbole_attnseq.training.checks import check_dataset, check_model, plain_errors, read_files
from recbole_attnseq.training.ranking import Ranking
from recbole_attnseq.training.recbole_ranking import rank_loader
from recbole_attnseq.training.snapshots import Snapshot


@dataclass
class Session:
    """A trained model and how it got there.

    Attributes:
        config: RecBole's configuration, ``split_hash`` included.
        trainer: RecBole's trainer, the best epoch's weights loaded.
        train, valid, test: RecBole's loaders.
        curve: for each evaluated epoch its number, training loss, validation score, and the wall and processor
            seconds since the start of training.
        valid_result, test_result: metric to value, at the best validation epoch; test is scored once.
        ranking: rank of every test target, in the order of the test loader; None for sampled candidates.
        seconds, processor_seconds: of training with its validations, earlier parts of an interrupted run included.
        earlier_peak: peak memory of those parts, MiB.
        resumed: where the run went on after an interruption: the epoch before, and the commit that ran it.
        fast_layers: whether cheaper layers were put under the model.
    """

    config: Any
    trainer: Any
    train: Any
    valid: Any
    test: Any
    curve: list[dict[str, float]] = field(default_factory=list)
    valid_result: dict[str, float] = field(default_factory=dict)
    test_result: dict[str, float] = field(default_factory=dict)
    ranking: Ranking | None = None
    seconds: float = 0.0
    processor_seconds: float = 0.0
    earlier_peak: float = 0.0
    resumed: list[dict[str, Any]] = field(default_factory=list)
    fast_layers: bool = False

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were tested."""
        sign = 1 if self.config["valid_metric_bigger"] else -1
        best = max(point["valid"] * sign for point in self.curve)
        # RecBole keeps the last of equal scores.
        return int(max(point["epoch"] for point in self.curve if point["valid"] * sign == best))

    @property
    def parameters(self) -> int:
        """How many numbers the model learns."""
        return sum(p.numel() for p in self.trainer.model.parameters() if p.requires_grad)


def configure(
    model: str, dataset: str, config_files: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> Any:
    """RecBole's ``Config``, blind to this process's command line.

    Raises:
        UserError: unknown model, missing data set, or a setting that cannot work.
    """
    given = {**read_files(config_files), **(settings or {})}
    check_model(model)
    check_dataset(dataset, str(given.get("data_path", "dataset/")))
    return make_config(model, dataset, config_files, settings or {})


def make_config(model: str, dataset: str, files: Sequence[str], settings: Mapping[str, Any]) -> Any:
    """RecBole's ``Config`` without :func:`configure`'s checks of names.

    Raises:
        UserError: what RecBole refuses, in one line.
    """
    from recbole.config import Config

    with clean_argv(), plain_errors():
        return Config(model=model, dataset=dataset, config_file_list=list(files), config_dict=dict(settings))


def make_trainer(config: Any, train_data: Any) -> Any:
    """RecBole's trainer with a fresh model; the same seed gives the same weights, whatever was drawn before."""
    from recbole.utils import get_model, get_trainer, init_seed

    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
    return get_trainer(config["MODEL_TYPE"], config["model"])(config, model)


def quicken(
    model: Any,
    name: str,
    loader: Any,
    *,
    fast_batches: str | None = None,
    fast_layers: bool = False,
    compiled: bool = False,
) -> tuple[Any, bool]:
    """Put our shortcuts under one of RecBole's models, in place; AttnSeq has them built in.

    Args:
        model: fresh from :func:`make_trainer`.
        name: as RecBole knows it.
        loader: of its training data.
        fast_batches, fast_layers, compiled: see :func:`train`.

    Returns:
        The loader to train with, and whether cheaper layers were put under the model.
    """
    if name == MODEL:
        return loader, False
    lightened = fast_layers and lighten(model, name)
    if compiled:
        model.forward = torch.compile(model.forward, dynamic=bool(fast_batches) or None)
    if fast_batches == "grouped":
        group(model, name, loader)
    elif fast_batches == "bucketed":
        loader = bucketed(loader, name)
    return loader, lightened


def train(
    config: Any,
    *,
    fast_batches: str | None = None,
    fast_layers: bool = False,
    compiled: bool = False,
    ranked: bool = False,
    each_epoch: Callable[[dict[str, float]], None] | None = None,
    snapshot: Snapshot | None = None,
) -> Session:
    """Train with early stopping, load the best epoch, test once.

    Args:
        config: from :func:`configure`.
        fast_batches: no padding for RecBole's models that it means nothing to, by one of the ways in
            :data:`~recbole_attnseq.training.baseline_batches.KINDS`.
        fast_layers: put cheaper arithmetic under RecBole's models where that is proven to compute the same.
        compiled: run the forward pass of RecBole's models through ``torch.compile``: the same function, faster on
            a CPU from the second batch on.
        ranked: refuse, before anything is trained, what gives no rank of every test target.
        each_epoch: called with each point of the curve.
        snapshot: go on from it where it is of this very run, and keep it up to date.

    Raises:
        UserError: with ``ranked``, a test part that is empty, ranked among sampled candidates or, for a general model,
            of several targets a user.
    """
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_logger, init_seed

    with plain_errors():
        init_seed(config["seed"], config["reproducibility"])
        init_logger(config)
        train_data, valid_data, test_data = data_preparation(config, create_dataset(config))
        if ranked:
            _check_ranked(config, test_data)
        trainer = make_trainer(config, train_data)
    session = Session(config, trainer, train_data, valid_data, test_data)
    loader, session.fast_layers = quicken(
        trainer.model,
        config["model"],
        train_data,
        fast_batches=fast_batches,
        fast_layers=fast_layers,
        compiled=compiled,
    )
    if snapshot:
        snapshot.restore(session, loader)
    start, processor = time.perf_counter() - session.seconds, time.process_time() - session.processor_seconds

    def note(epoch: int, score: float) -> None:
        point = {
            "epoch": epoch,
            "train_loss": float(trainer.train_loss_dict.get(epoch, float("nan"))),
            "valid": float(score),
            "seconds": time.perf_counter() - start,
            "processor_seconds": time.process_time() - processor,
        }
        session.curve.append(point)
        session.seconds, session.processor_seconds = point["seconds"], point["processor_seconds"]
        if snapshot:
            snapshot.epoch_done(session, loader)
        if each_epoch:
            each_epoch(point)

    _, valid_result = trainer.fit(
        loader, valid_data, verbose=False, saved=True, show_progress=config["show_progress"], callback_fn=note
    )
    session.seconds, session.processor_seconds = time.perf_counter() - start, time.process_time() - processor
    session.valid_result = {key: float(value) for key, value in (valid_result or {}).items()}
    session.test_result = {key: float(value) for key, value in (trainer.evaluate(test_data) or {}).items()}
    session.ranking = rank_loader(trainer, test_data) if test_data else None
    return session


def _check_ranked(config: Any, test_data: Any) -> None:
    from recbole.data.dataloader import FullSortEvalDataLoader
    from recbole.utils import ModelType

    split = config["eval_args"]["split"]
    if not test_data:
        raise UserError(f"the split {split} leaves no test part, and a record is of one; choose another split.")
    if not isinstance(test_data, FullSortEvalDataLoader):
        mode = config["eval_args"]["mode"]
        raise UserError(f"eval_args: mode {mode} samples candidates for the test, and a record ranks all: use full.")
    dataset = test_data._dataset
    users = dataset.inter_feat[dataset.uid_field]
    if config["MODEL_TYPE"] != ModelType.SEQUENTIAL and len(users.unique()) < len(users):
        raise UserError(
            f"the split {split} gives users several test targets, and a record of {config['model']}, which ranks them "
            "at once, holds one: use split {LS: valid_and_test}."
        )


def by_user(session: Session) -> tuple[list[str], Tensor]:
    """The user token and the rank of every test target, ordered by user, then by time.

    Raises:
        ValueError: the session has no ranking.
    """
    if session.ranking is None:
        raise ValueError("this session ranked sampled candidates only.")
    dataset = session.test._dataset
    users = getattr(session.test, "uid_list", None)  # RecBole's general models: one row a user
    if users is None:
        users = dataset.inter_feat[dataset.uid_field]
    order = torch.argsort(torch.as_tensor(users), stable=True)
    tokens = dataset.field2id_token[dataset.uid_field]
    return [str(tokens[int(user)]) for user in torch.as_tensor(users)[order]], session.ranking.rank[order]
