"""Everything that lets RecBole 1.2.x run, and run right, on today's Python stack. All of it is here.

RecBole 1.2.0 and 1.2.1 were written for numpy 1, pandas 1 and torch 1. Two mechanisms mend them in memory, on
import, without a fork and without a byte written into RecBole's folder:

* **Rewrites** change an expression while one of RecBole's own modules is compiled: ``np.float`` becomes
  ``np.float64`` *there*, so numpy itself gets no alias, and ``torch.load`` as seen by others stays as it is.
* **Patches** replace a function or method of RecBole's once its module has been imported.

Nothing outside ``recbole.*`` changes. Each remedy states its reason, and until when it is needed;
:data:`REMEDIES` lists them. ``import recbole_attnseq`` activates all, in whatever order the two are imported.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import difflib
import functools
import importlib.abc
import importlib.machinery
import logging
import operator
import os
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from recbole_attnseq.errors import UserError, check_folder, unknown_name

RUN_FACTS: dict[str, Any] = {}
"""What the latest run of this process says of itself: ``split_hash`` and ``checkpoint``."""


@dataclass(frozen=True)
class Remedy:
    """One fault of RecBole's and what is done about it.

    Attributes:
        name: short name, for tests and for humans.
        reason: what goes wrong without it.
        until: the condition under which the remedy can be removed.
        trigger: a rewrite looks at modules whose source has one of these strings.
        rewrite: maps one syntax node to its replacement (or to itself).
        patches: module name to a function that mends the imported module.
    """

    name: str
    reason: str
    until: str
    trigger: tuple[str, ...] = ()
    rewrite: Callable[[ast.AST], ast.AST | None] | None = None
    patches: tuple[tuple[str, Callable[[types.ModuleType], None]], ...] = ()


# ---------------------------------------------------------------------------------------------- rewrites

_NUMPY_NAMES = {
    "float": "float64",
    "int": "int_",
    "bool": "bool_",
    "long": "int_",
    "str": "str_",
    "object": "object_",
}


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _method(node: ast.AST) -> str:
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def _numpy_alias(node: ast.AST) -> ast.AST:
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and _is_name(node.value, "np")
        and node.attr in _NUMPY_NAMES
    ):
        node.attr = _NUMPY_NAMES[node.attr]
    return node


def _loads_without(node: ast.AST, keyword: str) -> bool:
    """Whether a node calls ``torch.load`` and does not say ``keyword``."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _is_name(node.func.value, "torch")
        and node.func.attr == "load"
        and all(given.arg != keyword for given in node.keywords)
    )


def _torch_load(node: ast.AST) -> ast.AST:
    if _loads_without(node, "weights_only"):
        assert isinstance(node, ast.Call)
        node.keywords.append(ast.keyword("weights_only", ast.Constant(False)))
    return node


def _load_where_we_are(node: ast.AST) -> ast.AST:
    if _loads_without(node, "map_location"):
        assert isinstance(node, ast.Call)
        if len(node.args) == 1:  # the second would be the place
            place = ast.parse('None if torch.cuda.is_available() else "cpu"', mode="eval").body
            node.keywords.append(ast.keyword("map_location", place))
    return node


def _fillna(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Expr) and _method(node.value) == "fillna":
        call = node.value
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Attribute)
        keywords = [keyword for keyword in call.keywords if keyword.arg != "inplace"]
        if len(keywords) < len(call.keywords):
            call.keywords = keywords
            source = ast.unparse(call.func.value)
            target = ast.parse(f"{source} = 0").body[0]
            assert isinstance(target, ast.Assign)
            return ast.Assign(targets=target.targets, value=call)
    return node


def _stable_sort(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Call) and _method(node) == "sort_values":
        node.keywords.append(ast.keyword("kind", ast.Constant("stable")))
    return node


def _dok_update(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_update":
        node.func = ast.Attribute(ast.Attribute(node.func.value, "_dict", ast.Load()), "update", ast.Load())
    return node


def _agg_len(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Call) and _method(node) == "agg" and len(node.args) == 1 and _is_name(node.args[0], "len"):
        assert isinstance(node.func, ast.Attribute)
        node.func.attr = "map"
    return node


def _torch_amp(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Call) and _method(node) == "GradScaler":
        node.func = ast.parse("torch.amp.GradScaler", mode="eval").body
    return node


def _no_anomaly_mode(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Expr) and ast.unparse(node.value) == "torch.autograd.set_detect_anomaly(True)":
        return ast.Pass()
    return node


def _kmeans_if_there(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.ImportFrom) and node.module == "kmeans_pytorch" and node.col_offset == 0:
        return ast.parse("try:\n from kmeans_pytorch import kmeans\nexcept ImportError:\n kmeans = None").body[0]
    return node


def _labels_are_no_places(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.FunctionDef) and node.name == "_filter_nan_user_or_item":
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and _method(call) == "drop":
                call.args = [given.slice if isinstance(given, ast.Subscript) else given for given in call.args]
    return node


def _folder_may_exist(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.makedirs":
        node.keywords.append(ast.keyword("exist_ok", ast.Constant(True)))
    return node


def _index_range(node: ast.AST) -> ast.AST:
    if (
        isinstance(node, ast.Call)
        and _is_name(node.func, "list")
        and ast.unparse(node) == "list(range(self.sample_size))"
    ):
        return node.args[0]
    return node


def _no_ray(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray":
        return ast.parse("tune = None").body[0]
    return node


# ----------------------------------------------------------------------------------------------- patches


def _in_place(module: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Let function ``name`` do what ``wrap`` makes of it, under every name that anybody has bound it to already."""
    function: types.FunctionType = vars(module)[name]
    original = types.FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    original.__kwdefaults__ = function.__kwdefaults__
    setattr(module, f"_mended_{name}", wrap(original))
    detour = eval(f"lambda *args, **kwargs: _mended_{name}(*args, **kwargs)")
    function.__code__, function.__defaults__, function.__kwdefaults__ = detour.__code__, None, None
    function.__wrapped__ = original  # type: ignore[attr-defined]  # where inspect looks for the signature


def _leave_anomaly_mode(module: Any) -> None:
    if not isinstance(module.__loader__, _Loader):  # it was imported before us, with its effect
        torch.autograd.set_detect_anomaly(False)


def _keep_numpy_clean(module: Any) -> None:
    module.Config.compatibility_settings = lambda self: None


_ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.USub: operator.neg,
}


def _literal(text: str) -> Any:
    """The value of a Python literal, or of arithmetic on numbers (``64*2``); ``ValueError`` otherwise."""

    def value(node: ast.AST) -> Any:
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](number(node.left), number(node.right))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base, exponent = number(node.left), number(node.right)
            if abs(base) > 1e6 or abs(exponent) > 100:
                raise ValueError("power too large")
            return base**exponent
        if isinstance(node, ast.UnaryOp) and type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](number(node.operand))
        return ast.literal_eval(node)

    def number(node: ast.AST) -> Any:
        result = value(node)
        if isinstance(result, bool) or not isinstance(result, (int, float)):
            raise ValueError("not a number")
        return result

    return value(ast.parse(text.strip(), mode="eval").body)


def _convert_config_dict(self: Any, config_dict: dict[str, Any]) -> dict[str, Any]:
    for key, text in config_dict.items():
        if isinstance(text, str):
            try:
                value = _literal(text)
            except (
                ValueError,
                TypeError,
                SyntaxError,
                ZeroDivisionError,
                OverflowError,
                RecursionError,
                MemoryError,
            ):
                value = {"true": True, "false": False}.get(text.lower(), text)
            config_dict[key] = value
    return config_dict


def _literals_only(module: Any) -> None:
    module.Config._convert_config_dict = _convert_config_dict


def _sorts_by_time(config: Any) -> bool:
    return config["benchmark_filename"] is None and config["eval_args"]["order"] == "TO"


def _exact_time_order(module: Any) -> None:
    original = module.Dataset._normalize

    def _normalize(self: Any) -> None:
        # Here the times are still the file's float64, complete, and the rows still in file order. A stable
        # sort by the rounded times, later, then changes nothing, since rounding never swaps two times.
        if _sorts_by_time(self.config):
            if self.time_field not in self.inter_feat:
                raise UserError(
                    f"{os.path.join(self.dataset_path, self.dataset_name)}.inter: column '{self.time_field}' "
                    "is not loaded, but the order is by time. List it in load_col, or say in TIME_FIELD "
                    "which column has the times."
                )
            self.inter_feat = self.inter_feat.sort_values(self.time_field, kind="stable", ignore_index=True)
            split = self.config["eval_args"]["split"] or {}
            if "TS" in split or self.config["trends"] or self.config["time_gaps"]:
                self.exact_times = self.inter_feat[self.time_field].to_numpy(np.float64, copy=True)
        original(self)

    module.Dataset._normalize = _normalize


def _times_are_numbers(module: Any) -> None:
    original = module.Dataset._filter_nan_user_or_item

    def _filter_nan_user_or_item(self: Any) -> None:
        original(self)
        if not _sorts_by_time(self.config) or self.time_field not in self.inter_feat:
            return
        path = os.path.join(self.dataset_path, f"{self.dataset_name}.inter")
        kind = self.field2type[self.time_field].value
        if kind != "float":
            raise UserError(
                f"{path}:1: column '{self.time_field}' is declared {kind}, but the order is by time: declare it "
                f"{self.time_field}:float, or say in TIME_FIELD which column has the times."
            )
        if not len(self.inter_feat):
            raise UserError(f"{path}: no row has both a user and an item; fill them in.")
        missing = self.inter_feat.index[self.inter_feat[self.time_field].isna()]
        if len(missing) == len(self.inter_feat):
            raise UserError(
                f"{path}: no row has a value in column '{self.time_field}', but the order is by time: fill it in, or "
                "say in TIME_FIELD which column has the times."
            )
        if len(missing):
            self.logger.warning(
                f"{path}: {len(missing)} of {len(self.inter_feat)} rows have no {self.time_field} (line "
                f"{missing[0] + 2} is the first) and will be removed, since the order is by time."
            )
            self.inter_feat = self.inter_feat.drop(missing)

    module.Dataset._filter_nan_user_or_item = _filter_nan_user_or_item


def _exact_time_split(module: Any) -> None:
    original = getattr(module.Dataset, "time_based_split", None)
    if original is None:  # RecBole 1.2.0 has no TS splits
        return

    def time_based_split(self: Any, ratios: Sequence[float], group_by: str | None) -> list[Any]:
        times, columns = getattr(self, "exact_times", None), self.inter_feat.interaction
        if times is not None and hasattr(columns, "target"):
            times = times[columns.target.numpy()]  # prefix rows have the time of the item that they predict
        if times is None or len(times) != len(self.inter_feat) or group_by is None or len(ratios) != 3:
            return list(original(self, ratios, group_by))
        shares = np.asarray(ratios) / sum(ratios)
        boundary = np.percentile(times, 100 * (1 - shares[-1]))
        parts: list[list[int]] = [[], [], []]
        for group in self._grouped_index(self.inter_feat[group_by].numpy()):
            rows = np.asarray(group)
            early = rows[times[rows] <= boundary]
            cut = int(len(early) * (shares[0] / (1 - shares[2])))
            for part, index in zip(parts, (early[:cut], early[cut:], rows[times[rows] > boundary]), strict=True):
                part.extend(index.tolist())
        self._drop_unused_col()
        return [self.copy(self.inter_feat[part]) for part in parts]

    module.Dataset.time_based_split = time_based_split


def _arrow_loading(module: Any) -> None:
    from recbole_attnseq.data.loading import load_feat, remap

    module.Dataset._load_feat = load_feat
    module.Dataset._remap = remap


def _whole_downloads(module: Any) -> None:
    from recbole_attnseq.data.hosted import download

    module.Dataset._download = download


def _read_only_columns(module: Any) -> None:
    original = module.Dataset._dataframe_to_interaction

    def _dataframe_to_interaction(self: Any, data: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return original(self, data)

    module.Dataset._dataframe_to_interaction = _dataframe_to_interaction


def _lazy_prefixes(module: Any) -> None:
    from recbole_attnseq.data.prefixes import augment_lazily, gathered_rows

    module.SequentialDataset.data_augmentation = augment_lazily
    module.SequentialDataset.__getitem__ = gathered_rows


def _benchmark_histories_as_long_as_asked(module: Any) -> None:
    presets = module.SequentialDataset._benchmark_presets

    def _benchmark_presets(self: Any) -> None:
        longest, suffix = self.max_item_list_len, self.config["LIST_SUFFIX"]
        for name in [field + suffix for field in self.inter_feat if field + suffix in self.inter_feat]:
            self.inter_feat[name] = self.inter_feat[name].map(lambda history: history[-longest:])
            size = self.field2seqlen[name]
            self.field2seqlen[name] = (
                (min(size[0], longest), *size[1:]) if isinstance(size, tuple) else min(size, longest)
            )
        presets(self)

    module.SequentialDataset._benchmark_presets = _benchmark_presets


def _something_to_predict(module: Any) -> None:
    original = module.Dataset.build

    def build(self: Any) -> list[Any]:
        parts: list[Any] = original(self)
        ratios = (self.config["eval_args"]["split"] or {}).get("RS") or [1, 1]
        meant = not any(ratios[1:])  # all for training, as before a model is put to use
        if not len(parts[0].inter_feat):
            raise UserError(
                "eval_args: the split leaves no interaction to learn from; give the training a larger share, or relax "
                "the filters."
            )
        if self.uid_field and not meant and not any(len(part.inter_feat) for part in parts[1:]):
            path = os.path.join(self.dataset_path, f"{self.dataset_name}.inter")
            raise UserError(
                f"{path}: after the split no user has an interaction left to validate or test on. Give it "
                "users with three interactions or more, relax the filters, or change eval_args."
            )
        return parts

    module.Dataset.build = build


def _announce_split(module: Any) -> None:
    def announced(original: Callable[..., Any]) -> Callable[..., Any]:
        def data_preparation(config: Any, dataset: Any) -> Any:
            from recbole_attnseq.data.split_hash import hash_of_loaders

            loaders = original(config, dataset)
            with contextlib.suppress(AttributeError):  # loaders of another make have no interactions to hash
                digest = hash_of_loaders(*loaders)
                config["split_hash"] = RUN_FACTS["split_hash"] = digest
                module.getLogger().info(module.set_color("Split hash", "pink") + f": {digest}")
            return loaders

        return data_preparation

    _in_place(module, "data_preparation", announced)


# What a cached data set depends on beside the arguments that RecBole itself compares.
_CACHE_KEYS = ("numerical_features", "discretization", "encoding")


def _source_stamp(config: Any) -> dict[str, Any]:
    """What tells a cache of other data: size and time of the atomic files, row order, and settings."""
    files = {
        path.name: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(Path(config["data_path"]).glob(f"{config['dataset']}.*"))
    }
    # The name says what "by time" does not: caches from before hold rows without a time as well.
    by_time = {"by time, each with one": _sorts_by_time(config)}
    exact = {"exact times": "TS" in (config["eval_args"]["split"] or {})}
    return {"files": files, **by_time, **exact, **{key: config[key] for key in _CACHE_KEYS}}


def _stamped_source(module: Any) -> None:
    original = module.Dataset._get_preset

    def _get_preset(self: Any) -> None:
        original(self)
        self.source_stamp = _source_stamp(self.config)

    module.Dataset._get_preset = _get_preset


def _fresh_caches(module: Any) -> None:
    def ours(dataset: Any, config: Any) -> bool:
        if getattr(dataset, "source_stamp", None) == _source_stamp(config):
            return True
        module.getLogger().warning(
            f"a cache of data set '{config['dataset']}' in {config['checkpoint_dir']} is of other files or "
            "another row order, and is not used."
        )
        return False

    @contextlib.contextmanager
    def readable(what: str, remedy: str) -> Iterator[None]:
        try:
            yield
        except (EOFError, pickle.UnpicklingError, ImportError) as error:
            raise UserError(f"{what} cannot be read ({error}); {remedy}.") from error

    def fresh(original: Callable[..., Any]) -> Callable[..., Any]:
        def create_dataset(config: Any) -> Any:
            place = config["dataset_save_path"] or config["checkpoint_dir"]
            with readable(f"the cached data set in {place}", "delete it"):
                dataset = original(config)
            if dataset.config is not config and not ours(dataset, config):
                dataset = type(dataset)(config)
                if config["save_dataset"]:
                    dataset.save()
            dataset.config = config  # a cached one is split as it was when it was saved
            return dataset

        return create_dataset

    def checked(original: Callable[..., Any]) -> Callable[..., Any]:
        def load_split_dataloaders(config: Any) -> Any:
            place = config["dataloaders_save_path"] or config["checkpoint_dir"]
            with readable(f"the cached loaders in {place}", "delete them"):
                loaders = original(config)
            return loaders if loaders is None or ours(loaders[0]._dataset, config) else None

        return load_split_dataloaders

    module.torch = torch  # load_split_dataloaders uses the name; the module has it by luck of a star import
    _in_place(module, "create_dataset", fresh)
    _in_place(module, "load_split_dataloaders", checked)


class _PatientLog(logging.FileHandler):
    """A log file that exists from the moment training starts, with all that was said before."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename, delay=True, encoding="utf-8")
        check_folder(os.path.dirname(filename), "logs")
        self.waiting: list[logging.LogRecord] | None = []

    def emit(self, record: logging.LogRecord) -> None:
        if self.waiting is None:
            super().emit(record)
        else:
            self.waiting.append(record)

    def begin(self) -> None:
        """Write what waits, and everything later at once."""
        waiting, self.waiting = self.waiting or [], None
        os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
        self.stream = self._open()
        for record in waiting:
            super().emit(record)

    def close(self) -> None:
        if self.waiting:
            self.begin()
        super().close()


def _logs() -> list[_PatientLog]:
    return [log for log in logging.getLogger().handlers if isinstance(log, _PatientLog) and log.waiting is not None]


def discard_log() -> None:
    """Forget what a refused run logged, so that it leaves no file."""
    for log in _logs():
        logging.getLogger().removeHandler(log)
        log.waiting = []
        log.close()


def _log_when_training(module: Any) -> None:
    module.ensure_dir = lambda path: None
    module.logging = types.SimpleNamespace(**{**vars(logging), "FileHandler": _PatientLog})


def _wrap_streams_once(module: Any) -> None:
    init = module.init

    def once(*args: Any, **kwargs: Any) -> None:
        from colorama.ansitowin32 import StreamWrapper

        if not (isinstance(sys.stdout, StreamWrapper) and isinstance(sys.stderr, StreamWrapper)):
            init(*args, **kwargs)

    module.init = once


def _release_log(module: Any) -> None:
    init, events = module.Trainer.__init__, module.get_tensorboard

    def __init__(self: Any, config: Any, model: Any) -> None:
        check_folder(config["checkpoint_dir"], "checkpoints")
        if module.get_tensorboard is events:  # a search puts one in its place that writes nothing
            check_folder("log_tensorboard", "TensorBoard's files")
        for log in _logs():
            log.begin()
        init(self, config, model)

    module.Trainer.__init__ = __init__


def _own_checkpoints(module: Any) -> None:
    original = module.Trainer.resume_checkpoint

    def resume_checkpoint(self: Any, resume_file: Any) -> None:
        from recbole_attnseq.training.runs import read_checkpoint

        theirs, ours = read_checkpoint(resume_file)["config"]["model"], self.config["model"]
        if theirs != ours:
            raise UserError(f"checkpoint {resume_file} holds a {theirs}, not a {ours}; choose one of {ours}'s.")
        try:
            original(self, resume_file)
        except RuntimeError as error:
            if "state_dict" not in str(error):
                raise
            raise UserError(
                f"checkpoint {resume_file} holds a {theirs} of other sizes: its settings or data differ from "
                "this run's. Make them equal, or train anew."
            ) from error

    module.Trainer.resume_checkpoint = resume_checkpoint


@functools.cache
def known_models() -> dict[str, str]:
    """The name of each model in RecBole's folders and the package that holds it, with AttnSeq."""
    import recbole.model as models

    known = {"AttnSeq": "sequential_recommender"}
    for root in models.__path__:
        for init in sorted(Path(root).glob("*_recommender/__init__.py")):
            for node in ast.parse(init.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ImportFrom):
                    known.update({alias.name: init.parent.name for alias in node.names})
    return known


def _named_models(module: Any) -> None:
    def named(original: Callable[..., Any]) -> Callable[..., Any]:
        def get_model(model_name: str) -> Any:
            known = known_models()
            try:
                return original(model_name)
            except ModuleNotFoundError as error:
                # An unknown name ends in the last group, whose package imports lightgbm and xgboost.
                if model_name in known:
                    raise UserError(
                        f"model '{model_name}' needs the package {error.name}, which is not installed: "
                        f"pip install {error.name}"
                    ) from error
            except (ValueError, AttributeError):
                if model_name in known:
                    raise
            wanted = str(model_name)
            alike = [name for name in known if name.lower() == wanted.lower()]
            close = alike or difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
            if close:
                raise UserError(f"unknown model '{model_name}'. Did you mean '{close[0]}'?")
            raise unknown_name("model", model_name, known)

        return get_model

    _in_place(module, "get_model", named)


def _cpu_processes(module: Any) -> None:
    original = module.Config._init_device

    def _init_device(self: Any) -> None:
        final = self.final_config_dict
        if not final.get("use_gpu", True):
            final["gpu_id"] = ""
        if "local_rank" not in final or (torch.cuda.is_available() and final["gpu_id"] != ""):
            original(self)
            return
        rank = final["local_rank"]
        dist.init_process_group(
            "gloo",
            rank=rank + final["offset"],
            world_size=final["world_size"],
            init_method=f"tcp://{final['ip']}:{final['port']}",
        )
        final.update(gpu_id="", device=torch.device("cpu"), single_spec=False)
        if rank != 0:
            final.update(state="error", show_progress=False, verbose=False)

    module.Config._init_device = _init_device


# The group of this process, held beside whoever else holds it; see the remedy 'group let go of'.
GROUPS: list[Any] = []


def _group_outlives_its_users(module: Any) -> None:
    original = module.Config._init_device

    def _init_device(self: Any) -> None:
        original(self)
        if dist.is_available() and dist.is_initialized():
            GROUPS[:] = [dist.group.WORLD]

    module.Config._init_device = _init_device


def _device_that_is_here(module: Any) -> None:
    def __setstate__(self: Any, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        final = state.get("final_config_dict", {})
        if torch.device(final.get("device", "cpu")).type == "cuda" and not torch.cuda.is_available():
            final.update(gpu_id="", device=torch.device("cpu"))

    module.Config.__setstate__ = __setstate__


_OF_PROCESSES = ("world_size", "ip", "port", "nproc", "offset")


def _one_checkpoint_a_run(module: Any) -> None:
    init = module.Trainer.__init__

    def __init__(self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        name, ending = os.path.splitext(self.saved_model_file)
        self.saved_model_file = RUN_FACTS["checkpoint"] = f"{name}-{os.getpid()}{ending}"

    module.Trainer.__init__ = __init__


def _processes_agree(module: Any) -> None:
    wrapper, init = module.DistributedDataParallel, module.Trainer.__init__
    evaluate, save = module.Trainer.evaluate, module.Trainer._save_checkpoint

    def distributed(model: Any, device_ids: Sequence[int]) -> Any:
        return wrapper(model, device_ids=device_ids if next(model.parameters()).is_cuda else None)

    def __init__(self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        if not config["single_spec"]:
            name = [self.saved_model_file]
            dist.broadcast_object_list(name, src=0)
            self.saved_model_file = name[0]

    def evaluate_together(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.config["single_spec"]:
            dist.barrier()
        return evaluate(self, *args, **kwargs)

    def _save_checkpoint(self: Any, *args: Any, **kwargs: Any) -> None:
        config = self.config
        if config["single_spec"] or config["local_rank"] != 0:
            save(self, *args, **kwargs)
            return
        # Whoever loads the checkpoint is one process again.
        alone = {key: value for key, value in config.final_config_dict.items() if key not in _OF_PROCESSES}
        self.config = copy.copy(config)
        self.config.final_config_dict = {**alone, "single_spec": True, "local_rank": 0}
        try:
            save(self, *args, **kwargs)
        finally:
            self.config = config

    module.DistributedDataParallel = distributed
    module.Trainer.__init__ = __init__
    module.Trainer._save_checkpoint = _save_checkpoint
    module.Trainer.evaluate = evaluate_together


def _collect_any(module: types.ModuleType) -> None:
    def get_data_struct(self: Any) -> Any:
        struct = module.DataStruct()
        for key, value in list(self.data_struct._data_dict.items()):
            struct.set(key, value.cpu() if isinstance(value, torch.Tensor) else value)
            if key.startswith("rec.") or key == "data.label":
                del self.data_struct[key]
        return struct

    module.Collector.get_data_struct = get_data_struct


def _children_import_us(module: Any) -> None:
    from recbole_attnseq.launch import run_child

    module.run_recboles = run_child


def _known_valid_metric(module: Any) -> None:
    from recbole.evaluator.register import metrics_dict

    original = module.Config._set_default_parameters

    def _set_default_parameters(self: Any) -> None:
        original(self)
        final = self.final_config_dict
        computed: list[str] = []
        for name in (str(name).lower() for name in final["metrics"]):
            # Metrics of a ranked list have its length in their names, those of a whole ranking (AUC) have none.
            of_lists = hasattr(metrics_dict[name](self), "topk")
            computed += [f"{name}@{k}" for k in final["topk"]] if of_lists else [name]
        wanted = str(final["valid_metric"]).lower()
        if final["eval_step"] > 0 and wanted not in computed:
            (close,) = difflib.get_close_matches(wanted, computed, n=1) or computed[:1]
            raise UserError(
                f"valid_metric is {final['valid_metric']}, but metrics {final['metrics']} at topk {final['topk']} do "
                f"not give it: add it to them, or choose one of theirs, such as {close}."
            )

    module.Config._set_default_parameters = _set_default_parameters


def _tune_on_validation(module: Any) -> None:
    def objective_function(
        config_dict: dict[str, Any] | None = None,
        config_file_list: list[str] | None = None,
        saved: bool = True,
    ) -> dict[str, Any]:
        config = module.Config(config_dict=config_dict, config_file_list=config_file_list)
        module.init_seed(config["seed"], config["reproducibility"])
        dataset = module.create_dataset(config)
        train, valid, _ = module.data_preparation(config, dataset)
        module.init_seed(config["seed"], config["reproducibility"])
        model = module.get_model(config["model"])(config, train._dataset).to(config["device"])
        trainer = module.get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        score, result = trainer.fit(train, valid, verbose=False, saved=saved)
        return {
            "model": config["model"],
            "best_valid_score": score,
            "valid_score_bigger": config["valid_metric_bigger"],
            "best_valid_result": result,
            "test_result": {},
        }

    _in_place(module, "objective_function", lambda original: objective_function)


_CONFIG = "recbole.config.configurator"
_QUICK_START = "recbole.quick_start.quick_start"

REMEDIES: tuple[Remedy, ...] = (
    Remedy(
        "ray",
        "quick_start imports ray.tune at the top; 1.2.1 pins a ray that fails to import, 1.2.0 installs none",
        "RecBole imports ray where it uses it",
        trigger=("from ray import",),
        rewrite=_no_ray,
    ),
    Remedy(
        "index range",
        "every loader makes a Python list of all its row numbers: 36 bytes a row for what a range says in none",
        "RecBole hands the range itself to the loader",
        trigger=("list(range(self.sample_size))",),
        rewrite=_index_range,
    ),
    Remedy(
        "kmeans",
        "1.2.0 imports kmeans_pytorch, which it does not install, with every general model; LDiffRec alone needs it",
        "1.2.0 is no longer supported: 1.2.1 imports it where it is used",
        trigger=("from kmeans_pytorch import",),
        rewrite=_kmeans_if_there,
    ),
    Remedy(
        "numpy aliases",
        "np.float, np.bool, np.long, np.str: gone from numpy 1.24 on, or with another meaning in numpy 2",
        "RecBole spells numpy 2's names",
        trigger=tuple(f"np.{name}" for name in _NUMPY_NAMES),
        rewrite=_numpy_alias,
        patches=((_CONFIG, _keep_numpy_clean),),
    ),
    Remedy(
        "torch.load",
        "RecBole's checkpoints pickle its Config, which torch 2.6 and later refuse unless weights_only is "
        "False; as ever with pickles: load only checkpoints that you trust",
        "RecBole stores plain dictionaries",
        trigger=("torch.load(",),
        rewrite=_torch_load,
    ),
    Remedy(
        "GPU's checkpoint",
        "what was trained on a GPU cannot be opened without one: neither its tensors nor the device in its Config "
        "exist there",
        "RecBole's load_data_and_model names a map_location and looks for a device anew",
        trigger=("torch.load(",),
        rewrite=_load_where_we_are,
        patches=((_CONFIG, _device_that_is_here),),
    ),
    Remedy(
        "fillna",
        "df[col].fillna(inplace=True) does nothing under pandas 3's copy-on-write: gaps stay gaps",
        "RecBole assigns the result",
        trigger=(".fillna(",),
        rewrite=_fillna,
    ),
    Remedy(
        "agg(len)",
        "Series.agg(len) is the length of the column under pandas 3, no longer the length of each value",
        "RecBole maps",
        trigger=(".agg(len)",),
        rewrite=_agg_len,
    ),
    Remedy(
        "grad scaler",
        "torch.cuda.amp.GradScaler warns of its removal in every epoch, since torch 2.4",
        "RecBole uses torch.amp",
        trigger=("amp.GradScaler(",),
        rewrite=_torch_amp,
    ),
    Remedy(
        "read-only columns",
        "torch warns of columns that pandas 3 marks read-only; they are only ever copied from",
        "RecBole copies them",
        patches=(("recbole.data.dataset.dataset", _read_only_columns),),
    ),
    Remedy(
        "anomaly mode",
        "sine.py, imported with every sequential model, turns on autograd's anomaly detection for the whole process: "
        "a Python stack trace is formatted for each operation, several times the cost of a small model",
        "RecBole leaves the mode to its users",
        trigger=("set_detect_anomaly",),
        rewrite=_no_anomaly_mode,
        patches=(("recbole.model.sequential_recommender.sine", _leave_anomaly_mode),),
    ),
    Remedy(
        "stable sort",
        "duplicates are dropped after an unstable sort by time: which of two ties is kept is chance",
        "RecBole sorts stably",
        trigger=(".sort_values(",),
        rewrite=_stable_sort,
    ),
    Remedy(
        "dok_matrix",
        "dok_matrix._update is gone from scipy 1.13 on (LightGCN, NGCF, NCL, GCMC, SpectralCF, KGIN, MCCLK)",
        "RecBole builds COO matrices",
        trigger=("._update(",),
        rewrite=_dok_update,
    ),
    Remedy(
        "exact time order",
        "times become float32 before the sort: Unix times within 64 s swap or tie (issues 1653, 2204)",
        "RecBole sorts before the cast",
        patches=(("recbole.data.dataset.dataset", _exact_time_order),),
    ),
    Remedy(
        "times are numbers",
        "times that are declared as tokens are sorted by their first appearance in the file; a row without a time gets "
        "the mean of all, and is what its user is tested on where that is the latest",
        "RecBole checks the type of TIME_FIELD, and drops what it cannot order",
        patches=(("recbole.data.dataset.dataset", _times_are_numbers),),
    ),
    Remedy(
        "rows without ids",
        "labels of rows to drop are taken for places: where a row lacks its user and a later one its item, another row "
        "is dropped, and the item that is none is kept",
        "RecBole drops by label",
        trigger=("def _filter_nan_user_or_item",),
        rewrite=_labels_are_no_places,
    ),
    Remedy(
        "arrow loading",
        "atomic files are read by pandas' Python parser, as strings, short lines filled up in silence",
        "RecBole reads them with a parser that complains",
        patches=(("recbole.data.dataset.dataset", _arrow_loading),),
    ),
    Remedy(
        "exact time split",
        "the boundary in time of TS splits is found and applied in float32: rows within a minute or two of "
        "it fall on the wrong side",
        "RecBole splits before the cast",
        patches=(("recbole.data.dataset.dataset", _exact_time_split),),
    ),
    Remedy(
        "download",
        "after a download a single process asks for a barrier of a process group that it does not have; one that fails "
        "leaves an empty folder, which the next run takes for the data set; none is resumed, and large files wait for "
        "an answer from the keyboard",
        "RecBole asks whether there is a group, and unpacks elsewhere",
        patches=(("recbole.data.dataset.dataset", _whole_downloads),),
    ),
    Remedy(
        "something to predict",
        "a split without validation and test targets fails later, in a loader, with an unrelated message",
        "RecBole checks its splits",
        patches=(("recbole.data.dataset.dataset", _something_to_predict),),
    ),
    Remedy(
        "fresh caches",
        "saved data sets and loaders are taken up even if the atomic files have changed or the rows lie in "
        "another order; load_split_dataloaders may lack its import of torch",
        "RecBole fingerprints its caches",
        patches=(("recbole.data.dataset.dataset", _stamped_source), ("recbole.data.utils", _fresh_caches)),
    ),
    Remedy(
        "log when training",
        "the log file is made before the data are read, so that a run that is refused leaves one behind; a file in "
        "the place of a folder that RecBole writes in ends in a traceback, half-way",
        "RecBole reads before it writes",
        patches=(("recbole.utils.logger", _log_when_training), ("recbole.trainer.trainer", _release_log)),
    ),
    Remedy(
        "streams wrapped once",
        "every run puts colorama's wrapper around standard output once more: after some hundred runs in one process a "
        "printed line is a RecursionError",
        "RecBole calls colorama's init once",
        patches=(("recbole.utils.logger", _wrap_streams_once),),
    ),
    Remedy(
        "own checkpoints",
        "resume_checkpoint only warns of a checkpoint of another model, then fails within torch",
        "RecBole refuses such a checkpoint",
        patches=(("recbole.trainer.trainer", _own_checkpoints),),
    ),
    Remedy(
        "named models",
        "an unknown model's name ends in 'No module named lightgbm'",
        "RecBole looks the name up before it imports",
        patches=(("recbole.utils.utils", _named_models),),
    ),
    Remedy(
        "literals only",
        "configuration strings go through eval, which runs whatever they say",
        "RecBole parses literals",
        patches=((_CONFIG, _literals_only),),
    ),
    Remedy(
        "valid metric",
        "a valid_metric that metrics and topk do not compute fails after the first epoch, with a bare KeyError",
        "RecBole checks it with the configuration",
        patches=((_CONFIG, _known_valid_metric),),
    ),
    Remedy(
        "lazy prefixes",
        "every prefix of every sequence is copied, padded, for every field, in Python loops (issues 1298, 1537, 1865)",
        "RecBole gathers prefixes batch by batch",
        patches=(("recbole.data.dataset.sequential_dataset", _lazy_prefixes),),
    ),
    Remedy(
        "benchmark lengths",
        "a benchmark file's histories are not cut at MAX_ITEM_LIST_LENGTH: models with positions read past their "
        "table, others see more than they were asked to",
        "RecBole keeps the last MAX_ITEM_LIST_LENGTH of each row, as it does of histories that it builds",
        patches=(("recbole.data.dataset.sequential_dataset", _benchmark_histories_as_long_as_asked),),
    ),
    Remedy(
        "split hash",
        "nothing tells whether two runs had the same split",
        "RecBole prints one",
        patches=(("recbole.data.utils", _announce_split),),
    ),
    Remedy(
        "processes on CPU",
        "nproc insists on NCCL and a GPU a process",
        "RecBole picks the backend by device",
        patches=((_CONFIG, _cpu_processes),),
    ),
    Remedy(
        "group let go of",
        "the trainer outlives destroy_process_group, so its DistributedDataParallel is the last to hold the group and "
        "ends it with the GIL held: that waits for a thread of gloo's, which may wait for the GIL, and the process "
        "hangs (seen with PyTorch 2.13); run_child lets go of it as Python does, without the GIL",
        "RecBole frees the trainer before the group, or PyTorch's Reducer releases the GIL",
        patches=((_CONFIG, _group_outlives_its_users),),
    ),
    Remedy(
        "one checkpoint a run",
        "a checkpoint is named by model and second: of two runs begun together in one folder, one tests the weights of "
        "the other",
        "RecBole gives each run a name of its own",
        patches=(("recbole.trainer.trainer", _one_checkpoint_a_run),),
    ),
    Remedy(
        "processes agree",
        "each process names the checkpoint by its own clock, and may read it before it is written; it cannot be "
        "loaded without as many processes; two that make one folder at once collide",
        "RecBole shares the name and waits",
        trigger=("os.makedirs(",),
        rewrite=_folder_may_exist,
        patches=(("recbole.trainer.trainer", _processes_agree),),
    ),
    Remedy(
        "collector",
        "ItemCoverage, AveragePopularity, GiniIndex and ShannonEntropy crash: their counts have no .cpu()",
        "RecBole moves tensors only",
        patches=(("recbole.evaluator.collector", _collect_any),),
    ),
    Remedy(
        "spawned children",
        "a spawned process has not imported this package: it knows neither AttnSeq nor these remedies",
        "RecBole has entry points for plugins",
        patches=((_QUICK_START, _children_import_us),),
    ),
    Remedy(
        "tuning on validation",
        "objective_function scores every trial on the test data and reports it",
        "RecBole's tuning leaves the test data alone",
        patches=((_QUICK_START, _tune_on_validation),),
    ),
)

# --------------------------------------------------------------------------------------------- machinery


class _Rewriter(ast.NodeTransformer):
    def __init__(self, rewrites: Sequence[Callable[[ast.AST], ast.AST | None]]) -> None:
        self.rewrites = rewrites

    def visit(self, node: ast.AST) -> Any:
        node = self.generic_visit(node)
        for rewrite in self.rewrites:
            node = ast.copy_location(rewrite(node) or node, node)
        return node


def _rewritten(name: str, source: str, path: str) -> types.CodeType | None:
    """The code of a RecBole module with every rewrite that its source calls for, or None where none does."""
    rewrites = [r.rewrite for r in REMEDIES if r.rewrite and any(text in source for text in r.trigger)]
    if not rewrites:
        return None
    tree = ast.fix_missing_locations(_Rewriter(rewrites).visit(ast.parse(source)))
    return compile(tree, path, "exec", dont_inherit=True)


def _patch(module: types.ModuleType) -> None:
    for remedy in REMEDIES:
        for name, patch in remedy.patches:
            if name == module.__name__:
                patch(module)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one RecBole module, rewritten and patched."""

    def get_code(self, fullname: str) -> types.CodeType | None:
        source = self.get_source(fullname) or ""
        return _rewritten(fullname, source, self.path) or super().get_code(fullname)

    def exec_module(self, module: types.ModuleType) -> None:
        super().exec_module(module)
        _patch(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith("recbole."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def _functions(namespace: dict[str, Any], owner: str) -> Iterator[tuple[str, types.FunctionType]]:
    """Every function and method that module ``owner`` defines, by qualified name."""
    for value in list(namespace.values()):
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        if getattr(value, "__module__", None) != owner:
            continue
        if isinstance(value, type):
            yield from _functions(dict(vars(value)), owner)
        elif isinstance(value := getattr(value, "__wrapped__", value), types.FunctionType):
            yield value.__qualname__, value


def _mend_imported(module: types.ModuleType) -> None:
    """Rewrite a module that was imported before us, in place: its functions get the rewritten code."""
    path = getattr(module, "__file__", None)
    if not path or not path.endswith(".py"):
        return
    with open(path, encoding="utf-8") as file:
        code = _rewritten(module.__name__, file.read(), path)
    if code is not None:
        scratch: dict[str, Any] = {
            "__name__": module.__name__,
            "__package__": module.__package__,
            "__file__": path,
        }
        exec(code, scratch)
        fresh = dict(_functions(scratch, module.__name__))
        for name, function in _functions(vars(module), module.__name__):
            if name in fresh and function.__code__.co_freevars == fresh[name].__code__.co_freevars:
                function.__code__ = fresh[name].__code__
    _patch(module)


def activate() -> None:
    """Put every remedy in place; calling it again changes nothing."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    early = [module for name, module in list(sys.modules.items()) if name.startswith("recbole.")]
    sys.meta_path.insert(0, _Finder())
    for module in early:
        _mend_imported(module)


@contextlib.contextmanager
def clean_argv(arguments: Sequence[str] = ()) -> Iterator[None]:
    """Let RecBole's ``Config``, which reads ``sys.argv`` by itself, see ``arguments`` and nothing else.

    Args:
        arguments: RecBole's own ``--key=value`` flags, if any.
    """
    before = sys.argv
    sys.argv = [before[0] if before else "attnseq", *arguments]
    try:
        yield
    finally:
        sys.argv = before


def default_port() -> str:
    """A free TCP port on this host, for processes that must find each other."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", int(os.environ.get("MASTER_PORT", 0))))
        return str(probe.getsockname()[1])


__all__ = [
    "GROUPS",
    "REMEDIES",
    "RUN_FACTS",
    "Remedy",
    "activate",
    "clean_argv",
    "default_port",
    "discard_log",
    "known_models",
]
