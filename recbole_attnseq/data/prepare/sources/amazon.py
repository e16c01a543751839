"""Amazon reviews as published in 2014, 2018 and 2023 (McAuley Lab, UC San Diego).

The three releases differ in everything: names of the columns, order of the columns in the ratings-only files,
unit of the time (2023: milliseconds), metadata as Python literals (2014) or JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from recbole_attnseq.data.prepare.source import Batch, Field, Interactions, Side, Table, add
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


def _rated(
    pattern: str | tuple[str, ...],
    user: str,
    item: str,
    time: str,
    *fields: Field,
    rating: str = "",
    unit: str = "s",
    **table: Any,
) -> Interactions:
    """Reviews as interactions; ``table`` says how their file is written."""
    files = (pattern,) if isinstance(pattern, str) else pattern
    return Interactions(
        table=Table(files=files, **table),
        user=user,
        item=item,
        time=time,
        unit=unit,
        fields=(Field("rating:float", rating), *fields),
    )


def _described(pattern: str, key: str, *fields: Field, compute: Callable[[Batch], Batch] | None = None) -> Side:
    """A release's metadata: title, the release's own fields, and the price."""
    return Side(
        kind="item",
        table=Table(files=(pattern,), format="jsonl", optional=True, compute=compute),
        key=key,
        fields=(Field("title:token_seq"), *fields, Field("price:float")),
    )


def _release(name: str, title: str, page: str, cite: str, get: str, *, domain: str = "e-commerce", **more: Any) -> None:
    """One data set of a release: its reviews or, as an alternative, its ratings alone, and its metadata."""
    add(
        name=name,
        domain=domain,
        title=title,
        page=page,
        licence=_LICENCE,
        citation=cite,
        get=f"{get}, in one folder",
        alternatives=True,
        duplicates=True,
        **more,
    )


_DOLLARS = text_map("price", dollars)
_CATEGORIES = Field("categories:token_seq", split="json")

# The data sets of 2014 by the owner's name of the category, "*" for any.
for _name, _domain, _title, _category, _size, _recbole in (
    ("amazon-2014", "e-commerce", "any category", "*", "differs by category", ""),
    ("amazon-beauty", "e-commerce", "Beauty", "Beauty", "", "amazon-beauty"),
    ("amazon-video-games", "video", "Video Games", "Video_Games", "", "amazon-video-games"),
):
    _shown = _category.replace("*", "CATEGORY")
    _release(
        _name,
        f"Amazon reviews 2014, {_title}",
        _PAGE_2014,
        _CITE_2014,
        f"reviews_{_shown}_5.json.gz (5-core) or ratings_{_shown}.csv, and meta_{_shown}.json.gz for item fields",
        domain=_domain,
        size=_size,
        interactions=(
            _rated(
                (f"reviews_{_category}_5.json", f"reviews_{_category}.json"),
                *("reviewerID", "asin", "unixReviewTime"),
                rating="overall",
                format="jsonl",
                first=True,
            ),
            _rated(f"ratings_{_category}.csv", "user", "item", "time", columns=("user", "item", "rating", "time")),
        ),
        side=(_described(f"meta_{_category}.json", "asin", _CATEGORIES, Field("brand:token")),),
        recbole=_recbole,
    )

_release(
    "amazon-2018",
    "Amazon reviews 2018, any category",
    _PAGE_2018,
    _CITE_2018,
    "CATEGORY_5.json.gz (5-core), CATEGORY.json.gz or CATEGORY.csv, and meta_CATEGORY.json.gz",
    size="differs by category",
    interactions=(
        _rated(
            "[!m]*.json",
            *("reviewerID", "asin", "unixReviewTime"),
            Field("verified:token"),
            rating="overall",
            format="jsonl",
        ),
        # The ratings-only files of 2018 begin with the item, those of 2014 with the user.
        _rated("[!m]*.csv", "user", "item", "time", columns=("item", "user", "rating", "time")),
    ),
    side=(
        _described(
            "meta_*.json",
            "asin",
            Field("categories:token_seq", "category", split="json"),
            Field("brand:token"),
            compute=_DOLLARS,
        ),
    ),
)

_release(
    "amazon-2023",
    "Amazon reviews 2023, any category",
    _PAGE_2023,
    _CITE_2023,
    "CATEGORY.jsonl.gz (reviews) or CATEGORY.csv (ratings only), and meta_CATEGORY.jsonl.gz",
    size="differs by category",
    interactions=(
        _rated(
            "[!m]*.jsonl",
            *("user_id", "parent_asin", "timestamp"),
            Field("verified:token", "verified_purchase"),
            unit="ms",
            format="jsonl",
        ),
        _rated("[!m]*.csv", "user_id", "parent_asin", "timestamp", unit="ms"),
    ),
    side=(
        _described(
            "meta_*.jsonl",
            "parent_asin",
            Field("main_category:token"),
            _CATEGORIES,
            Field("brand:token", "store"),
            compute=_DOLLARS,
        ),
    ),
)
