"""MovieLens (GroupLens): 100K, 1M, 20M, 25M, 32M and latest.

Three notations: tab-separated without header (100K), ``::`` and Latin-1 (1M), CSV with header (the rest).
"""

from __future__ import annotations

import re

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

add(
    name="ml-100k",
    domain="video",
    title="MovieLens 100K",
    page=_PAGE + "100k/",
    licence=_LICENCE,
    size="5 MB",
    citation=_CITE,
    get="ml-100k.zip",
    interactions=(
        Interactions(
            table=Table(files=("u.data",), columns=("user", "item", "rating", "time"), separator="\t", quoted=False),
            user="user",
            item="item",
            time="time",
            fields=(Field("rating:float"),),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(
                files=("u.item",),
                columns=("item", "title", "released", "video_released", "address", *_GENRES),
                separator="|",
                quoted=False,
                encoding="latin-1",
                compute=_flags,
                needs=_GENRES,
                optional=True,
            ),
            key="item",
            fields=_MOVIE_FIELDS,
        ),
        Side(
            kind="user",
            table=Table(
                files=("u.user",),
                columns=("user", "age", "gender", "occupation", "zip_code"),
                separator="|",
                quoted=False,
                optional=True,
            ),
            key="user",
            fields=(
                Field("age:token"),
                Field("gender:token"),
                Field("occupation:token"),
                Field("zip_code:token"),
            ),
        ),
    ),
    download=(Download(_FILES + "ml-100k.zip", md5="0e33842e24a9c977be4e0107933c0723"),),
    recbole="ml-100k",
)

add(
    name="ml-1m",
    domain="video",
    title="MovieLens 1M",
    page=_PAGE + "1m/",
    licence=_LICENCE,
    size="6 MB",
    citation=_CITE,
    get="ml-1m.zip",
    interactions=(
        Interactions(
            table=Table(
                files=("ratings.dat",),
                columns=("user", "item", "rating", "time"),
                separator="::",
                quoted=False,
            ),
            user="user",
            item="item",
            time="time",
            fields=(Field("rating:float"),),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(
                files=("movies.dat",),
                columns=("item", "title", "genres"),
                separator="::",
                quoted=False,
                # The titles hold accents as single bytes, which are no UTF-8.
                encoding="latin-1",
                compute=_titles,
                optional=True,
            ),
            key="item",
            fields=_MOVIE_FIELDS,
        ),
        Side(
            kind="user",
            table=Table(
                files=("users.dat",),
                columns=("user", "gender", "age", "occupation", "zip_code"),
                separator="::",
                quoted=False,
                optional=True,
            ),
            key="user",
            fields=(
                Field("age:token"),
                Field("gender:token"),
                Field("occupation:token"),
                Field("zip_code:token"),
            ),
        ),
    ),
    download=(Download(_FILES + "ml-1m.zip", md5="c4d9eecfca2ab87c1945afe126590906"),),
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
    add(
        name=_name,
        domain="video",
        title=_title,
        page=_PAGE + ("latest/" if "latest" in _name else f"{_name[3:]}/"),
        licence=_LICENCE,
        size=_size,
        citation=_CITE,
        get=f"{_name}.zip (ratings.csv, movies.csv)",
        interactions=(
            Interactions(
                table=Table(files=("ratings.csv",)),
                user="userId",
                item="movieId",
                time="timestamp",
                fields=(Field("rating:float"),),
            ),
        ),
        side=(
            Side(
                kind="item",
                table=Table(files=("movies.csv",), compute=_titles, optional=True),
                key="movieId",
                fields=_MOVIE_FIELDS,
            ),
        ),
        download=(Download(f"{_FILES}{_name}.zip", md5=_md5),),
        recbole=_recbole,
    )
