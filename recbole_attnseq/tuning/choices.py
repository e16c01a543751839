"""Samplers and pruners by Optuna's names, with this project's defaults."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from typing import Any

import optuna
import yaml
from optuna.exceptions import ExperimentalWarning

from recbole_attnseq.errors import UserError, unknown_name
from recbole_attnseq.tuning.spaces import Space

# What these do is said another way here.
_INSTEAD = {
    "GridSampler": "take bruteforce, which tries every setting of a space of choices and steps.",
    "PartialFixedSampler": "set the fixed keys with --key=value: they are searched no more.",
}


def make_sampler(text: str, seed: int, index: int = 0) -> Any:
    """A sampler from ``NAME`` or ``NAME:key=value,key=value``.

    TPE looks at parameters together, in the groups that conditions form, and counts running trials as poor ones so
    that parallel workers spread (Optuna's ``multivariate``, ``group`` and ``constant_liar``).

    Args:
        text: Optuna's class name, or the same in small letters without ``Sampler``, e.g. ``tpe``.
        seed: of the sampler's random numbers.
        index: number of the worker, added to a seed of the user's, so that workers do not draw the same.

    Raises:
        UserError: unknown name or argument.
    """
    name, given = _parse("sampler", text)
    if isinstance(given.get("seed"), int):
        given["seed"] += index
    kind = _find("sampler", name, optuna.samplers, optuna.samplers.BaseSampler, "Sampler")
    accepted = inspect.signature(kind).parameters
    defaults: dict[str, Any] = {"seed": seed} if "seed" in accepted else {}
    if kind is optuna.samplers.TPESampler:
        defaults.update(multivariate=True, group=True, constant_liar=True)
    if kind.__name__ in _INSTEAD:
        raise UserError(f"sampler {kind.__name__} is not for the command line; {_INSTEAD[kind.__name__]}")
    if kind is optuna.samplers.CmaEsSampler and importlib.util.find_spec("cmaes") is None:
        raise UserError("sampler CmaEsSampler needs the package cmaes: pip install cmaes.")
    return _build("sampler", kind, {**defaults, **given})


def make_pruner(text: str, epochs: int) -> Any:
    """A pruner from ``NAME`` or ``NAME:key=value,key=value``.

    Args:
        text: Optuna's class name, or the same in small letters without ``Pruner``, e.g. ``median``; ``none`` too.
        epochs: most epochs of a trial, hyperband's largest resource.

    Raises:
        UserError: unknown name or argument.
    """
    name, given = _parse("pruner", text)
    kind = _find(
        "pruner", "nop" if name.lower() == "none" else name, optuna.pruners, optuna.pruners.BasePruner, "Pruner"
    )
    defaults: dict[str, Any] = {}
    if kind in (optuna.pruners.MedianPruner, optuna.pruners.PercentilePruner):
        defaults = {"n_startup_trials": 5, "n_warmup_steps": 5}
    elif kind is optuna.pruners.HyperbandPruner:
        defaults = {"min_resource": 1, "max_resource": max(1, epochs)}
    elif kind is optuna.pruners.PatientPruner:
        defaults = {"wrapped_pruner": None, "patience": 10}
    return _build("pruner", kind, {**defaults, **given})


def check_countable(sampler: Any, space: Space) -> None:
    """Refuse a sampler that tries every value where there is no end of values.

    Raises:
        UserError: names the parameter.
    """
    if isinstance(sampler, optuna.samplers.BruteForceSampler):
        for parameter in space.parameters:
            if parameter.kind == "float" and parameter.step is None:
                raise UserError(
                    f"sampler BruteForceSampler tries every value, and {parameter.name} in {space.source} has no end "
                    "of them; give it a step or a list of values, or take another sampler."
                )


def looks_at_seeds(pruner: Any) -> bool:
    """Whether the pruner compares runs of several seeds rather than epochs."""
    return isinstance(pruner, optuna.pruners.WilcoxonPruner)


def _parse(what: str, text: str) -> tuple[str, dict[str, Any]]:
    name, _, rest = text.partition(":")
    given = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UserError(f"{what} '{text}': '{part}' is no argument; write NAME:key=value,key=value.")
        try:
            given[key.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"{what} '{text}': '{value}' is no value.") from error
    return name, given


def _find(what: str, name: str, module: Any, base: type, suffix: str) -> Any:
    kinds = {}
    for key in module.__all__:
        kind = getattr(module, key)
        if inspect.isclass(kind) and issubclass(kind, base) and not inspect.isabstract(kind) and key.endswith(suffix):
            kinds[key] = kind
    short = {key.removesuffix(suffix).lower(): key for key in kinds}
    key = short.get(name.lower().removesuffix(suffix.lower()).replace("-", "").replace("_", ""))
    if key is None:
        raise unknown_name(what, name, [*short])
    return kinds[key]


def _build(what: str, kind: Any, arguments: dict[str, Any]) -> Any:
    accepted = inspect.signature(kind).parameters
    for key in arguments:
        if key not in accepted:
            raise unknown_name(f"argument of {what} {kind.__name__}:", key, accepted)
    for key, value in arguments.items():
        _check_word(f"{what} {kind.__name__}: {key}", value, accepted[key].annotation)
    missing = [
        key
        for key, parameter in accepted.items()
        if parameter.default is inspect.Parameter.empty
        and key not in arguments
        and parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if missing:
        raise UserError(
            f"{what} {kind.__name__} needs {', '.join(missing)}; write {kind.__name__}:{missing[0]}=VALUE, or take "
            "another."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what} {kind.__name__}: {error}") from error


def _check_word(what: str, value: Any, annotation: Any) -> None:
    """Refuse a word, or nothing, where Optuna wants something else: it would compare it with a number."""
    wanted = getattr(annotation, "__name__", None) or str(annotation)
    if (isinstance(value, str) and "str" not in wanted) or (value is None and "None" not in wanted):
        raise UserError(f"{what} is {'nothing' if value is None else repr(value)}; it takes {wanted}.")
