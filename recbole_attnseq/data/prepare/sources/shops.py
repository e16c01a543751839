"""Shops that log accounts: Taobao UserBehavior, Tmall (IJCAI-15) and Online Retail II."""

from __future__ import annotations

import numpy as np

from recbole_attnseq.data.prepare.source import Batch, Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import chained, mapped, text_map

_TAOBAO = Table(files=("UserBehavior.csv",), columns=("user", "item", "category", "behaviour", "time"))

add(
    name="taobao",
    domain="e-commerce",
    title="Taobao UserBehavior: views, carts, favourites and purchases of nine days of 2017",
    page="https://tianchi.aliyun.com/dataset/649",
    licence="research use, by the owner's terms",
    size="about 900 MB",
    citation="Zhu et al., Learning Tree-based Deep Model for Recommender Systems, KDD 2018",
    get="UserBehavior.csv.zip; needs an account",
    interactions=(
        Interactions(table=_TAOBAO, user="user", item="item", time="time", fields=(Field("behaviour:token"),)),
    ),
    side=(Side(kind="item", table=_TAOBAO, key="item", fields=(Field("category:token"),)),),
    # The owner states nine days, in Chinese time; some rows carry dates far outside, even before 1970.
    earliest="2017-11-25T00:00:00+08:00",
    latest="2017-12-04T00:00:00+08:00",
)

_ACTIONS = {"0": "click", "1": "cart", "2": "purchase", "3": "favourite"}


def _month_and_day(text: str) -> str | None:
    # "511" is the 11th of May. The file has no year; every row has the same, so that any keeps the order.
    return f"2014{text.strip().zfill(4)}" if text.strip().isdigit() else None


add(
    name="tmall",
    domain="e-commerce",
    title="Tmall: half a year of clicks and purchases before a Double 11 day (IJCAI-15)",
    page="https://tianchi.aliyun.com/dataset/42",
    licence="research use, by the owner's terms",
    size="",
    citation="IJCAI-15 Repeat Buyers Prediction, Tianchi",
    get="data_format1.zip (user_log_format1.csv, user_info_format1.csv); needs an account",
    interactions=(
        Interactions(
            table=Table(
                files=("user_log_format1.csv",),
                compute=chained(
                    text_map("time_stamp", _month_and_day),
                    text_map("action_type", lambda code: _ACTIONS.get(code, code)),
                ),
            ),
            user="user_id",
            item="item_id",
            time="time_stamp",
            unit="%Y%m%d",
            fields=(Field("behaviour:token", "action_type"),),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=("user_log_format1.csv",)),
            key="item_id",
            fields=(
                Field("category:token", "cat_id"),
                Field("seller:token", "seller_id"),
                Field("brand:token", "brand_id"),
            ),
        ),
        Side(
            kind="user",
            table=Table(files=("user_info_format1.csv",), optional=True),
            key="user_id",
            fields=(Field("age_range:token"), Field("gender:token")),
        ),
    ),
    notes=("the file has days without a year: the order is right, the year 2014 is assumed",),
)


def _retail(batch: Batch) -> Batch:
    """Excel's serial dates as ISO dates, and whether an invoice is a cancellation."""
    result = dict(batch)
    if "InvoiceDate" in batch:
        result["InvoiceDate"] = mapped(batch["InvoiceDate"], _serial)
    if "Invoice" in batch:
        result["kind"] = mapped(
            batch["Invoice"],
            lambda text: "cancellation" if text.strip().upper().startswith("C") else "purchase",
        )
    return result


def _serial(text: str) -> str:
    try:
        days = float(text)
    except ValueError:
        return text
    # Day 25569 of Excel's calendar is 1970-01-01; the fraction is exact to the second only after rounding.
    whole = round((days - 25569) * 86400)
    day, second = divmod(whole, 86400)
    return f"{np.datetime64(day, 'D')}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


_FIELDS = (
    Field("behaviour:token", "kind"),
    Field("quantity:float", "Quantity"),
    Field("price:float", "Price"),
)

add(
    name="online-retail-ii",
    domain="e-commerce",
    title="Online Retail II: invoices of a British gift shop, 2009 to 2011",
    page="https://archive.ics.uci.edu/dataset/502/online+retail+ii",
    licence="CC BY 4.0",
    size="45 MB",
    citation="Chen, Online Retail II, UCI Machine Learning Repository, 2019",
    get="online_retail_II.xlsx, or the zip around it, or the same as CSV",
    interactions=tuple(
        Interactions(
            table=Table(files=(f"*nline*etail*.{suffix}",), format=form, compute=_retail, needs=("Invoice",)),
            user="Customer ID",
            item="StockCode",
            time="InvoiceDate",
            unit="iso",
            fields=_FIELDS,
            # The workbook and its CSV write customers as 13085.0.
            float_ids=True,
        )
        for suffix, form in (("xlsx", "xlsx"), ("csv", "delimited"))
    ),
    alternatives=True,
    behaviours=("purchase",),
    side=(
        Side(
            kind="item",
            table=Table(files=("*nline*etail*.xlsx",), format="xlsx", optional=True),
            key="StockCode",
            fields=(Field("title:token_seq", "Description"),),
        ),
        Side(
            kind="item",
            table=Table(files=("*nline*etail*.csv",), optional=True),
            key="StockCode",
            fields=(Field("title:token_seq", "Description"),),
        ),
    ),
)
