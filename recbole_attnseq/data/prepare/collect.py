"""From raw batches to coded interactions on disk: the pass in which rows are judged."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.source import Batch, Field, Interactions, Source
from recbole_attnseq.data.prepare.spool import Array, Columns, Spool
from recbole_attnseq.data.prepare.times import check_unit, numbers, seconds
from recbole_attnseq.data.prepare.vocabulary import MISSING, Vocabulary
from recbole_attnseq.errors import UserError

_DAY = 86400.0
_YEAR_1980 = 315532800.0
ORDER = "ordinal"
_UNREAD = "whose time cannot be read"


@dataclass(frozen=True)
class Options:
    """What a person may choose; the record of a data set holds them all.

    Args:
        min_rating: rows rated below it, or not rated, are dropped.
        behaviours: only these behaviours are kept; empty follows the source, ``("all",)`` keeps all.
        drop_duplicates: drop rows that repeat (user, item, time, behaviour); ``None`` follows the source.
        drop_repeats: of consecutive interactions with one item keep the first.
        session_gap: seconds of silence after which a new session begins; adds ``session_id``.
        user_min, item_min: k-core bounds, 0 for none.
        latest: Unix time after which a row lies in the future; ``None`` for a day from now.
    """

    min_rating: float | None = None
    behaviours: tuple[str, ...] = ()
    drop_duplicates: bool | None = None
    drop_repeats: bool = False
    session_gap: float | None = None
    user_min: int = 0
    item_min: int = 0
    latest: float | None = None

    def check(self) -> None:
        """Raises :class:`UserError` on a bound that makes no sense."""
        for name, value in (("--k-core or --min-user", self.user_min), ("--k-core or --min-item", self.item_min)):
            if value < 0:
                raise UserError(f"{name} must not be negative, it is {value}.")
        if self.session_gap is not None and not self.session_gap > 0:
            raise UserError(f"--session-gap must be a positive number of seconds, it is {self.session_gap}.")


@dataclass
class Collected:
    """Coded interactions in source order."""

    columns: Columns
    users: Vocabulary
    items: Vocabulary
    specs: dict[str, str]
    vocabularies: dict[str, Vocabulary]
    ordinal: bool
    whole: dict[str, bool] = field(default_factory=dict)


class Collector:
    """Takes batches, judges their rows and spools what is good.

    Args:
        source: for the dates within which the log lies.
        options: thresholds.
        report: public; where drops are counted.
        folder: for the spool.
    """

    def __init__(self, source: Source, options: Options, report: Report, folder: Path) -> None:
        self._options = options
        self.report = report
        self._source = source
        self._specs: dict[str, str] = {}
        for one in source.interactions:
            check_unit(one.unit)
            for spec in one.fields:
                self._specs.setdefault(spec.name, spec.type)
        if options.min_rating is not None and "rating" not in self._specs:
            raise UserError(f"--min-rating: '{source.name}' has no rating; name its column with --rating.")
        if options.behaviours and "behaviour" not in self._specs:
            raise UserError(f"--keep-behaviour: '{source.name}' has no behaviour; name its column with --behaviour.")
        if options.session_gap is not None and "session_id" in self._specs:
            raise UserError(f"--session-gap: '{source.name}' has sessions of its own; leave the option out.")
        chosen = options.behaviours or source.behaviours
        self._behaviours = () if "all" in chosen else chosen
        self._floats = [name for name, kind in self._specs.items() if kind == "float"]
        self._tokens = [name for name, kind in self._specs.items() if kind != "float"]
        self._vocabularies = {name: Vocabulary(ids=False) for name in self._tokens}
        self.users = Vocabulary(float_ids=any(one.float_ids for one in source.interactions))
        self.items = Vocabulary(float_ids=any(one.float_ids for one in source.interactions))
        dtypes: dict[str, npt.DTypeLike] = {"user": np.int32, "item": np.int32, "time": np.float64}
        dtypes.update(dict.fromkeys(self._tokens, np.int32))
        dtypes.update(dict.fromkeys(self._floats, np.float64))
        self._spool = Spool(folder, dtypes)
        self._whole = dict.fromkeys(["time", *self._floats], True)
        self._ordinal = all(one.time is None or one.unit == ORDER for one in source.interactions)
        self._latest = options.latest if options.latest is not None else clock.time() + _DAY
        self._bounds = tuple(
            pd.Timestamp(day, tz="UTC").timestamp() if day else None for day in (source.earliest, source.latest)
        )
        self._past = self._future = self._timed = 0
        self._newest = -np.inf
        self._unread = ""
        self._counter = 0

    def take(self, batch: Batch, form: Interactions, label: str, row: int) -> None:
        """Judges a batch.

        Args:
            batch: raw columns.
            form: which column is what.
            label: the file, for messages.
            row: number of rows of the file before this batch.
        """
        rows = len(next(iter(batch.values())))
        if not rows:
            return
        good = np.ones(rows, bool)

        def drop(reason: str, bad: npt.NDArray[np.bool_]) -> None:
            hit = good & bad
            count = int(hit.sum())
            if count:
                self.report.drop(reason, count, f"{label}, row {row + int(hit.argmax()) + 1}")
                good[hit] = False

        user = self.users.encode(batch[form.user])
        item = self.items.encode(batch[form.item])
        drop("without a user", user == MISSING)
        drop("without an item", item == MISSING)
        drop("whose user an atomic file cannot hold (tab, line break, leading quote)", user < MISSING)
        drop("whose item an atomic file cannot hold (tab, line break, leading quote)", item < MISSING)
        if form.time is None:
            when = np.arange(self._counter, self._counter + rows, dtype=np.float64)
            self._counter += rows
        else:
            when, missing = seconds(batch[form.time], form.unit)
            drop("without a time", missing)
            if not self._unread and np.isnan(when).any():
                bad = np.isnan(when) & ~missing
                self._unread = str(batch[form.time][int(bad.argmax())]) if bad.any() else ""
            drop(_UNREAD, np.isnan(when))
            if form.unit != ORDER:
                self._judge_time(when, good, drop, form, label)
        columns: Columns = {"user": user, "item": item, "time": when}
        for name, kind in self._specs.items():
            columns[name] = self._field(name, kind, form, batch, rows)
        if self._options.min_rating is not None:
            drop("without a rating", np.isnan(columns["rating"]))
            drop(f"rated below {self._options.min_rating:g}", ~(columns["rating"] >= self._options.min_rating))
        if self._behaviours:
            vocabulary = self._vocabularies["behaviour"]
            codes = [code for name in self._behaviours if (code := vocabulary.find(name)) >= 0]
            named = ", ".join(self._behaviours)
            drop(f"of another behaviour than {named}", ~np.isin(columns["behaviour"], codes))
        kept = {name: column[good] for name, column in columns.items()}
        for name in self._whole:
            values = kept[name][~np.isnan(kept[name])]
            # 2**53: beyond it a float64 is an integer of no meaning.
            self._whole[name] &= bool((values == np.floor(values)).all() and (np.abs(values) < 2**53).all())
        self._spool.append(kept)

    def _judge_time(
        self,
        when: npt.NDArray[np.float64],
        good: npt.NDArray[np.bool_],
        drop: Callable[[str, npt.NDArray[np.bool_]], None],
        form: Interactions,
        label: str,
    ) -> None:
        known = when[good]
        self._timed += len(known)
        self._future += int((known > self._latest).sum())
        if len(known):
            self._newest = max(self._newest, float(known.max()))
        drop("whose time lies before 1970", when < 0)
        drop("whose time lies in the future", when > self._latest)
        early, late = self._bounds
        if early is not None:
            drop(f"whose time lies before the log began ({self._source.earliest})", when < early)
        if late is not None:
            drop(f"whose time lies after the log ended ({self._source.latest})", when >= late)
        if self._future > 1000 and self._future > self._timed / 2:
            raise self._wrong_unit(form, label)

    def _wrong_unit(self, form: Interactions, label: str) -> UserError:
        for unit, scale in (("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
            if form.unit == "s" and self._newest / scale < self._latest:
                return UserError(
                    f"{label}: times in '{form.time}' lie in the future as seconds; give --time-unit {unit}."
                )
        return UserError(f"{label}: most times in '{form.time}' lie in the future; check --time-unit {form.unit}.")

    def _field(self, name: str, kind: str, form: Interactions, batch: Batch, rows: int) -> Array:
        spec = next((one for one in form.fields if one.name == name), None)
        if kind == "float":
            if spec is None or spec.raw not in batch:
                return np.full(rows, np.nan)
            return numbers(batch[spec.raw])
        vocabulary = self._vocabularies[name]
        if spec is not None and spec.constant is not None:
            return np.full(rows, vocabulary.code(spec.constant), np.int32)
        if spec is None or spec.raw not in batch:
            return np.full(rows, MISSING, np.int32)
        return vocabulary.encode(batch[spec.raw])

    def finish(self) -> Collected:
        """Ends the pass; raises :class:`UserError` where the times contradict their unit."""
        form = self._source.interactions[0]
        if self._timed and self._future > self._timed / 2:
            raise self._wrong_unit(form, self._source.name)
        if not self._spool.rows and self.report.dropped.get(_UNREAD):
            raise UserError(
                f"{self.report.examples[_UNREAD]}: times in '{form.time}' such as {self._unread!r} are not "
                f"{form.unit}; {_advice(str(self._unread))}"
            )
        if self._timed and form.unit in ("ms", "us", "ns") and self._newest < _YEAR_1980:
            raise UserError(
                f"{self._source.name}: times in '{form.time}' lie before 1980 as {form.unit}; give --time-unit s."
            )
        if self._timed and form.unit == "s" and 0 <= self._newest < _YEAR_1980 and self._spool.rows:
            self.report.note("all times lie before 1980: if they are order numbers, give --time-unit ordinal")
        return Collected(
            self._spool.finish(),
            self.users,
            self.items,
            self._specs,
            self._vocabularies,
            self._ordinal,
            self._whole,
        )


def _advice(time: str) -> str:
    """What to say of a time that could not be read: a number tells its unit by its size, another text its format."""
    try:
        size = abs(float(time))
    except ValueError:
        return "give --time-unit iso, or the format of the dates such as '%d.%m.%Y %H:%M'."
    unit = next((name for name, most in (("s", 1e11), ("ms", 1e14), ("us", 1e17)) if size < most), "ns")
    return f"give --time-unit {unit}."


def raw_columns(form: Interactions) -> set[str]:
    """The raw columns that a table of interactions is read for."""
    return wanted(form.table.needs, form.fields) | {form.user, form.item} | ({form.time} if form.time else set())


def wanted(needs: Iterable[str], fields: Iterable[Field]) -> set[str]:
    """The raw columns of fields, and what a ``compute`` needs."""
    return {*needs, *(one.raw for one in fields if one.constant is None)}
