"""EB-NeRD (Ekstra Bladet): parquet files whose rows hold whole histories as lists."""

from __future__ import annotations

from recbole_attnseq.data.prepare.source import Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import explode

_LISTS = ("article_id_fixed", "impression_time_fixed", "read_time_fixed", "scroll_percentage_fixed")

for _name, _bundle, _words in (
    ("ebnerd-demo", "ebnerd_demo.zip", "demo bundle"),
    ("ebnerd-small", "ebnerd_small.zip", "small bundle"),
    ("ebnerd-large", "ebnerd_large.zip", "large bundle"),
):
    add(
        name=_name,
        domain="news",
        title=f"EB-NeRD: Ekstra Bladet, six weeks of 2023, {_words}",
        page="https://recsys.eb.dk/",
        licence="the owner's terms: non-commercial research",
        size="",
        citation=("Kruse et al., EB-NeRD: A Large-Scale Dataset for News Recommendation, RecSys Challenge 2024"),
        get=f"{_bundle} (train and validation: behaviors.parquet and history.parquet; articles.parquet)",
        interactions=(
            Interactions(
                table=Table(
                    files=("train/history.parquet", "validation/history.parquet", "history.parquet"),
                    format="parquet",
                    compute=explode(_LISTS, ("user_id",)),
                    needs=_LISTS,
                ),
                user="user_id",
                item="article_id_fixed",
                time="impression_time_fixed",
                fields=(
                    Field("behaviour:token", constant="history"),
                    Field("read_time:float", "read_time_fixed"),
                    Field("scroll_percentage:float", "scroll_percentage_fixed"),
                ),
            ),
            Interactions(
                table=Table(
                    files=("train/behaviors.parquet", "validation/behaviors.parquet", "behaviors.parquet"),
                    format="parquet",
                    compute=explode(("article_ids_clicked",), ("user_id", "impression_time", "session_id")),
                    needs=("article_ids_clicked", "impression_time"),
                    optional=True,
                ),
                user="user_id",
                item="article_ids_clicked",
                time="impression_time",
                fields=(Field("behaviour:token", constant="click"), Field("session_id:token")),
            ),
        ),
        # The histories of train and validation overlap in time.
        duplicates=True,
        side=(
            Side(
                kind="item",
                table=Table(files=("articles.parquet",), format="parquet", optional=True),
                key="article_id",
                fields=(
                    Field("title:token_seq"),
                    Field("subtitle:token_seq"),
                    Field("category:token", "category_str"),
                    Field("article_type:token"),
                    Field("topics:token_seq", split="json"),
                    Field("sentiment_score:float"),
                ),
            ),
        ),
        notes=(
            "a click may stand both in behaviours and, with the time of reading, in a later history: "
            "--keep-behaviour history keeps one kind",
        ),
    )
