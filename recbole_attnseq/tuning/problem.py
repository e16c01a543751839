"""What is tuned: a model on a data set under fixed settings, its metric, and the data that decide."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from recbole.utils.argument_list import general_arguments

from recbole_attnseq.data_rules import network_follows
from recbole_attnseq.errors import UserError
from recbole_attnseq.extensions import fingerprints
from recbole_attnseq.registration import MODEL, UNSAID, keys_listed_by
from recbole_attnseq.training.checks import check_dataset, check_model, plain_errors, read_files
from recbole_attnseq.training.session import make_config
from recbole_attnseq.tuning.search_data import SearchData
from recbole_attnseq.tuning.space_files import load_space, shipped_space
from recbole_attnseq.tuning.space_values import check_values
from recbole_attnseq.tuning.spaces import Space

# Settings of the place where a trial runs, not of what it computes.
_HOUSEKEEPING = ({*general_arguments} - {"seed", "reproducibility"}) | {"wandb_project", "worker"}


class Problem:
    """One search problem.

    Args:
        model: name of a RecBole model or of ours; None takes it from the files, or AttnSeq.
        dataset: name of the data set; None takes it from the files.
        files: RecBole's YAML files, later ones win.
        settings: the user's settings above the files; a searched key that is set here is searched no more.
        space: a space file; None takes the one that comes with the project.
        shortcuts: under the trainings of RecBole's models, see :func:`~recbole_attnseq.training.session.quicken`. They
            are no part of a study's identity: what a trial computes is the same up to rounding and dropout's draws.

    Raises:
        UserError: unknown model, data set, metric or key, or a bad space.
    """

    def __init__(
        self,
        model: str | None,
        dataset: str | None,
        files: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        space: str | None = None,
        shortcuts: Mapping[str, Any] | None = None,
    ) -> None:
        self.shortcuts = dict(shortcuts or {})
        given = {**read_files(files), **(settings or {})}
        self.model = str(model or given.pop("model", None) or MODEL)
        name = dataset or given.get("dataset")
        if not name:
            raise UserError("no data set named; add --dataset=NAME, e.g. --dataset=ml-100k.")
        self.dataset = str(name)
        check_model(self.model)
        check_dataset(self.dataset, str(given.get("data_path", "dataset/")))
        for key in ("model", "dataset"):
            given.pop(key, None)
        whole = self._space(space)
        self.fixed: dict[str, Any] = {**whole.settings, **given}
        self.space = whole.without(given)
        self.pinned = [name for name in whole.names() if name in given]
        if not self.space.parameters:
            raise UserError(f"{whole.source}: flags and files fix all that it searches ({', '.join(self.pinned)}).")
        config = self.config()
        # Flags are text: keep them as RecBole has read them, for conditions, comparisons and best.yaml.
        self.fixed = {key: config.external_config_dict.get(key, value) for key, value in self.fixed.items()}
        unsaid = UNSAID if self.model == MODEL else {}
        self.base: dict[str, Any] = {**unsaid, **config.final_config_dict}
        whole.check_keys(keys_listed_by(config) | set(given) | set(unsaid))
        check_values(self.space, self.base)
        self.metric = str(config["valid_metric"])
        self.bigger = bool(config["valid_metric_bigger"])
        self.seed = int(config["seed"])
        self.epochs = int(config["epochs"])
        self.data = SearchData(self.seed)
        self._split_hash = ""

    def _space(self, path: str | None) -> Space:
        path = path or shipped_space(self.model)
        if path is None:
            raise UserError(f"no space for {self.model} in configs/space; write one and name it with --space FILE.")
        return load_space(path)

    def config(self, settings: Mapping[str, Any] | None = None) -> Any:
        """RecBole's configuration with ``settings`` on top."""
        return make_config(self.model, self.dataset, (), copy.deepcopy({**self.fixed, **(settings or {})}))

    def split_hash(self) -> str:
        """Fingerprint of the training and validation targets; reads the data set at the first call."""
        if not self._split_hash:
            with plain_errors():
                self._split_hash = self.data.split_hash(self.config())
        return self._split_hash

    def identity(self) -> dict[str, Any]:
        """What must be the same for two trials to be comparable."""
        settings = {key: value for key, value in self.fixed.items() if key not in _HOUSEKEEPING}
        if settings.get("extensions"):
            settings["extensions"] = fingerprints(settings["extensions"])
        return {
            "model": self.model,
            "dataset": self.dataset,
            "metric": self.metric,
            "split_hash": self.split_hash(),
            "settings": json.loads(json.dumps(settings, default=str)),
            "choices": json.loads(
                json.dumps({p.name: p.values for p in self.space.parameters if p.kind == "choice"}, default=str)
            ),
        }

    def presets(self) -> list[tuple[str, dict[str, Any]]]:
        """(origin, settings) of the first trials: the defaults, then the published settings."""
        result: list[tuple[str, dict[str, Any]]] = []
        base = self.defaults
        for name, settings in (("defaults", {}), *self.space.published):
            if any(key in self.fixed and self.fixed[key] != value for key, value in settings.items()):
                continue  # what the user has fixed makes it another setting than the published one
            wanted = {key: value for key, value in settings.items() if key not in self.fixed}
            full = {**base, **wanted}
            preset = {p.name: full[p.name] for p in self.space.parameters if p.active(full)} | wanted
            if all(preset != earlier for _, earlier in result):
                result.append((name, preset))
        return result

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """The configuration without the search, and instead of auto what the data make of it where a parameter or its
        condition asks: ranges and choices know no such word."""
        return {**self.base, **self._followed()}

    def _followed(self) -> dict[str, Any]:
        asked = {key for p in self.space.parameters for key in (p.name, *p.when)}
        if self.model != MODEL or not any(self.base.get(key) == "auto" for key in asked):
            return {}
        with plain_errors():
            return network_follows(self.base, *self.data.facts(self.config()))
