"""A leaderboard's configuration: which models on which data sets with which seeds, and under which settings.

```yaml
seeds: [2020]                          # of every row that names none
settings: {exclude_history: True}      # RecBole's or the models' keys, for every run
time_limit: 14400                      # seconds a run may take; none without it
tune: {trials: 20}                     # search each row's settings first; {timeout: S} for the same seconds each
compare: [NDCG@10, Recall@10]          # metrics that are tested for significance; the first one orders the rows
planned: [GRU4Rec, SASRec]             # rows of others; AttnSeq against their best is a test settled before any run
notes: [defaults were chosen here]     # sentences that the report says below the tables
datasets:
  ml-100k: {config_files: [configs/dataset/ml-100k.yaml], settings: {}, time_limit: 3600}
models:
  AttnSeq: {seeds: [2020, 2021, 2022]}
  AttnSeq, attention: {model: AttnSeq, config_files: [configs/model/attention.yaml]}
  SASRec: {settings: {train_neg_sample_args: ~}, datasets: {ml-100k: {settings: {n_layers: 1}}}, only: [ml-100k]}
```

What is nearer to the run wins: the board's settings, then the data set's, the model's, the model's on the data set.
Files are RecBole's configuration files, named from the current folder; settings win over files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_attnseq.errors import UserError, unknown_name
from recbole_attnseq.leaderboard.measures import ACCURACY, CUTOFFS, split_name
from recbole_attnseq.leaderboard.published import PUBLISHED
from recbole_attnseq.recbole_settings import MOST_SEED
from recbole_attnseq.registration import MODEL
from recbole_attnseq.training.checks import check_model, read_files
from recbole_attnseq.yaml_files import read_yaml

_SHARED = {"config_files", "settings", "seeds", "time_limit", "tune"}
_BOARD_KEYS = {*_SHARED, "datasets", "models", "compare", "planned", "notes"}
_MODEL_KEYS = {*_SHARED, "model", "datasets", "only"}
_RESERVED = {"seed", "dataset", "model", "data_path", "checkpoint_dir", "nproc", "config_files"}
DEFAULT_COMPARE = ("NDCG@10", "Recall@10")


@dataclass(frozen=True)
class Row:
    """One model, as one row of one data set's table.

    Attributes:
        dataset: the data set's name.
        name: what the table calls it.
        model: RecBole's name of the model.
        files: RecBole configuration files, later ones win.
        settings: keys above the files.
        seeds: one run each.
        time_limit: seconds a run may take, or None.
        tune: ``{"trials": N}`` or ``{"timeout": S}``, or None for the settings as they are.
        own: the keys that the model's entry sets, which nothing else can be meant for.
    """

    dataset: str
    name: str
    model: str
    files: tuple[str, ...]
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    time_limit: float | None
    tune: Mapping[str, float] | None
    own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Attributes:
        path: its file.
        rows: by data set, in the order of the file.
        compare: the metrics that are tested.
        planned: the rows of other models whose best AttnSeq was meant to meet before any had run.
        notes: what the report says of it.
    """

    path: Path
    rows: tuple[Row, ...]
    compare: tuple[str, ...]
    planned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def datasets(self) -> list[str]:
        """The data sets, in the file's order."""
        return list(dict.fromkeys(row.dataset for row in self.rows))


def read_board(path: str | os.PathLike[str]) -> Board:
    """A leaderboard from its file, with every name in it checked.

    Raises:
        UserError: no such file, no YAML, an unknown key, model or metric, or a value that cannot be.
    """
    place = str(path)
    values = read_files([place])
    _check_keys(place, "the board", values, _BOARD_KEYS)
    datasets, models = (_mapping(place, key, values.get(key)) for key in ("datasets", "models"))
    for key, found in (("datasets", datasets), ("models", models)):
        if not found:
            raise UserError(f"{place}: '{key}' names none; list at least one.")
    only: dict[str, list[str]] = {}
    for name, entry in models.items():
        _check_keys(place, f"model '{name}'", entry, _MODEL_KEYS)
        try:
            check_model(str(entry.get("model", name)))
        except UserError as error:
            raise UserError(f"{place}: model '{name}': {error}") from None
        only[name] = _list_of(place, f"model '{name}': only", entry.get("only"))
        for dataset in (*_mapping(place, "datasets", entry.get("datasets")), *only[name]):
            if dataset not in datasets:
                raise UserError(f"{place}: model '{name}': {unknown_name('data set', dataset, datasets)}")
    for name, entry in datasets.items():
        _check_keys(place, f"data set '{name}'", entry, _SHARED)
    rows = tuple(
        _row(place, values, str(dataset), about, str(name), entry)
        for dataset, about in datasets.items()
        for name, entry in models.items()
        if dataset in (only[name] or datasets)
    )
    compare = tuple(_list_of(place, "compare", values.get("compare")) or DEFAULT_COMPARE)
    for metric in compare:
        try:
            name, k = split_name(metric)
        except UserError as error:
            raise UserError(f"{place}: compare: {error}") from None
        if name not in {known.lower() for known in ACCURACY}:
            raise UserError(
                f"{place}: compare: {metric} is no mean over users; choose {', '.join(ACCURACY)}, e.g. NDCG@10."
            )
        if k not in CUTOFFS:
            raise UserError(
                f"{place}: compare: {metric} has a cut-off that the report does not show; choose one of "
                f"{', '.join(map(str, CUTOFFS))}."
            )
    planned = _list_of(place, "planned", values.get("planned"))
    for name in planned:
        if name not in models:
            raise UserError(f"{place}: planned: {unknown_name('row', name, models)}")
        if models[name].get("model", name) == MODEL:
            raise UserError(f"{place}: planned: '{name}' is {MODEL} itself; name rows of others.")
    return Board(Path(place), rows, compare, tuple(planned), tuple(_list_of(place, "notes", values.get("notes"))))


def read_boards(folder: Path) -> tuple[list[Board], list[str]]:
    """The leaderboards of a folder, which share one report, and a line for each other YAML file that lies there.

    Raises:
        UserError: as :func:`read_board`; names the file.
    """
    boards, others = [], []
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        if path.name == PUBLISHED:
            continue
        values = read_yaml(path, "leaderboard")
        if isinstance(values, Mapping) and "models" in values:
            boards.append(read_board(path))
        else:
            others.append(f"{path} is no leaderboard (it has no 'models').")
    return boards, others


def _row(
    place: str, board: Mapping[str, Any], dataset: str, about: Mapping[str, Any], name: str, entry: Mapping[str, Any]
) -> Row:
    layers = [board, about, entry, _mapping(place, "datasets", entry.get("datasets")).get(dataset) or {}]
    _check_keys(place, f"model '{name}' on '{dataset}'", layers[-1], _SHARED)
    what = f"{place}: model '{name}' on '{dataset}'"
    settings: dict[str, Any] = {}
    files: list[str] = []
    for layer in layers:
        settings.update(_mapping(place, "settings", layer.get("settings")))
        files += _list_of(what, "config_files", layer.get("config_files"))
    for key in _RESERVED & set(settings):
        raise UserError(f"{what}: '{key}' is not a setting of a row; use the board's own keys for it.")
    _check_metrics(what, settings, files)
    nearest: dict[str, Any] = {}
    for layer in layers:
        nearest.update({key: layer[key] for key in ("seeds", "time_limit", "tune") if key in layer})
    seeds = nearest.get("seeds") or [2020]
    possible = isinstance(seeds, list) and all(type(seed) is int and 0 <= seed <= MOST_SEED for seed in seeds)
    if not possible or len(set(seeds)) < len(seeds):
        raise UserError(
            f"{what}: seeds is {seeds!r}; give different whole numbers from 0 to {MOST_SEED}, e.g. [2020, 2021]."
        )
    limit = nearest.get("time_limit")
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit < math.inf
    ):
        raise UserError(f"{what}: time_limit is {limit!r}; give seconds above 0.")
    model, tune = str(entry.get("model", name)), _budget(what, nearest.get("tune"))
    own = frozenset(key for layer in layers[2:] for key in layer.get("settings") or ())
    return Row(dataset, name, model, tuple(files), settings, tuple(seeds), limit, tune, own)


def _budget(what: str, tune: Any) -> Mapping[str, float] | None:
    if tune is None:
        return None
    if isinstance(tune, Mapping) and len(tune) == 1 and set(tune) <= {"trials", "timeout"}:
        (kind, value), *_ = tune.items()
        if (type(value) is int or (kind == "timeout" and type(value) is float)) and 0 < value < math.inf:
            return dict(tune)
    raise UserError(f"{what}: tune is {tune!r}; write {{trials: 20}} or {{timeout: 3600}}, or leave it out.")


def _check_metrics(what: str, settings: Mapping[str, Any], files: list[str]) -> None:
    from recbole.evaluator.register import metrics_dict

    given = {**read_files(files), **settings}
    metrics = given.get("metrics") or []
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if str(metric).lower() not in metrics_dict:
            raise UserError(f"{what}: {unknown_name('metric', metric, metrics_dict)}")


def _check_keys(place: str, what: str, entry: Any, known: set[str]) -> None:
    if not isinstance(entry, Mapping):
        raise UserError(f"{place}: {what} is {entry!r}; write 'key: value' lines, or {{}} for none.")
    for key in entry:
        if key not in known:
            raise UserError(f"{place}: {what}: {unknown_name('key', key, known)}")


def _list_of(place: str, what: str, value: Any) -> list[str]:
    if value is not None and not isinstance(value, list):
        raise UserError(f"{place}: {what} is {value!r}; write a list, e.g. [{value}].")
    return [str(item) for item in value or ()]


def _mapping(place: str, what: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f"{place}: '{what}' is {value!r}; write 'name: value' lines below it.")
    return {str(key): ({} if item is None and what in ("datasets", "models") else item) for key, item in value.items()}
