"""Session logs of shops: RetailRocket, Diginetica (CIKM Cup 2016) and YooChoose (RecSys Challenge 2015)."""

from __future__ import annotations

import pyarrow.compute as pc

from recbole_attnseq.data.prepare.source import Batch, Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import date_plus
from recbole_attnseq.data.prepare.vocabulary import as_text


def _categories(batch: Batch) -> Batch:
    """Of RetailRocket's (item, property, value) triples those that name the category."""
    if "property" not in batch:
        return batch
    hit = pc.fill_null(pc.equal(as_text(batch["property"]), "categoryid"), False)
    return {name: column.filter(hit) for name, column in batch.items()}


add(
    name="retailrocket",
    domain="e-commerce",
    title="RetailRocket: views, carts and purchases of a shop over 4.5 months of 2015",
    page="https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset",
    licence="CC BY-NC-SA 4.0",
    size="",
    citation="Retailrocket recommender system dataset, Kaggle, 2017",
    get="archive.zip (events.csv, item_properties_part1.csv, item_properties_part2.csv); needs an account",
    interactions=(
        Interactions(
            table=Table(files=("events.csv",)),
            user="visitorid",
            item="itemid",
            time="timestamp",
            unit="ms",
            fields=(Field("behaviour:token", "event"),),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(
                files=("item_properties_part*.csv",),
                optional=True,
                compute=_categories,
                needs=("property", "timestamp"),
            ),
            key="itemid",
            # An item changes its category over time; the last one counts.
            newest="timestamp",
            fields=(Field("category:token", "value"),),
        ),
    ),
)

_WHEN = date_plus("time", "eventdate", "%Y-%m-%d", "timeframe", 1000.0)

add(
    name="diginetica",
    domain="e-commerce",
    title="Diginetica: anonymous sessions of a shop (CIKM Cup 2016, track 2)",
    page="https://competitions.codalab.org/competitions/11161",
    licence="the competition's terms: research use",
    size="",
    citation="CIKM Cup 2016 Track 2: Personalized E-Commerce Search Challenge",
    get=(
        "dataset-train-diginetica.zip (train-item-views.csv, train-purchases.csv, products.csv, product-categories.csv)"
    ),
    # A session stands in the place of the user: most have no user id.
    interactions=(
        Interactions(
            table=Table(
                files=("train-item-views.csv",),
                separator=";",
                compute=_WHEN,
                needs=("eventdate", "timeframe"),
            ),
            user="sessionId",
            item="itemId",
            time="time",
            fields=(Field("behaviour:token", constant="view"), Field("account_id:token", "userId")),
        ),
        Interactions(
            table=Table(
                files=("train-purchases.csv",),
                separator=";",
                compute=_WHEN,
                needs=("eventdate", "timeframe"),
                optional=True,
            ),
            user="sessionId",
            item="itemId",
            time="time",
            fields=(Field("behaviour:token", constant="purchase"), Field("account_id:token", "userId")),
        ),
    ),
    behaviours=("view",),
    side=(
        Side(
            kind="item",
            table=Table(files=("product-categories.csv",), separator=";", optional=True),
            key="itemId",
            fields=(Field("category:token", "categoryId"),),
        ),
        Side(
            kind="item",
            table=Table(files=("products.csv",), separator=";", optional=True),
            key="itemId",
            fields=(
                Field("price_log2:float", "pricelog2"),
                Field("name:token_seq", "product.name.tokens", split=","),
            ),
        ),
    ),
)

add(
    name="yoochoose",
    domain="e-commerce",
    title="YooChoose: clicks and purchases of a shop in 2014 (RecSys Challenge 2015)",
    page="https://www.kaggle.com/datasets/chadgostopp/recsys-challenge-2015",
    licence="CC BY-NC-ND 4.0",
    size="about 290 MB",
    citation="Ben-Shimon et al., RecSys Challenge 2015 and the YOOCHOOSE Dataset, RecSys 2015",
    get="yoochoose-clicks.dat and yoochoose-buys.dat; the 7z archive must be unpacked first",
    interactions=(
        Interactions(
            table=Table(files=("yoochoose-clicks.dat",), columns=("session", "time", "item", "category")),
            user="session",
            item="item",
            time="time",
            unit="iso",
            fields=(Field("behaviour:token", constant="click"), Field("category:token")),
        ),
        Interactions(
            table=Table(
                files=("yoochoose-buys.dat",),
                columns=("session", "time", "item", "price", "quantity"),
                optional=True,
            ),
            user="session",
            item="item",
            time="time",
            unit="iso",
            fields=(Field("behaviour:token", constant="buy"), Field("price:float"), Field("quantity:float")),
        ),
    ),
    behaviours=("click",),
)
