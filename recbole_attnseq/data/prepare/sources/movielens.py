"""MovieLens (GroupLens): 100K, 1M, 20M, 25M, 32M and latest; and MovieTweetings, written as MovieLens 1M is, in UTF-8.

Three notations: tab-separated without header (100K), ``::`` and Latin-1 (1M), CSV with header (the rest).
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recbole_attnseq.data.prepare.source import Batch, Download, Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import mapped

_PAGE = "https://grouplens.org/datasets/movielens/"
_FILES = "https://files.grouplens.org/datasets/movielens/"
_LICENCE = "research use, no redistribution without permission"
_CITE = "Harper and Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015"
_YEAR = re.compile(r"\((\d{4})\)\s*$")
_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)


def year(title: str) -> str | None:
    """The year in brackets at the end of a title."""
    match = _YEAR.search(title.strip())
    return match.group(1) if match else None


def plain(title: str) -> str:
    """The title without its year."""
    return _YEAR.sub("", title.strip()).strip()


def _titles(batch: Batch) -> Batch:
    if "title" not in batch:
        return batch
    return {**batch, "year": mapped(batch["title"], year), "title": mapped(batch["title"], plain)}


def _flags(batch: Batch) -> Batch:
    """The 19 genre flags of 100K as one list."""
    words = [pc.if_else(pc.equal(batch[name], "1"), name, "") for name in _GENRES if name in batch]
    joined = pc.binary_join_element_wise(*words, "|") if words else pa.nulls(0, pa.string())
    return {**_titles(batch), "genres": joined}


_MOVIE_FIELDS = (
    Field("movie_title:token_seq", "title"),
    Field("release_year:token", "year"),
    Field("genre:token_seq", "genres", split="|"),
)


def _release(
    name: str,
    title: str,
    size: str,
    md5: str,
    ratings: Table,
    movies: Table,
    people: Table | None = None,
    *,
    names: tuple[str, str, str] = ("user", "item", "time"),
    page: str = "",
    files: str = "",
    recbole: str = "",
) -> None:
    """One edition: its ratings, its films and, in the old ones, its people.

    Args:
        names: the columns of user, item and time.
        page: the end of the owner's page; the name without ``ml-`` where empty.
        files: what of the archive is read, for people who fetch it by hand.
        recbole: RecBole's name for it.
    """
    user, item, time = names
    side = [Side(kind="item", table=movies, key=item, fields=_MOVIE_FIELDS)]
    if people is not None:
        fields = tuple(Field(f"{field}:token") for field in ("age", "gender", "occupation", "zip_code"))
        side.append(Side(kind="user", table=people, key=user, fields=fields))
    add(
        name=name,
        domain="video",
        title=title,
        page=f"{_PAGE}{page or name[3:]}/",
        licence=_LICENCE,
        size=size,
        citation=_CITE,
        get=f"{name}.zip{files}",
        interactions=(Interactions(table=ratings, user=user, item=item, time=time, fields=(Field("rating:float"),)),),
        side=tuple(side),
        download=(Download(f"{_FILES}{name}.zip", md5=md5),),
        recbole=recbole,
    )


def _old(file: str, separator: str, *columns: str, **more: Any) -> Table:
    """A table of the first editions: no header, no quotes."""
    return Table(files=(file,), columns=columns, separator=separator, quoted=False, **more)


_RATING = ("user", "item", "rating", "time")
# The titles hold accents as single bytes, which are no UTF-8.
_BYTES: dict[str, Any] = {"encoding": "latin-1", "optional": True}

_release(
    "ml-100k",
    "MovieLens 100K",
    "5 MB",
    "0e33842e24a9c977be4e0107933c0723",
    _old("u.data", "\t", *_RATING),
    _old(
        "u.item", "|", "item", "title", "released", "video_released", "address", *_GENRES,
        compute=_flags, needs=_GENRES, **_BYTES,
    ),
    _old("u.user", "|", "user", "age", "gender", "occupation", "zip_code", optional=True),
    recbole="ml-100k",
)  # fmt: skip
_release(
    "ml-1m",
    "MovieLens 1M",
    "6 MB",
    "c4d9eecfca2ab87c1945afe126590906",
    _old("ratings.dat", "::", *_RATING),
    _old("movies.dat", "::", "item", "title", "genres", compute=_titles, **_BYTES),
    _old("users.dat", "::", "user", "gender", "age", "occupation", "zip_code", optional=True),
    recbole="ml-1m",
)

# No checksum stands where none was confirmed, or where the owner replaces the file from time to time.
for _name, _title, _size, _md5, _recbole in (
    ("ml-20m", "MovieLens 20M", "190 MB", "cd245b17a1ae2cc31bb14903e1204af3", "ml-20m"),
    ("ml-25m", "MovieLens 25M", "250 MB", "6b51fb2759a8657d3bfcbfc42b592ada", ""),
    ("ml-32m", "MovieLens 32M", "239 MB", "", ""),
    ("ml-latest", "MovieLens latest, all ratings", "about 335 MB", "", ""),
    ("ml-latest-small", "MovieLens latest, small", "1 MB", "", ""),
):
    _release(
        _name,
        _title,
        _size,
        _md5,
        Table(files=("ratings.csv",)),
        Table(files=("movies.csv",), compute=_titles, optional=True),
        names=("userId", "movieId", "timestamp"),
        page="latest" if "latest" in _name else "",
        files=" (ratings.csv, movies.csv)",
        recbole=_recbole,
    )

add(
    name="movietweetings",
    domain="video",
    title="MovieTweetings: ratings of films in tweets since 2013",
    page="https://github.com/sidooms/MovieTweetings",
    licence="no formal licence; for research, cite the owner",
    size="3 MB (the first 100,000 ratings)",
    citation="Dooms et al., MovieTweetings: a Movie Rating Dataset Collected From Twitter, CrowdRec 2013",
    get="ratings.dat and movies.dat of one of the folders of snapshots/, or of latest/, in one folder",
    interactions=(
        Interactions(
            table=_old("ratings.dat", "::", *_RATING),
            user="user",
            item="item",
            time="time",
            fields=(Field("rating:float"),),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=_old("movies.dat", "::", "item", "title", "genres", compute=_titles, optional=True),
            key="item",
            fields=_MOVIE_FIELDS,
        ),
    ),
    notes=("latest/ grows with time; the folders of snapshots/ stay as they are.",),
)
