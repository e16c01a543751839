"""Amazon reviews as published in 2014, 2018 and 2023 (McAuley Lab, UC San Diego).

The three releases differ in everything: names of the columns, order of the columns in the ratings-only files,
unit of the time (2023: milliseconds), metadata as Python literals (2014) or JSON.
"""

from __future__ import annotations

import re

from recbole_attnseq.data.prepare.source import Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import text_map

_LICENCE = "no formal licence; for research, cite the owners"
_CITE_2014 = "He and McAuley, Ups and Downs, WWW 2016; McAuley et al., Image-based Recommendations, SIGIR 2015"
_CITE_2018 = "Ni, Li, McAuley, Justifying Recommendations using Distantly-Labeled Reviews, EMNLP 2019"
_CITE_2023 = "Hou et al., Bridging Language and Items for Retrieval and Recommendation, 2024"
_PAGE_2014 = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html"
_PAGE_2018 = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/"
_PAGE_2023 = "https://amazon-reviews-2023.github.io/"
_PRICE = re.compile(r"\$?\s*([\d,]+(?:\.\d+)?)")


def dollars(text: str) -> str | None:
    """``$1,234.50`` as ``1234.50``; anything else (ranges, stray style sheets) is missing."""
    match = _PRICE.fullmatch(text.strip())
    return match.group(1).replace(",", "") if match else None


def _reviews_2014(category: str) -> tuple[Interactions, ...]:
    return (
        Interactions(
            table=Table(files=(f"reviews_{category}_5.json", f"reviews_{category}.json"), format="jsonl", first=True),
            user="reviewerID",
            item="asin",
            time="unixReviewTime",
            fields=(Field("rating:float", "overall"),),
        ),
        Interactions(
            table=Table(files=(f"ratings_{category}.csv",), columns=("user", "item", "rating", "time")),
            user="user",
            item="item",
            time="time",
            fields=(Field("rating:float"),),
        ),
    )


def _meta_2014(category: str) -> Side:
    return Side(
        kind="item",
        table=Table(files=(f"meta_{category}.json",), format="jsonl", optional=True),
        key="asin",
        fields=(
            Field("title:token_seq"),
            Field("categories:token_seq", split="json"),
            Field("brand:token"),
            Field("price:float"),
        ),
    )


def _release_2014(name: str, domain: str, title: str, category: str, size: str, recbole: str = "") -> None:
    shown = category if category != "*" else "CATEGORY"
    add(
        name=name,
        domain=domain,
        title=title,
        page=_PAGE_2014,
        licence=_LICENCE,
        size=size,
        citation=_CITE_2014,
        get=(
            f"reviews_{shown}_5.json.gz (5-core) or ratings_{shown}.csv, and meta_{shown}.json.gz for "
            "item fields, in one folder"
        ),
        interactions=_reviews_2014(category),
        alternatives=True,
        side=(_meta_2014(category),),
        duplicates=True,
        recbole=recbole,
    )


_release_2014("amazon-2014", "e-commerce", "Amazon reviews 2014, any category", "*", "differs by category")
_release_2014("amazon-beauty", "e-commerce", "Amazon reviews 2014, Beauty", "Beauty", "", "amazon-beauty")
_release_2014(
    "amazon-video-games", "video", "Amazon reviews 2014, Video Games", "Video_Games", "", "amazon-video-games"
)

add(
    name="amazon-2018",
    domain="e-commerce",
    title="Amazon reviews 2018, any category",
    page=_PAGE_2018,
    licence=_LICENCE,
    size="differs by category",
    citation=_CITE_2018,
    get=("CATEGORY_5.json.gz (5-core), CATEGORY.json.gz or CATEGORY.csv, and meta_CATEGORY.json.gz, in one folder"),
    interactions=(
        Interactions(
            table=Table(files=("[!m]*.json",), format="jsonl"),
            user="reviewerID",
            item="asin",
            time="unixReviewTime",
            fields=(Field("rating:float", "overall"), Field("verified:token")),
        ),
        # The ratings-only files of 2018 begin with the item, those of 2014 with the user.
        Interactions(
            table=Table(files=("[!m]*.csv",), columns=("item", "user", "rating", "time")),
            user="user",
            item="item",
            time="time",
            fields=(Field("rating:float"),),
        ),
    ),
    alternatives=True,
    side=(
        Side(
            kind="item",
            table=Table(files=("meta_*.json",), format="jsonl", optional=True, compute=text_map("price", dollars)),
            key="asin",
            fields=(
                Field("title:token_seq"),
                Field("categories:token_seq", "category", split="json"),
                Field("brand:token"),
                Field("price:float"),
            ),
        ),
    ),
    duplicates=True,
)

add(
    name="amazon-2023",
    domain="e-commerce",
    title="Amazon reviews 2023, any category",
    page=_PAGE_2023,
    licence=_LICENCE,
    size="differs by category",
    citation=_CITE_2023,
    get=("CATEGORY.jsonl.gz (reviews) or CATEGORY.csv (ratings only), and meta_CATEGORY.jsonl.gz, in one folder"),
    interactions=(
        Interactions(
            table=Table(files=("[!m]*.jsonl",), format="jsonl"),
            user="user_id",
            item="parent_asin",
            time="timestamp",
            unit="ms",
            fields=(Field("rating:float"), Field("verified:token", "verified_purchase")),
        ),
        Interactions(
            table=Table(files=("[!m]*.csv",)),
            user="user_id",
            item="parent_asin",
            time="timestamp",
            unit="ms",
            fields=(Field("rating:float"),),
        ),
    ),
    alternatives=True,
    side=(
        Side(
            kind="item",
            table=Table(files=("meta_*.jsonl",), format="jsonl", optional=True, compute=text_map("price", dollars)),
            key="parent_asin",
            fields=(
                Field("title:token_seq"),
                Field("main_category:token"),
                Field("categories:token_seq", split="json"),
                Field("brand:token", "store"),
                Field("price:float"),
            ),
        ),
    ),
    duplicates=True,
)
