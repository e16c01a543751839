"""The data of a search: split once, the test part dropped before anything can read it, reused between trials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from recbole.data import create_dataset, data_preparation
from recbole.data.utils import create_samplers, get_dataloader
from recbole.sampler import KGSampler
from recbole.utils import ModelType, init_seed
from recbole.utils.argument_list import dataset_arguments

from recbole_attnseq.data.dataset import different_waits
from recbole_attnseq.data.prefixes import PrefixColumns, PrefixInteraction, reached
from recbole_attnseq.data.split_hash import hash_of_loaders
from recbole_attnseq.data_rules import time_gaps

# What decides the data set and its split; everything else can change from trial to trial.
_DATA_KEYS = (
    *dataset_arguments, "model", "dataset", "data_path", "eval_args", "repeatable", "dataset_save_path", "encoding",
)  # fmt: skip


class SearchData:
    """Training and validation data for any number of trials.

    The data set is read and split anew only when a setting that shapes it changes. ``build()`` cuts off the test
    part in the same breath: this class never looks at it, and keeps nothing from which it could be read.

    Args:
        split_seed: seed of random splits. All trials, and the winner's runs later, share one split.
    """

    def __init__(self, split_seed: int) -> None:
        self.split_seed = split_seed
        self.prepared = 0
        self._key = ""
        self._dataset: Any = None
        self._parts: list[Any] = []

    def loaders(self, config: Any) -> tuple[Any, Any]:
        """RecBole's training and validation loaders for a trial's configuration."""
        key = data_key(config)
        if key != self._key:
            self._dataset, self._parts = None, []
            init_seed(self.split_seed, config["reproducibility"])
            self._dataset = create_dataset(config)
            self._parts = without_test(self._dataset)
            self._key = key
            self.prepared += 1
        return self._loaders(config)

    def split_hash(self, config: Any) -> str:
        """Fingerprint of the targets to learn and to select on."""
        return hash_of_loaders(*self.loaders(config), None)

    def facts(self, config: Any) -> tuple[bool, int, int]:
        """What AttnSeq's settings follow: whether it reads waits, training targets, and items without padding."""
        self.loaders(config)
        timed = time_gaps(config["time_gaps"], different_waits(self._parts[0]))
        return timed, int(self._parts[0].inter_num), int(self._dataset.item_num) - 1

    def _loaders(self, config: Any) -> tuple[Any, Any]:
        train, valid = self._parts
        # RecBole's samplers want three parts. An empty one stands where the test data was.
        nothing = valid.copy(valid.inter_feat[[]])
        samplers = create_samplers(config, self._dataset, [train, valid, nothing])
        options: dict[str, Any] = {"shuffle": config["shuffle"]}
        arguments: list[Any] = [config, train, samplers[0]]
        if config["MODEL_TYPE"] == ModelType.KNOWLEDGE:
            negatives = config["train_neg_sample_args"]
            arguments.append(KGSampler(self._dataset, negatives["distribution"], negatives["alpha"]))
            options = {"shuffle": True}
        return (
            get_dataloader(config, "train")(*arguments, **options),
            get_dataloader(config, "valid")(config, valid, samplers[1], shuffle=False),
        )


def data_key(config: Any) -> str:
    """What a configuration says about the data, as text that differs where the data would."""
    return json.dumps({key: config[key] for key in _DATA_KEYS}, default=str, sort_keys=True)


def without_test(dataset: Any) -> list[Any]:
    """Split ``dataset`` and return its training and validation parts; the test part is gone from it as well."""
    parts = dataset.build()[:2]
    forget_the_rest(parts)
    # RecBole's samplers also look at the whole: from now on the whole is the training part.
    dataset.inter_feat, dataset.exact_times = parts[0].inter_feat, getattr(parts[0], "exact_times", None)
    return list(parts)


def forget_the_rest(parts: Sequence[Any]) -> None:
    """Cut the flat table that lazy prefixes share down to the interactions that these parts' rows reach."""
    views: list[PrefixColumns] = [
        part.inter_feat.interaction for part in parts if isinstance(part.inter_feat, PrefixInteraction)
    ]
    if not views:
        return
    kept = reached(views)
    position = kept.cumsum(0) - 1
    flat = {name: values[kept] for name, values in views[0].flat.items()}
    for view in views:
        view.flat, view.target = flat, position[view.target]
    for part in parts:
        if getattr(part, "exact_times", None) is not None:
            part.exact_times = part.exact_times[kept.numpy()]


class FinalData:
    """All three parts, for the winner: the same split as in the search, and the test part this time."""

    def __init__(self, split_seed: int) -> None:
        self.split_seed = split_seed

    def loaders(self, config: Any) -> tuple[Any, Any, Any]:
        """RecBole's training, validation and test loaders."""
        init_seed(self.split_seed, config["reproducibility"])
        train, valid, test = data_preparation(config, create_dataset(config))
        return train, valid, test
