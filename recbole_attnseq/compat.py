"""Everything that lets RecBole 1.2.x run, and run right, on today's Python stack. All of it is here.

RecBole 1.2.0 and 1.2.1 were written for numpy 1, pandas 1 and torch 1. Two mechanisms mend them in memory, on
import, without a fork and without a byte written into RecBole's folder:

* **Rewrites** change an expression while one of RecBole's own modules is compiled: ``np.float`` becomes
  ``np.float64`` *there*, so numpy itself keeps no alias, and ``torch.load`` as seen by other code stays as it is.
* **Patches** replace a function or method of RecBole's once its module has been imported.

Nothing outside ``recbole.*`` changes. Each remedy states its reason, and until when it is needed;
:data:`REMEDIES` lists them. ``import recbole_attnseq`` activates all, in whatever order the two are imported.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.abc
import importlib.machinery
import operator
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


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


def _torch_load(node: ast.AST) -> ast.AST:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _is_name(node.func.value, "torch")
    ):
        given = {keyword.arg for keyword in node.keywords}
        if node.func.attr == "load" and "weights_only" not in given:
            node.keywords.append(ast.keyword("weights_only", ast.Constant(False)))
    return node


def _fillna(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.Expr) and _method(node.value) == "fillna":
        call = node.value
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
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
    if (
        isinstance(node, ast.Call)
        and _method(node) == "agg"
        and len(node.args) == 1
        and _is_name(node.args[0], "len")
    ):
        assert isinstance(node.func, ast.Attribute)
        node.func.attr = "map"
    return node


def _no_ray(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray":
        return ast.parse("tune = None").body[0]
    return node


# ----------------------------------------------------------------------------------------------- patches


def _replace_everywhere(old: Any, new: Any) -> None:
    """Put ``new`` wherever a RecBole module already holds ``old`` under a global name."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "recbole" and isinstance(module, types.ModuleType):
            for key, value in list(vars(module).items()):
                if value is old:
                    setattr(module, key, new)


def _keep_numpy_clean(module: types.ModuleType) -> None:
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
    """The value of a Python literal, or of plain arithmetic on numbers (``64*2``); ``ValueError`` otherwise."""

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


def _literals_only(module: types.ModuleType) -> None:
    module.Config._convert_config_dict = _convert_config_dict


def _exact_time_order(module: types.ModuleType) -> None:
    original = module.Dataset._normalize

    def _normalize(self: Any) -> None:
        # Here the times are still the file's float64, complete, and the rows still in file order. A stable sort
        # by the rounded times, later, then changes nothing, since rounding never swaps two times.
        if self.benchmark_filename_list is None and self.config["eval_args"]["order"] == "TO":
            if self.time_field in self.inter_feat:
                self.inter_feat = self.inter_feat.sort_values(
                    self.time_field, kind="stable", ignore_index=True
                )
        original(self)

    module.Dataset._normalize = _normalize


def _arrow_loading(module: types.ModuleType) -> None:
    from recbole_attnseq.data.loading import load_feat, remap

    module.Dataset._load_feat = load_feat
    module.Dataset._remap = remap


def _lazy_prefixes(module: types.ModuleType) -> None:
    from recbole_attnseq.data.prefixes import augment_lazily

    module.SequentialDataset.data_augmentation = augment_lazily


def _announce_split(module: types.ModuleType) -> None:
    original = module.data_preparation

    def data_preparation(config: Any, dataset: Any) -> Any:
        from recbole_attnseq.data.split_hash import hash_of_loaders

        loaders = original(config, dataset)
        with contextlib.suppress(AttributeError):  # loaders of another make have no interactions to hash
            digest = hash_of_loaders(*loaders)
            config["split_hash"] = digest
            module.getLogger().info(module.set_color("Split hash", "pink") + f": {digest}")
        return loaders

    _replace_everywhere(original, data_preparation)


def _cpu_processes(module: types.ModuleType) -> None:
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


def _processes_agree(module: types.ModuleType) -> None:
    wrapper, init, evaluate = module.DistributedDataParallel, module.Trainer.__init__, module.Trainer.evaluate

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

    module.DistributedDataParallel = distributed
    module.Trainer.__init__ = __init__
    module.Trainer.evaluate = evaluate_together


def _children_import_us(module: types.ModuleType) -> None:
    from recbole_attnseq.launch import run_child

    module.run_recboles = run_child


def _tune_on_validation(module: types.ModuleType) -> None:
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

    _replace_everywhere(module.objective_function, objective_function)
    module.objective_function = objective_function


_CONFIG = "recbole.config.configurator"
_QUICK_START = "recbole.quick_start.quick_start"

REMEDIES: tuple[Remedy, ...] = (
    Remedy(
        "ray",
        "quick_start imports ray.tune at the top; 1.2.1 pins a ray that cannot be imported, 1.2.0 installs none",
        "RecBole imports ray where it uses it",
        trigger=("from ray import",),
        rewrite=_no_ray,
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
        "RecBole's checkpoints pickle its Config, which torch 2.6 and later refuse unless weights_only is False; "
        "as ever with pickles: load only checkpoints that you trust",
        "RecBole stores plain dictionaries",
        trigger=("torch.load(",),
        rewrite=_torch_load,
    ),
    Remedy(
        "fillna",
        "df[col].fillna(inplace=True) does nothing under pandas 3's copy-on-write: missing values stay missing",
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
        "times become float32 before the sort: neighbours within 64 s of a Unix time swap or tie (issues 1653, 2204)",
        "RecBole sorts before the cast",
        patches=(("recbole.data.dataset.dataset", _exact_time_order),),
    ),
    Remedy(
        "arrow loading",
        "atomic files are read by pandas' Python parser, as strings, short lines filled up in silence",
        "RecBole reads them with a parser that complains",
        patches=(("recbole.data.dataset.dataset", _arrow_loading),),
    ),
    Remedy(
        "literals only",
        "configuration strings go through eval, which runs whatever they say",
        "RecBole parses literals",
        patches=((_CONFIG, _literals_only),),
    ),
    Remedy(
        "lazy prefixes",
        "every prefix of every sequence is copied, padded, for every field, in Python loops (issues 1298, 1537, 1865)",
        "RecBole gathers prefixes batch by batch",
        patches=(("recbole.data.dataset.sequential_dataset", _lazy_prefixes),),
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
        "processes agree",
        "each process names the checkpoint by its own clock, and may read it before it is written",
        "RecBole shares the name and waits",
        patches=(("recbole.trainer.trainer", _processes_agree),),
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


__all__ = ["REMEDIES", "Remedy", "activate", "clean_argv", "default_port"]
