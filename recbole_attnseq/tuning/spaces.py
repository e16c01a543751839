"""Search spaces: which parameters are searched, over what range, and under which condition.

A space is a YAML file (configs/space/NAME.yaml) or one of RecBole's own ``hyper.test`` files. In YAML::

    parameters:
      hidden_size: {type: int, low: 32, high: 128, step: 32}
      learning_rate: {type: float, low: 0.0001, high: 0.01, log: true}
      user_encoder: {type: choice, values: [transformer, gru]}
      n_heads: {type: choice, values: [1, 2, 4], when: {user_encoder: transformer}, divides: hidden_size}
    settings:               # what the model needs and nobody searches; flags and files lie above it
      train_neg_sample_args: null
    published:              # settings to try first, after the defaults
      - {name: where they come from, settings: {hidden_size: 64}}
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recbole_attnseq.errors import UserError, unknown_name

Scalar = str | int | float | bool | None

_KEYS = {
    "int": {"type", "low", "high", "step", "log", "when", "divides"},
    "float": {"type", "low", "high", "step", "log", "when"},
    "choice": {"type", "values", "when", "divides"},
}


@dataclass(frozen=True)
class Parameter:
    """One searched parameter.

    Attributes:
        name: the key in RecBole's configuration.
        kind: int, float or choice.
        low: smallest value, for numbers.
        high: largest value, for numbers.
        step: distance of the values that are tried, or None.
        log: whether the logarithm is searched evenly.
        values: the values of a choice.
        when: key to the values under which this parameter matters; all must hold.
        divides: key of a parameter that every value must divide.
    """

    name: str
    kind: str
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    values: tuple[Any, ...] = ()
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    divides: str | None = None

    def active(self, settings: Mapping[str, Any]) -> bool:
        """Whether the parameter matters under ``settings``."""
        return all(settings.get(key) in allowed for key, allowed in self.when.items())

    def admissible(self, settings: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values of a choice that are possible under ``settings``.

        Raises:
            UserError: no value is.
        """
        if self.divides is None:
            return self.values
        whole = settings[self.divides]
        good = tuple(value for value in self.values if whole % value == 0)
        if not good:
            raise UserError(f"{self.name}: none of {list(self.values)} divides {self.divides} {whole}.")
        return good

    def contains(self, value: Any, settings: Mapping[str, Any]) -> bool:
        """Whether ``value`` is one that the search could try under ``settings``."""
        if self.kind == "choice":
            return any(value == known and type(value) is type(known) for known in self.admissible(settings))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            return False
        if self.kind == "int" and int(value) != value:
            return False
        steps = (value - self.low) / self.step if self.step else 0
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def label(self, settings: Mapping[str, Any]) -> str:
        """The parameter's name in Optuna, which fixes the values of a choice for the whole study.

        Where a width rules out some heads, the rest is another choice and gets a name of its own.
        """
        if self.kind == "choice" and (good := self.admissible(settings)) != self.values:
            return f"{self.name} of {json.dumps(list(good))}"
        return self.name

    def suggest(self, trial: Any, settings: Mapping[str, Any]) -> Any:
        """The trial's value, drawn by the study's sampler."""
        label = self.label(settings)
        if self.kind == "int":
            return trial.suggest_int(label, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        if self.kind == "float":
            return trial.suggest_float(label, self.low, self.high, step=self.step, log=self.log)
        values = {choice_label(value): value for value in self.admissible(settings)}
        # A copy: RecBole's Config writes into the mappings that it is given.
        return copy.deepcopy(values[trial.suggest_categorical(label, list(values))])


def choice_label(value: Any) -> Scalar:
    """How a value is stored in Optuna, whose choices are scalars: lists and mappings as JSON."""
    return value if isinstance(value, (str, int, float, bool)) or value is None else json.dumps(value)


@dataclass(frozen=True)
class Space:
    """Parameters in the order in which they are drawn, and what surrounds them.

    Attributes:
        parameters: the searched ones.
        settings: what the model needs beside them.
        published: (name, settings) of known good starting points.
        source: the file, for messages.
    """

    parameters: tuple[Parameter, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    published: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    source: str = "space"

    def names(self) -> list[str]:
        """The searched keys."""
        return [parameter.name for parameter in self.parameters]

    def without(self, fixed: Iterable[str]) -> Space:
        """The space that is left when the user has fixed some keys by hand."""
        keys = set(fixed)
        left = tuple(parameter for parameter in self.parameters if parameter.name not in keys)
        return Space(left, self.settings, self.published, self.source)

    def check_keys(self, known: Iterable[str]) -> None:
        """Raise :class:`UserError` where a key is none of the model's or RecBole's."""
        names = set(known)
        used = [*self.names(), *self.settings]
        used += [key for parameter in self.parameters for key in (*parameter.when, parameter.divides) if key]
        used += [key for _, settings in self.published for key in settings]
        for key in used:
            if key not in names:
                raise _unknown_key(self.source, key, names)

    def sample(self, trial: Any, base: Mapping[str, Any], preset: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Draw one setting of every parameter that matters.

        Args:
            trial: Optuna's trial, or anything with its ``suggest_*`` methods.
            base: the configuration without the search, for conditions on keys that are not searched.
            preset: values that an enqueued trial must have; one outside its range is used all the same, and
                then kept from the sampler, which could not place it.

        Returns:
            Key to value, active parameters and preset only.

        Raises:
            UserError: a condition leaves a parameter without a value.
        """
        given = dict(preset or {})
        settings = {**base, **given}
        drawn: dict[str, Any] = dict(given)
        for parameter in self.parameters:
            if not parameter.active(settings):
                continue
            if parameter.name in given and not parameter.contains(given[parameter.name], settings):
                continue
            value = parameter.suggest(trial, settings)
            drawn[parameter.name] = settings[parameter.name] = value
        return drawn

    def holds(self, preset: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
        """Whether every active parameter has a value in its range."""
        settings = {**base, **preset}
        return all(p.contains(settings[p.name], settings) for p in self.parameters if p.active(settings))

    def enqueued(self, preset: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
        """A preset in Optuna's terms: what to hand to ``enqueue_trial``, by label."""
        settings = {**base, **preset}
        return {
            parameter.label(settings): choice_label(settings[parameter.name])
            for parameter in self.parameters
            if parameter.active(settings)
            and parameter.name in preset
            and parameter.contains(settings[parameter.name], settings)
        }


def _unknown_key(source: str, key: str, names: set[str]) -> UserError:
    error = unknown_name("parameter", key, names)
    text = str(error).split(" Known: ")[0]
    return UserError(f"{source}: {text} It is no setting of this model's or of RecBole's.")


def parse_space(content: Any, source: str) -> Space:
    """A space from the mapping in a YAML file.

    Raises:
        UserError: names the file and the key that is unknown, missing or empty.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("parameters"), Mapping):
        raise UserError(f"{source}: a space needs 'parameters:' with one line a parameter.")
    extra = set(content) - {"parameters", "settings", "published"}
    if extra:
        raise unknown_name(f"section in {source},", sorted(map(str, extra))[0], ("parameters", "settings", "published"))
    parameters = tuple(_parameter(str(name), spec, source) for name, spec in content["parameters"].items())
    if not parameters:
        raise UserError(f"{source}: 'parameters' names none; there is nothing to search.")
    _check_order(parameters, source)
    published, settings = [], content.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise UserError(f"{source}: 'settings' is {settings!r}; write 'key: value' lines below it.")
    entries = content.get("published") or []
    for entry in entries if isinstance(entries, list) else [entries]:
        whole = isinstance(entry, Mapping) and set(entry) == {"name", "settings"}
        if not whole or not isinstance(entry["settings"], Mapping) or not entry["settings"]:
            raise UserError(f"{source}: each entry of 'published' needs a name and settings; found {entry!r}.")
        published.append((str(entry["name"]), dict(entry["settings"])))
    return Space(parameters, dict(settings), tuple(published), source)


def _check_order(parameters: Iterable[Parameter], source: str) -> None:
    """Refuse a condition on a parameter that is drawn later: it would look at a value that is not the trial's."""
    drawn: set[str] = set()
    names = [parameter.name for parameter in parameters]
    for parameter in parameters:
        for key in (*parameter.when, *([parameter.divides] if parameter.divides else [])):
            if key in names and key not in drawn:
                raise UserError(f"{source}: {parameter.name} looks at {key}, which is listed after it; move it behind.")
        drawn.add(parameter.name)


def _parameter(name: str, spec: Any, source: str) -> Parameter:
    where = f"{source}: {name}"
    if not isinstance(spec, Mapping) or "type" not in spec:
        raise UserError(f"{where} needs a type: int, float or choice.")
    kind = spec["type"]
    if kind not in _KEYS:
        raise unknown_name(f"type of {where}:", kind, _KEYS)
    for key in spec:
        if key not in _KEYS[kind]:
            raise unknown_name(f"key of {where} ({kind}):", key, _KEYS[kind])
    conditions = spec.get("when") or {}
    if not isinstance(conditions, Mapping):
        raise UserError(f"{where}: when is {conditions!r}; write it as {{key: value}} or {{key: [values]}}.")
    when = {str(key): tuple(value) if isinstance(value, list) else (value,) for key, value in conditions.items()}
    if kind == "choice":
        listed = spec.get("values") or []
        if not isinstance(listed, list):
            raise UserError(f"{where}: values is {listed!r}; write a list, e.g. [{listed}].")
        values, divides = tuple(listed), spec.get("divides")
        if not values:
            raise UserError(f"{where} has no values to choose from.")
        if divides is not None and not isinstance(divides, str):
            raise UserError(f"{where}: divides is {divides!r}; name one parameter.")
        if divides and not all(type(value) is int and value > 0 for value in values):
            raise UserError(f"{where}: only whole numbers above 0 divide {divides}; found {listed}.")
        return Parameter(name, kind, values=values, when=when, divides=divides)
    return numeric(where, name, kind, spec, when)


def numeric(
    where: str, name: str, kind: str, spec: Mapping[str, Any], when: Mapping[str, tuple[Any, ...]]
) -> Parameter:
    """An int or float parameter, checked.

    Raises:
        UserError: a bound is missing or no number, or the range is empty.
    """
    bounds = {}
    for key in ("low", "high", "step"):
        value = spec.get(key)
        if value is None and key == "step":
            continue
        try:
            bounds[key] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise UserError(f"{where}: {key} is {value!r}; give a number.") from None
        if not math.isfinite(bounds[key]) or (kind == "int" and bounds[key] != int(bounds[key])):
            raise UserError(f"{where}: {key} is {value!r}; give a finite {kind}.")
    log, step = bool(spec.get("log", False)), bounds.get("step")
    if bounds["low"] > bounds["high"]:
        raise UserError(f"{where}: the range {spec['low']} to {spec['high']} is empty; swap low and high.")
    if step is not None and step <= 0:
        raise UserError(f"{where}: step is {spec['step']}; it must be above 0.")
    if log and step not in (None, 1.0 if kind == "int" else None):
        raise UserError(f"{where}: a log range has no step; drop one of the two.")
    if log and bounds["low"] <= 0:
        raise UserError(f"{where}: low is {spec['low']}; a log range begins above 0.")
    if spec.get("divides"):
        raise UserError(f"{where}: only a choice can divide another parameter; list its values.")
    return Parameter(name, kind, bounds["low"], bounds["high"], step, log, when=when)
