"""News sites: Adressa, Globo.com and CI&T Deskdrop."""

from __future__ import annotations

from recbole_attnseq.data.prepare.source import Field, Interactions, Side, Table, add

# One file a day, named by its date, of one JSON object a line.
_DAYS = ("20[0-9][0-9][0-9][0-9][0-9][0-9]", "20[0-9][0-9][0-9][0-9][0-9][0-9].json*")

add(
    name="adressa",
    domain="news",
    title="Adressa: reading events of a Norwegian newspaper, 2017 (one week or ten)",
    page="https://reclab.idi.ntnu.no/dataset/",
    licence="CC BY-NC-SA 4.0; research use",
    size="1.4 GB (one week), 16 GB (three months)",
    citation="Gulla et al., The Adressa Dataset for News Recommendation, WI 2017",
    get="one_week.tar.gz or three_month.tar.gz",
    interactions=(
        Interactions(
            # Front pages have no article id: they are no items, and counted.
            table=Table(files=_DAYS, format="jsonl"),
            user="userId",
            item="id",
            time="time",
            fields=(Field("active_time:float", "activeTime"),),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=_DAYS, format="jsonl"),
            key="id",
            fields=(
                Field("title:token_seq"),
                Field("category:token_seq", "category1", split="|"),
                Field("author:token", "author"),
            ),
        ),
    ),
    earliest="2016-12-01",
    latest="2018-01-01",
)

add(
    name="globo",
    domain="news",
    title="Globo.com: clicks on a Brazilian news portal, October 2017",
    page="https://www.kaggle.com/datasets/gspmoreira/news-portal-user-interactions-by-globocom",
    licence="the owner's terms: research use",
    size="",
    citation="Moreira et al., Contextual Hybrid Session-based News Recommendation, IEEE Access 2019",
    get="archive.zip (clicks.zip, articles_metadata.csv); needs an account",
    interactions=(
        Interactions(
            table=Table(files=("clicks_hour_*.csv",)),
            user="user_id",
            item="click_article_id",
            time="click_timestamp",
            unit="ms",
            fields=(
                Field("session_id:token"),
                Field("device:token", "click_deviceGroup"),
                Field("country:token", "click_country"),
                Field("region:token", "click_region"),
                Field("referrer:token", "click_referrer_type"),
            ),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=("articles_metadata.csv",), optional=True),
            key="article_id",
            fields=(
                Field("category:token", "category_id"),
                Field("publisher:token", "publisher_id"),
                Field("words_count:float"),
                Field("created_at_ms:float", "created_at_ts"),
            ),
        ),
    ),
)

add(
    name="deskdrop",
    domain="news",
    title="CI&T Deskdrop: articles shared and read within a company, 2016 to 2017",
    page="https://www.kaggle.com/datasets/gspmoreira/articles-sharing-reading-from-cit-deskdrop",
    licence="Open Database License",
    size="",
    citation="Moreira, Articles sharing and reading from CI&T DeskDrop, Kaggle 2017",
    get="archive.zip (users_interactions.csv, shared_articles.csv); needs an account",
    interactions=(
        Interactions(
            table=Table(files=("users_interactions.csv",)),
            user="personId",
            item="contentId",
            time="timestamp",
            fields=(Field("behaviour:token", "eventType"), Field("session_id:token", "sessionId")),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=("shared_articles.csv",), optional=True),
            key="contentId",
            fields=(
                Field("title:token_seq"),
                Field("language:token", "lang"),
                Field("content_type:token", "contentType"),
            ),
        ),
    ),
)
