"""MIND (Microsoft News) and, in almost the same form, NeMig.

A line of ``behaviors.tsv`` holds a user's click history, which has no times and is the same in all lines of
one part, and an impression: the articles shown, each with 1 (clicked) or 0. The preparer gives the history
once, in its order, before the user's first impression, one second apart, and marks it in ``behaviour``;
articles that were shown and not clicked come out as ``shown``, which is left out by default. The test part
has no click labels: its impressions cannot be interactions and are counted.

NeMig has no times, and its lines are shuffled; a user's impressions are numbered in a row, and that is their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from recbole_attnseq.data.prepare.archive import Member, Raw
from recbole_attnseq.data.prepare.readers import read
from recbole_attnseq.data.prepare.report import Report
from recbole_attnseq.data.prepare.source import Batch, Download, Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import mapped
from recbole_attnseq.data.prepare.times import numbers, seconds
from recbole_attnseq.errors import UserError

UNLABELLED = "shown in an impression without click labels"
_TIME = "%m/%d/%Y %I:%M:%S %p"
_PARTS = ("train", "dev", "valid", "test")
_ENTITY = re.compile(r"""['"]WikidataId['"]\s*:\s*['"](?:[^'"]*/)?(Q\d+)['"]""")
_BATCH = 1 << 17

Row = tuple[str | None, str | None, float | None, str]


def _part(member: Member) -> tuple[int, str]:
    """Train before dev before test: later parts repeat the clicks of earlier ones in their histories."""
    # The names within what was given, not the folders that it lies in.
    label = f"{member.path.name}/{member.name}".lower()
    places = [number for number, word in enumerate(_PARTS) if word in label]
    return (min(places) if places else len(_PARTS), label)


def _rows(raw: Raw, table: Table, report: Report, timed: bool) -> Iterator[Row]:
    members = sorted(raw.find(table.files), key=_part)
    if not members:
        raise UserError(f"{raw.path}: holds no behaviors.tsv; it holds {raw.describe()}.")
    columns = set(table.columns or ())
    first = _first_times(members, table, columns) if timed else {}
    known: set[str] = set()
    origin: dict[str, int] = {}
    for member in members:
        lines = Report()
        for batch in read(table, member, columns, lines):
            when = seconds(batch["time"], _TIME)[0] if timed else numbers(batch["impression"])
            for user, history, impression, time in zip(
                batch["user"].to_pylist(),
                batch["history"].to_pylist(),
                batch["shown"].to_pylist(),
                when,
                strict=True,
            ):
                if user not in known:
                    known.add(user)
                    past = history.split()
                    start = first.get(user, np.nan) - len(past) if timed else 0.0
                    for step, item in enumerate(past):
                        yield user, item, _known(start + step), "history"
                    origin[user] = 0 if timed else len(past)
                for entry in impression.split():
                    item, mark, label = entry.rpartition("-")
                    if not mark or label not in ("0", "1"):
                        report.rows += 1
                        report.drop(UNLABELLED, 1, member.label)
                        continue
                    yield user, item, _known(origin[user] + time), "click" if label == "1" else "shown"
        report.rows += sum(lines.dropped.values())
        for reason, count in lines.dropped.items():
            report.drop(reason, count, lines.examples.get(reason, ""))


def _first_times(members: list[Member], table: Table, columns: set[str]) -> dict[str, float]:
    """The time of each user's first impression: histories precede it, and lines are in no order of time."""
    first: dict[str, float] = {}
    for member in members:
        for batch in read(table, member, columns, Report()):
            when, _ = seconds(batch["time"], _TIME)
            for user, time in zip(batch["user"].to_pylist(), when, strict=True):
                if not np.isnan(time) and time < first.get(user, np.inf):
                    first[user] = time
    return first


def _known(time: float) -> float | None:
    return None if np.isnan(time) else float(time)


def _batches(table: Table, timed: bool, raw: Raw, report: Report) -> Iterator[Batch]:
    store: list[Row] = []
    for row in _rows(raw, table, report, timed):
        store.append(row)
        if len(store) == _BATCH:
            yield _batch(store, report)
            store = []
    if store:
        yield _batch(store, report)


def _batch(rows: list[Row], report: Report) -> Batch:
    report.rows += len(rows)
    user, item, time, kind = zip(*rows, strict=True)
    return {
        "user": pa.array(user, pa.string()),
        "item": pa.array(item, pa.string()),
        "time": pa.array(time, pa.float64()),
        "behaviour": pa.array(kind, pa.string()),
    }


def _behaviours(columns: tuple[str, ...], timed: bool) -> Interactions:
    table = Table(files=("behaviors.tsv",), columns=columns, separator="\t", quoted=False)
    return Interactions(
        table=table,
        user="user",
        item="item",
        time="time",
        unit="s" if timed else "ordinal",
        fields=(Field("behaviour:token"),),
        batches=lambda raw, report: _batches(table, timed, raw, report),
    )


def entities(text: str) -> str:
    """The Wikidata ids of an entity list, written as JSON (MIND) or as Python (NeMig)."""
    return "|".join(dict.fromkeys(_ENTITY.findall(text)))


def _entities(batch: Batch) -> Batch:
    if "title_entities" not in batch:
        return batch
    return {**batch, "entities": mapped(batch["title_entities"], entities)}


def vectors(raw: Raw, items: set[str], folder: Path, stem: str) -> list[str]:
    """Writes ``stem.ent``: the vectors of entities, for RecBole's ``additional_feat_suffix``.

    Args:
        raw: the download; without ``entity_embedding.vec`` nothing is written.
        items: ids that were kept; unused, because the vectors are few.
        folder, stem: where to write.
    """
    members = raw.find(("entity_embedding.vec",))
    if not members:
        return []
    table = Table(files=(), format="lines")
    seen: set[str] = set()
    with (folder / f"{stem}.ent").open("w", encoding="utf-8", newline="") as file:
        file.write("ent_id:token\tent_emb:float_seq\n")
        for member in sorted(members, key=_part):
            for batch in read(table, member, {"line"}, Report()):
                for line in batch["line"].to_pylist():
                    name, _, rest = line.strip().partition("\t")
                    if name not in seen and rest:
                        seen.add(name)
                        file.write(f"{name}\t{' '.join(rest.split())}\n")
    return [f"{stem}.ent"]


def _news(columns: tuple[str, ...], *fields: str) -> Side:
    """``news.tsv``: its columns, and the fields to take besides the entities of the title."""
    return Side(
        kind="item",
        table=Table(
            files=("news.tsv",),
            columns=columns,
            separator="\t",
            quoted=False,
            compute=_entities,
            needs=("title_entities",),
            optional=True,
        ),
        key="id",
        fields=(*(Field(field) for field in fields), Field("entities:token_seq", split="|")),
    )


_LINKS = ("title_entities", "abstract_entities")
_TEXTS = ("title:token_seq", "abstract:token_seq")
_HISTORY = "history entries have no times: they stand one second apart before the user's first impression"

for _name, _words, _size in (
    ("mind-demo", "5,000 users", ""),
    ("mind-small", "50,000 users", ""),
    ("mind-large", "1,000,000 users", ""),
):
    add(
        name=_name,
        domain="news",
        title=f"MIND {_name[5:]}: Microsoft News, {_words}",
        page="https://msnews.github.io/",
        licence="Microsoft Research License Terms: non-commercial research",
        size=_size,
        citation="Wu et al., MIND: A Large-scale Dataset for News Recommendation, ACL 2020",
        get=f"MIND{_name[5:]}_train.zip and MIND{_name[5:]}_dev.zip, in one folder, packed or not",
        interactions=(_behaviours(("impression", "user", "time", "history", "shown"), timed=True),),
        behaviours=("history", "click"),
        side=(
            _news(
                ("id", "category", "subcategory", "title", "abstract", "address", *_LINKS),
                *("category:token", "subcategory:token", *_TEXTS),
            ),
        ),
        extra=vectors,
        notes=(_HISTORY,),
    )

_NEMIG = "https://raw.githubusercontent.com/andreeaiana/nemig/main/data/user_data/"

for _name, _words, _sha256 in (
    ("nemig-en", "English", "0e8efcd9a70de6e5a206a8028460ebed76e9b41baf4cafb015adc12e7f89cca9"),
    ("nemig-de", "German", "d0582d8fb7b00237ab93ca9858e2f929020733f8dd53ac76c3aff5b4f8bbe87b"),
):
    add(
        name=_name,
        domain="news",
        title=f"NeMig: news on migration, {_words}",
        page="https://github.com/andreeaiana/nemig",
        licence="CC BY-NC-SA 4.0",
        size="",
        citation=("Iana et al., NeMig: A Bilingual News Collection and Knowledge Graph about Migration, INRA 2023"),
        get=f"data/user_data/{_name[-2:]} of the owners' repository (behaviors.tsv; news.tsv on request from them)",
        download=(Download(f"{_NEMIG}{_name[-2:]}/behaviors.tsv", sha256=_sha256),),
        interactions=(_behaviours(("impression", "user", "history", "shown"), timed=False),),
        behaviours=("history", "click"),
        side=(
            _news(
                ("id", "title", "abstract", *_LINKS, "category", "sentiment", "leaning"),
                *(*_TEXTS, "category:token", "sentiment:token", "leaning:token"),
            ),
        ),
        notes=("there are no times: the order is that of the histories, then of the impressions' numbers",),
    )
