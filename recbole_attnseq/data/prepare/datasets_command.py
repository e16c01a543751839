"""``attnseq datasets``: the data sets, their terms, how to get one and how long its sequences are."""

from __future__ import annotations

import argparse
from pathlib import Path

from recbole_attnseq.data.prepare import lengths
from recbole_attnseq.data.prepare.catalogue import SOURCES, by_domain
from recbole_attnseq.data.prepare.report import run_command
from recbole_attnseq.data.prepare.source import Source
from recbole_attnseq.errors import UserError

_TERMINAL = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``attnseq datasets``."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="say how to get this data set")
    parser.add_argument(
        "--plot",
        nargs="?",
        const=_TERMINAL,
        metavar="FILE",
        help="show how long the prepared sequences are: in the terminal, or as a picture in FILE",
    )
    parser.add_argument("--path", type=Path, default=Path("datasets"), help="where data sets lie (default: datasets)")


def run(args: argparse.Namespace) -> None:
    """Prints the list, or what is to know of one data set.

    Raises:
        UserError: an unknown name, or a plot of a data set that is not there.
    """
    if args.plot is not None:
        if args.name is None:
            raise UserError("--plot: name a data set, e.g. `attnseq datasets ml-1m --plot`.")
        _plot(args.name, Path(args.path), args.plot)
    elif args.name is None:
        print(listing())
    else:
        print(instructions(SOURCES[args.name]))


def listing() -> str:
    """All data sets by domain, with licence, size and the owner's page."""
    lines = []
    for domain, sources in by_domain():
        lines.append(domain)
        for source in sources:
            lines.append(f"  {source.name:<20}{source.title}")
            lines.append(f"  {'':<20}{source.licence}; {source.size or 'size not stated'}; {source.page}")
    return "\n".join([*lines, "", "How to get one: attnseq datasets NAME"])


def instructions(source: Source) -> str:
    """Terms, what to download and the two commands."""
    fetch = f"attnseq prepare {source.name} " + ("--download" if source.download else "--raw PATH")
    lines = [
        source.title,
        f"  owner's page  {source.page}",
        f"  licence       {source.licence}",
        f"  size          {source.size or 'not stated by the owner'}",
        f"  cite          {source.citation}",
        f"  get           {source.get}",
        *(f"  address       {one.url}" for one in source.download),
        *(f"  note          {note}" for note in source.notes),
        "",
        f"  1. {fetch}",
        f"  2. {run_command(Path('datasets') / source.name)}",
    ]
    if source.recbole:
        lines += [
            f"  RecBole hosts atomic files of its own, unfiltered, which a run fetches into dataset/{source.recbole}",
            f"  where there is no such folder: attnseq run --dataset={source.recbole} --dataset_config=True",
        ]
    return "\n".join(lines)


def _plot(name: str, path: Path, target: str) -> None:
    inter = path / name / f"{name}.inter"
    if not inter.exists():
        known = f"attnseq prepare {name}" if name in SOURCES else f"attnseq prepare generic --out {path / name}"
        raise UserError(f"{inter}: no such file; make it with `{known}`, or say with --path where data sets lie.")
    counts = lengths.lengths(inter)
    if not len(counts):
        raise UserError(f"{inter}: holds no interactions.")
    if target == _TERMINAL:
        print(lengths.text(counts))
    else:
        lengths.picture(counts, name, Path(target))
        print(target)
