"""Makes RecBole know AttnSeq: its model, its defaults, its data set and trainer, and the F1 metric."""

from __future__ import annotations

import difflib
import importlib
import sys
import types
from importlib.machinery import ModuleSpec
from importlib.resources import files
from typing import Any

from recbole_attnseq.errors import UserError

MODEL = "AttnSeq"
_MODULE = "recbole.model.sequential_recommender.attnseq"

# Keys that RecBole reads but lists in no default file.
_OPTIONAL_KEYS = (
    "model", "dataset", "config_files", "local_rank", "world_size", "ip", "port", "nproc", "offset", "benchmark_filename",
    "single_spec", "encoding", "reg_weight", "numerical_features", "wandb_project", "split_hash",
)  # fmt: skip


class _Nothing:
    """A loader for a module that is already complete."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None: ...


def register() -> None:
    """Put AttnSeq at the places where RecBole looks; calling it again changes nothing."""
    if _MODULE in sys.modules:
        return
    from recbole_attnseq.data.dataset import AttnSeqDataset
    from recbole_attnseq.metrics import register_f1
    from recbole_attnseq.model import AttnSeq
    from recbole_attnseq.training.trainer import AttnSeqTrainer

    module = types.ModuleType(_MODULE)
    module.__spec__ = ModuleSpec(_MODULE, _Nothing())  # type: ignore[arg-type]  # find_spec wants a real one
    module.AttnSeq = AttnSeq  # type: ignore[attr-defined]
    sys.modules[_MODULE] = module
    importlib.import_module("recbole.data.dataset").AttnSeqDataset = AttnSeqDataset  # type: ignore[attr-defined]
    importlib.import_module("recbole.trainer").AttnSeqTrainer = AttnSeqTrainer  # type: ignore[attr-defined]
    register_f1()
    _insert_defaults()


def _insert_defaults() -> None:
    from recbole.config import Config

    original = Config._load_internal_config_dict

    def _load_internal_config_dict(self: Any, model: str, model_class: type, dataset: str) -> None:
        original(self, model, model_class, dataset)
        if model == MODEL:
            known = {*self.internal_config_dict, *_OPTIONAL_KEYS, *(k for keys in self.parameters.values() for k in keys)}
            ours = defaults(self.yaml_loader)
            refuse_misspelt(self.external_config_dict, known | set(ours), set(ours))
            self.internal_config_dict.update(ours)

    Config._load_internal_config_dict = _load_internal_config_dict


def defaults(loader: Any) -> dict[str, Any]:
    """AttnSeq's defaults.yaml, read with RecBole's YAML loader (which knows 1e-8 as a number)."""
    import yaml

    text = files("recbole_attnseq").joinpath("defaults.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.load(text, Loader=loader)
    return values


def refuse_misspelt(given: dict[str, Any], known: set[str], ours: set[str]) -> None:
    """Raise where a key of the user's is none of RecBole's or AttnSeq's but close to one of them.

    A key that resembles nothing is let through: RecBole's users carry keys of their own in their files.

    Raises:
        UserError: names the key and the closest real one.
    """
    for key in given:
        if key in known:
            continue
        close = difflib.get_close_matches(key, sorted(ours), n=1, cutoff=0.75) or difflib.get_close_matches(
            key, sorted(known), n=1, cutoff=0.85
        )
        if close:
            raise UserError(f"unknown parameter '{key}' (value {given[key]!r}). Did you mean '{close[0]}'?")
