"""What a data set looks like on disk, as a declaration.

A :class:`Source` says which files of the owner's archive hold interactions, which hold side information, how
they are written and which columns become which atomic field. Most data sets need nothing else; a format that
does gives a ``compute`` function that turns a batch of raw columns into a batch with the columns wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from recbole_attnseq.registry import Registry

if TYPE_CHECKING:
    from recbole_attnseq.data.prepare.archive import Raw
    from recbole_attnseq.data.prepare.report import Report

Batch = dict[str, pa.Array]
"""Raw columns of equal length by name, as a reader yields them."""

# Of this data set RecBole brings a copy, which it reads wherever another one lies.
RECBOLES_OWN = "ml-100k"
DOMAINS = ("e-commerce", "music", "video", "news")


@dataclass(frozen=True)
class Field:
    """One atomic field: ``Field("title:token_seq", "movie name")``.

    Args:
        spec: name and RecBole type, ``name:token``, ``name:token_seq``, ``name:float`` or ``name:float_seq``.
        column: the raw column; the field's own name where empty.
        constant: a value for every row, for files whose very name says it (a file of purchases).
        split: the separator of a list inside the value; it becomes RecBole's blank, and blanks inside an
            element become ``_``. Empty: the value is text, whose words are the tokens.
    """

    spec: str
    column: str = ""
    constant: str | None = None
    split: str = ""

    @property
    def name(self) -> str:
        """The field's name without its type."""
        return self.spec.rpartition(":")[0]

    @property
    def type(self) -> str:
        """RecBole's type of the field."""
        return self.spec.rpartition(":")[2]

    @property
    def raw(self) -> str:
        """The raw column that the field is read from."""
        return self.column or self.name


@dataclass(frozen=True, kw_only=True)
class Table:
    """One kind of file in an archive, and how it is written.

    Args:
        files: patterns (``*`` and ``?``) of the member's name without ``.gz`` or ``.bz2``, tried in turn.
        format: ``delimited``, ``jsonl``, ``parquet``, ``xlsx``, ``lines`` (one column named ``line``) or
            ``sequences`` (a line is a user and their items in order: columns ``user`` and ``item``).
        columns: the columns' names where the file has no header line.
        separator: what stands between the columns; may be longer than one character.
        quoted: whether ``"`` encloses values. Off for files whose titles contain quotes as they are.
        encoding: of the text.
        compute: makes new columns out of a batch; may change the number of rows.
        needs: raw columns that ``compute`` reads, so that the reader loads them.
        optional: whether the archive may lack the file.
        first: stop at the first pattern that matches (alternatives) rather than read all of them.
    """

    files: tuple[str, ...]
    format: str = "delimited"
    columns: tuple[str, ...] | None = None
    separator: str = ","
    quoted: bool = True
    encoding: str = "utf-8"
    compute: Callable[[Batch], Batch] | None = None
    needs: tuple[str, ...] = ()
    optional: bool = False
    first: bool = False


@dataclass(frozen=True, kw_only=True)
class Interactions:
    """How rows of a table become interactions.

    Args:
        table: the files.
        user, item: raw columns of the ids.
        time: raw column of the time; without one the order in the file is the time.
        unit: ``s``, ``ms``, ``us``, ``ns``, ``iso``, ``ordinal`` or a ``strptime`` format (read as UTC).
        fields: further atomic fields of ``.inter``.
        float_ids: ids written as floats (``12.0``) mean the integer.
        batches: code of its own for a format that no table describes; yields batches with the columns
            above. It replaces the reader.
    """

    table: Table
    user: str
    item: str
    time: str | None
    unit: str = "s"
    fields: tuple[Field, ...] = ()
    float_ids: bool = False
    batches: Callable[[Raw, Report], Iterator[Batch]] | None = None


@dataclass(frozen=True, kw_only=True)
class Side:
    """Side information: the first row of a key wins, later ones count as repeats.

    Args:
        kind: ``item`` or ``user``: only keys that occur in the interactions are kept.
        table: the files.
        key: raw column of the id.
        fields: the atomic fields.
        newest: raw column of a time; the row with the greatest wins instead (snapshots over time).
        gather: collect the distinct values of all rows of a key, as a ``token_seq``.
    """

    kind: str
    table: Table
    key: str
    fields: tuple[Field, ...]
    newest: str = ""
    gather: bool = False


@dataclass(frozen=True)
class Download:
    """A file that the owner lets anyone fetch by plain https.

    Args:
        url: the address.
        sha256: the file's checksum, or empty where the owner changes it from time to time.
        md5: the checksum that the owner publishes, where that is an md5.
    """

    url: str
    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data set: where it comes from, on what terms, and how to read it.

    Args:
        name: as in ``attnseq prepare NAME`` and ``configs/dataset/NAME.yaml``.
        domain: one of :data:`DOMAINS`.
        title: the data set in words.
        page: the owner's page.
        licence: the owner's terms, in a few words.
        size: the size of the download, in words; empty where it is not known.
        citation: the work to cite.
        get: how to get it: which files to take.
        interactions: the tables of interactions, read in this order.
        side: tables of side information.
        alternatives: whether the tables of interactions are forms of the same data, of which the first that
            the download holds is read.
        behaviours: those kept by default; empty keeps all.
        duplicates: whether rows that repeat (user, item, time and behaviour) are dropped by default.
        latest: ISO date from which on no interaction can lie, where the owner states when the log ended.
        earliest: ISO date before which none can lie.
        download: what can be fetched.
        recbole: the name under which RecBole itself hosts atomic files of the data set.
        extra: writes further files: ``extra(raw, kept items by name, folder, stem)``; returns the names.
        notes: what a user of the data should know; shown after a preparation.
    """

    name: str
    domain: str
    title: str
    page: str
    licence: str
    size: str
    citation: str
    get: str
    interactions: tuple[Interactions, ...]
    side: tuple[Side, ...] = ()
    alternatives: bool = False
    behaviours: tuple[str, ...] = ()
    duplicates: bool = False
    latest: str = ""
    earliest: str = ""
    download: tuple[Download, ...] = ()
    recbole: str = ""
    extra: Callable[..., list[str]] | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)


SOURCES: Registry[Source] = Registry("data set")


def add(**declaration: Any) -> Source:
    """Registers a source under its name, and returns it."""
    source = Source(**declaration)
    if source.domain not in DOMAINS:
        raise ValueError(f"data set '{source.name}': no domain '{source.domain}'.")
    return SOURCES.register(source.name)(source)
