"""Makes RecBole know AttnSeq: its model, its defaults, its data set and trainer; RecentPop; and the F1 metric."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import sys
import types
from collections.abc import Mapping, Set
from dataclasses import fields
from importlib.machinery import ModuleSpec
from importlib.resources import files
from typing import Any

from recbole_attnseq.errors import UserError
from recbole_attnseq.item_neighbours import LIMIT, WINDOW, check_neighbours
from recbole_attnseq.recbole_settings import check_common
from recbole_attnseq.shipped import dataset_settings

MODEL, RECENT = "AttnSeq", "RecentPop"
_PLACE = "recbole.model.sequential_recommender"

# Keys that RecBole reads but lists in no default file.
_OPTIONAL_KEYS = (
    "model", "dataset", "config_files", "local_rank", "world_size", "ip", "port", "nproc", "offset",
    "benchmark_filename", "single_spec", "encoding", "reg_weight", "numerical_features", "wandb_project",
    "split_hash", "dataset_config", "selected_features", "members", "trends", "extensions",
    "neighbour_window", "neighbour_limit",
)  # fmt: skip
# Hyper-parameters that defaults.yaml leaves out, so that what does not use them is the same run as before there were
# any, with what it means to leave them out.
UNSAID = {"members": 1, "trends": None, "neighbour_window": WINDOW, "neighbour_limit": LIMIT}
# What it means that an older record has none of a hyper-parameter that defaults.yaml names, whatever that says today.
SINCE = {"time_gaps": False, "mean_dropout_prob": 0.0}
BEFORE = {**UNSAID, **SINCE}


class _Nothing:
    """A loader for a module that is already complete."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None: ...


def register() -> None:
    """Put AttnSeq and RecentPop at the places where RecBole looks; calling it again changes nothing."""
    if f"{_PLACE}.{MODEL.lower()}" in sys.modules:
        return
    from recbole.utils.argument_list import dataset_arguments

    from recbole_attnseq.data.dataset import AttnSeqDataset
    from recbole_attnseq.metrics import register_f1
    from recbole_attnseq.model import AttnSeq
    from recbole_attnseq.recent_pop import RecentPop
    from recbole_attnseq.training.trainer import AttnSeqTrainer

    for model in (AttnSeq, RecentPop):
        name = f"{_PLACE}.{model.__name__.lower()}"
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, _Nothing())  # type: ignore[arg-type]  # find_spec wants a real one
        setattr(module, model.__name__, model)
        sys.modules[name] = module
        setattr(importlib.import_module("recbole.data.dataset"), f"{model.__name__}Dataset", AttnSeqDataset)
    # A data set that RecBole keeps in a file is read again where what needs times with it has changed.
    dataset_arguments.extend(["trends", "time_gaps"])
    trainers: Any = importlib.import_module("recbole.trainer")
    trainers.AttnSeqTrainer = AttnSeqTrainer
    trainers.RecentPopTrainer = trainers.TraditionalTrainer  # one epoch, as for Pop: nothing is learnt
    register_f1()
    _insert_dataset_settings()
    _insert_defaults()
    _mind_rankings()


def _insert_dataset_settings() -> None:
    """Let configs/dataset/NAME.yaml come in where RecBole reads its own file of a data set."""
    from recbole.config import Config

    original = Config._update_internal_config_dict

    def _update_internal_config_dict(self: Any, file: str) -> dict[str, Any] | None:
        values: dict[str, Any] | None = original(self, file)
        if os.path.basename(file) == "sample.yaml":
            own = os.path.join(os.path.dirname(file), f"{self.dataset}.yaml")
            given = {**self.internal_config_dict, **self.external_config_dict}
            self.dataset_settings = dataset_settings(
                self.dataset,
                str(given["data_path"]),
                given.get("dataset_config"),
                os.path.isfile(own),
                self.yaml_loader,
            )
            self.internal_config_dict.update(self.dataset_settings)
        return values

    Config._update_internal_config_dict = _update_internal_config_dict


def _mind_rankings() -> None:
    """Whoever makes a trainer: refuse what it could not rank; ``exclude_history`` holds for sequential models too."""
    from recbole.trainer import Trainer

    original = Trainer.__init__

    @functools.wraps(original)
    def __init__(self: Any, config: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        from recbole_attnseq.training.recbole_ranking import check_candidates, check_topk, exclude_history

        check_topk(self, config, model)
        if config["exclude_history"]:
            check_candidates(config)
        original(self, config, model, *args, **kwargs)
        if config["exclude_history"]:
            exclude_history(self)

    Trainer.__init__ = __init__


def _insert_defaults() -> None:
    from recbole.config import Config

    from recbole_attnseq.training.batching import check_batching

    original = Config._load_internal_config_dict

    def _load_internal_config_dict(self: Any, model: str, model_class: type, dataset: str) -> None:
        original(self, model, model_class, dataset)
        check_common(self.external_config_dict, self.internal_config_dict)
        if model == MODEL:
            known = keys_known_to(self)
            ours = defaults(self.yaml_loader)
            refuse_misspelt(self.external_config_dict, known | set(ours), set(ours))
            # The settings of the data set say how it is evaluated, and rule over the model's habits.
            self.internal_config_dict.update({**ours, **{k: v for k, v in self.dataset_settings.items() if k in ours}})
            values = {**self.internal_config_dict, **self.external_config_dict}
            check_settings(values)
            check_batching(values, self.external_config_dict)
        elif model == RECENT or model_class.__module__.startswith("recbole."):
            refuse_ours(self.external_config_dict, model)
            known = keys_known_to(self)
            if not known.issuperset(self.external_config_dict):  # the files of all models are read for this alone
                own, others = keys_of_models(model)
                refuse_misspelt(self.external_config_dict, known, own, others)

    Config._load_internal_config_dict = _load_internal_config_dict


def keys_listed_by(config: Any) -> set[str]:
    """Every key in the default files and lists of arguments of RecBole and the configuration's model."""
    return {*config.internal_config_dict, *(key for keys in config.parameters.values() for key in keys)}


def keys_known_to(config: Any) -> set[str]:
    """Every key that RecBole or the configuration's model reads."""
    return {*keys_listed_by(config), *_OPTIONAL_KEYS}


def keys_of_models(model: str) -> tuple[set[str], set[str]]:
    """The hyper-parameters of one model, and those of all: RecBole's and AttnSeq."""
    keys = _keys_by_model()
    return set(keys.get(model, ())), {key for own in keys.values() for key in own}


@functools.cache
def _keys_by_model() -> dict[str, set[str]]:
    """Read once: a hundred files, and a leaderboard asks for every cell."""
    import yaml

    folder = files("recbole") / "properties" / "model"
    keys = {
        each.name.removesuffix(".yaml"): {*(yaml.safe_load(each.read_text(encoding="utf-8")) or ())}
        for each in folder.iterdir()
        if each.name.endswith(".yaml")
    }
    keys[MODEL] = {*defaults(yaml.SafeLoader), *UNSAID}
    return keys


def defaults(loader: Any) -> dict[str, Any]:
    """AttnSeq's defaults.yaml, read with RecBole's YAML loader (which knows 1e-8 as a number)."""
    import yaml

    text = files("recbole_attnseq").joinpath("defaults.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.load(text, Loader=loader)
    return values


def check_settings(values: dict[str, Any]) -> None:
    """Refuse hyper-parameters that cannot work while nothing has been read or written yet.

    Args:
        values: the merged configuration; what depends on the data (the number of items) is left to the model.

    Raises:
        UserError: names the key and what it may be.
    """
    from recbole_attnseq.data_rules import check_history_negatives, check_time_gaps, network_follows
    from recbole_attnseq.extensions import import_extensions
    from recbole_attnseq.item_features import check_selected
    from recbole_attnseq.model import check_members, check_trends, elements
    from recbole_attnseq.nn.item_encoders import ITEM_ENCODERS
    from recbole_attnseq.nn.losses import LOSSES
    from recbole_attnseq.nn.settings import NetworkSettings
    from recbole_attnseq.training.averaging import check_decay
    from recbole_attnseq.training.precision import check_precision

    import_extensions(values.get("extensions"))
    own: dict[str, Any] = {field.name: values.get(field.name) for field in fields(NetworkSettings)}
    own.update(items=2**31, max_length=values.get("MAX_ITEM_LIST_LENGTH"), **network_follows(values))
    try:
        NetworkSettings(**own)
    except UserError as error:
        raise UserError(str(error).replace("max_length", "MAX_ITEM_LIST_LENGTH")) from None
    elements(values.get("memory_budget"))
    check_precision(values.get("precision"))
    check_history_negatives(values)
    check_members(values.get("members"))
    check_trends(values.get("trends"))
    check_time_gaps(values.get("time_gaps"))
    if values.get("sparse_updates") != "auto" and not isinstance(values.get("sparse_updates"), bool):
        raise UserError(f"sparse_updates is {values.get('sparse_updates')!r}; choose auto, True or False.")
    if values["sparse_updates"] is True and not LOSSES[values["loss_type"]].sampled:
        raise UserError(
            f"sparse_updates is True, but loss_type '{values['loss_type']}' updates every item at each step: choose a "
            "sampled loss, such as sampled_softmax, or set sparse_updates to auto."
        )
    if ITEM_ENCODERS[values["item_encoder"]].made_with == "features":
        check_selected(values.get("selected_features"))
    check_neighbours(values.get("neighbour_window"), values.get("neighbour_limit"))
    if values.get("weight_average"):  # 0, False and nothing mean that there is none
        check_decay(values["weight_average"])


def network_settings(*, items: int, max_length: int, **overrides: Any) -> Any:
    """The network's settings from ``defaults.yaml``, with some replaced; for use without RecBole's ``Config``.

    Args:
        items: N, padding included.
        max_length: W, steps of history.
        overrides: hyper-parameters by name; dropout that is auto is what sparse data get.
    """
    from recbole.config import Config

    from recbole_attnseq.data_rules import network_follows
    from recbole_attnseq.nn.settings import NetworkSettings

    values = {**defaults(Config._build_yaml_loader(None)), **overrides, "items": items, "max_length": max_length}
    values.update(network_follows(values))
    return NetworkSettings(**{field.name: values[field.name] for field in fields(NetworkSettings)})


def refuse_ours(given: dict[str, Any], model: str) -> None:
    """Raise where another model than AttnSeq is given what would make it another one, if it knew of it.

    Raises:
        UserError: names the key.
    """
    for key, nothing in BEFORE.items():
        ours = given.get(key) not in (nothing, None, []) and not (key in SINCE and given.get(key) == "auto")
        if ours and (model, key) != (RECENT, "trends"):
            raise UserError(f"{key} is {given[key]!r}, but {model} takes no notice of it: leave it out.")


def refuse_misspelt(
    given: Mapping[str, Any], known: Set[str], own: Set[str], elsewhere: Set[str] = frozenset()
) -> None:
    """Raise where a key of the user's is none of RecBole's or the model's but close to one of them.

    A key that resembles nothing is let through: RecBole's users carry keys of their own in their files.

    Args:
        given: the user's settings.
        known: keys that mean something.
        own: those of them that are the model's own, which are guessed more boldly.
        elsewhere: keys that mean something to other models, with which a file may be shared.

    Raises:
        UserError: names the key and the closest real one.
    """
    for key in given:
        if key in known or key in elsewhere:
            continue
        close = difflib.get_close_matches(key, sorted(own), n=1, cutoff=0.75) or difflib.get_close_matches(
            key, sorted(known), n=1, cutoff=0.85
        )
        if close:
            raise UserError(f"unknown parameter '{key}' (value {given[key]!r}). Did you mean '{close[0]}'?")
