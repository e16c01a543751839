"""MicroLens short videos and Steam reviews."""

from __future__ import annotations

import pyarrow as pa

from recbole_attnseq.data.prepare.source import Batch, Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import first_of


def _titles(batch: Batch) -> Batch:
    """Id and title of MicroLens' title files: the title is what follows the first comma, quoted or not."""
    ids: list[str] = []
    titles: list[str] = []
    for line in batch["line"].to_pylist():
        identity, _, title = line.partition(",")
        ids.append(identity)
        title = title.strip()
        if len(title) > 1 and title[0] == title[-1] == '"':
            title = title[1:-1].replace('""', '"')
        titles.append(title)
    return {"item": pa.array(ids, pa.string()), "title": pa.array(titles, pa.string())}


add(
    name="microlens",
    domain="video",
    title="MicroLens: comments on short videos (50K and 100K users; larger on request)",
    page="https://github.com/westlake-repl/MicroLens",
    licence="no formal licence: cite the owners, spread no altered copies",
    size="",
    citation="Ni et al., A Content-Driven Micro-Video Recommendation Dataset at Scale, 2023",
    get="MicroLens-100k_pairs.csv or MicroLens-50k_pairs.csv, and MicroLens-100k_title_en.csv, in one folder",
    interactions=(
        Interactions(table=Table(files=("*pairs.csv",)), user="user", item="item", time="timestamp", unit="ms"),
    ),
    side=(
        Side(
            kind="item",
            # Titles hold commas without quotes, and the file of 100K has no header: the first comma decides.
            table=Table(
                files=("*title_en.csv", "*titles.csv"),
                format="lines",
                compute=_titles,
                needs=("line",),
                optional=True,
            ),
            key="item",
            fields=(Field("title:token_seq"),),
        ),
    ),
)

add(
    name="steam",
    domain="video",
    title="Steam: reviews of games, 2010 to 2018",
    page="https://cseweb.ucsd.edu/~jmcauley/datasets.html#steam_data",
    licence="no formal licence; for research, cite the owners",
    size="1.3 GB",
    citation="Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018",
    get="steam_reviews.json.gz and steam_games.json.gz, in one folder (lines are Python literals)",
    interactions=(
        Interactions(
            table=Table(files=("steam_reviews.json", "steam_new.json"), format="jsonl", first=True),
            user="username",
            item="product_id",
            # A date without a time of day: the order within a day is that of the file.
            time="date",
            unit="iso",
            fields=(Field("hours:float"), Field("early_access:token")),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(
                files=("steam_games.json",),
                format="jsonl",
                compute=first_of("name", "title", "app_name"),
                needs=("title", "app_name"),
                optional=True,
            ),
            key="id",
            fields=(
                Field("title:token_seq", "name"),
                Field("genres:token_seq", split="json"),
                Field("tags:token_seq", split="json"),
                Field("developer:token"),
                Field("price:float"),
            ),
        ),
    ),
    duplicates=True,
)
