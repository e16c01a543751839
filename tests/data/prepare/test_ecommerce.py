"""Shops: samples in the owners' formats against atomic files worked out by hand."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from recbole_attnseq.data.prepare.sources.amazon import dollars
from tests.data.prepare.helpers import adds_up, gz, lines, made, text, write, zipped


def test_amazon_2014_reviews(tmp_path: Path) -> None:
    first = (
        '{"reviewerID": "A1", "asin": "B01", "overall": 5.0, "reviewText": "tab\\there", "unixReviewTime": 1400000100}'
    )
    reviews = text(
        first,
        '{"reviewerID": "A2", "asin": "B01", "overall": 2.0, "unixReviewTime": 1400000000}',
        '{"reviewerID": "A1", "asin": "B02", "overall": 4.0, "unixReviewTime": 1400000050}',
        first,
        '{"reviewerID": "A1", "asin": "B0',
    )
    # The metadata are Python literals: single quotes, nested category lists, prices that are missing.
    meta = text(
        "{'asin': 'B01', 'title': '\"Quoted\" Soap', 'price': 9.5,"
        " 'categories': [['Beauty', 'Bath & Body'], ['Beauty', 'Soap']]}",
        "{'asin': 'B02', 'title': u'Caf\\xe9', 'brand': 'Nice', 'categories': [['Beauty']]}",
        "{'asin': 'B99', 'title': 'never bought'}",
    )
    raw = write(tmp_path / "raw", reviews_Beauty_5__json__gz=gz(reviews), meta_Beauty__json__gz=gz(meta))
    prepared = made("amazon-beauty", raw, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\trating:float",
        "A1\tB02\t1400000050\t4",
        "A1\tB01\t1400000100\t5",
        "A2\tB01\t1400000000\t2",
    ]
    assert lines(prepared, "item") == [
        "item_id:token\ttitle:token_seq\tcategories:token_seq\tbrand:token\tprice:float",
        "B01\t'Quoted\" Soap\tBeauty Bath_&_Body Soap\t\t9.5",
        "B02\tCafé\tBeauty\tNice\t",
    ]
    assert prepared.report.dropped == {"malformed row": 1, "repeated in user, item, time and behaviour": 1}
    assert adds_up(prepared)


def test_amazon_gz_with_rubbish_after_the_end(tmp_path: Path) -> None:
    review = text('{"reviewerID": "A1", "asin": "B01", "overall": 5.0, "unixReviewTime": 1400000000}')
    raw = write(
        tmp_path / "raw",
        reviews_Beauty_5__json__gz=gz(review) + gz(review.replace(b"A1", b"A2")) + b"rubbish",
    )
    prepared = made("amazon-beauty", raw, tmp_path)
    assert [line.split("\t")[0] for line in lines(prepared)] == ["user_id:token", "A1", "A2"]


@pytest.mark.parametrize(
    ("name", "row"), [("amazon-2014", "A1,B1,3.0,1400000000"), ("amazon-2018", "B1,A1,3.0,1400000000")]
)
def test_amazon_ratings_only(tmp_path: Path, name: str, row: str) -> None:
    file = "ratings_Beauty__csv" if name == "amazon-2014" else "All_Beauty__csv"
    prepared = made(name, write(tmp_path / "raw", **{file: text(row)}), tmp_path)
    assert lines(prepared)[1:] == ["A1\tB1\t1400000000\t3"]


def test_amazon_2018_prices_and_2023_milliseconds(tmp_path: Path) -> None:
    raw = write(
        tmp_path / "raw18",
        Gift_Cards_5__json__gz=gz(
            text('{"overall": 5.0, "verified": true, "reviewerID": "A", "asin": "1", "unixReviewTime": 1540000000}')
        ),
        meta_Gift_Cards__json__gz=gz(text('{"asin": "1", "category": ["Gift Cards", "Books"], "price": "$1,234.50"}')),
    )
    prepared = made("amazon-2018", raw, tmp_path)
    assert lines(prepared)[1:] == ["A\t1\t1540000000\t5\tTrue"]
    assert lines(prepared, "item") == [
        "item_id:token\tcategories:token_seq\tprice:float",
        "1\tGift_Cards Books\t1234.5",
    ]
    raw = write(
        tmp_path / "raw23",
        All_Beauty__jsonl__gz=gz(
            text('{"rating": 4.0, "asin": "X", "parent_asin": "P", "user_id": "A", "timestamp": 1588687728923}')
        ),
    )
    prepared = made("amazon-2023", raw, tmp_path)
    assert lines(prepared)[1:] == ["A\tP\t1588687728.923\t4"]
    assert "no meta_*.jsonl" in prepared.report.notes[0]
    assert [dollars("$5.99"), dollars("5"), dollars("$1.00 - $2.00"), dollars(".a-box{}")] == [
        "5.99",
        "5",
        None,
        None,
    ]


def test_retailrocket(tmp_path: Path) -> None:
    events = text(
        "timestamp,visitorid,event,itemid,transactionid",
        "1433221332117,257597,view,355908,",
        "1433221078505,257597,addtocart,1,",
        "1433222276276,158090,transaction,1,4000",
    )
    properties = text(
        "timestamp,itemid,property,value",
        "1435460400000,1,categoryid,1338",
        "1441508400000,1,888,1116713 960601 n277.200",
        "1433041200000,1,categoryid,7",
    )
    path = zipped(
        tmp_path / "archive.zip",
        {
            "events.csv": events,
            "item_properties_part1.csv": properties,
            "category_tree.csv": text("categoryid,parentid"),
        },
    )
    prepared = made("retailrocket", path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token",
        "257597\t1\t1433221078.505\taddtocart",
        "257597\t355908\t1433221332.117\tview",
        "158090\t1\t1433222276.276\ttransaction",
    ]
    # The later snapshot gives the category, though it stands first in the file.
    assert lines(prepared, "item") == ["item_id:token\tcategory:token", "355908\t", "1\t1338"]
    views = made("retailrocket", path, tmp_path, behaviours=("view",))
    assert views.summary.interactions == 1
    assert views.report.dropped == {"of another behaviour than view": 2}


def test_diginetica_time_of_day_decides(tmp_path: Path) -> None:
    views = text(
        "sessionId;userId;itemId;timeframe;eventdate",
        "1;NA;81766;526309;2016-05-09",
        "1;NA;31331;1031018;2016-05-09",
        "1;NA;32118;243569;2016-05-09",
        "2;77;81766;0;2016-05-10",
    )
    raw = write(
        tmp_path / "raw",
        **{
            "train-item-views__csv": views,
            "train-purchases__csv": text(
                "sessionId;userId;timeframe;eventdate;ordernumber;itemId", "1;NA;99;2016-05-09;5;9"
            ),
            "products__csv": text("itemId;pricelog2;product.name.tokens", "81766;10.5;4875,776"),
            "product-categories__csv": text("itemId;categoryId", "81766;1096"),
        },
    )
    prepared = made("diginetica", raw, tmp_path)
    day = 1462752000
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token\taccount_id:token",
        f"1\t32118\t{day + 243}.569\tview\t",
        f"1\t81766\t{day + 526}.309\tview\t",
        f"1\t31331\t{day + 1031}.018\tview\t",
        f"2\t81766\t{day + 86400}\tview\t77",
    ]
    assert lines(prepared, "item") == [
        "item_id:token\tcategory:token\tprice_log2:float\tname:token_seq",
        "81766\t1096\t10.5\t4875 776",
        *(f"{item}\t\t\t" for item in ("31331", "32118")),
    ]
    everything = made("diginetica", raw, tmp_path, behaviours=("all",))
    assert everything.summary.interactions == 5


def test_yoochoose(tmp_path: Path) -> None:
    clicks = text(
        "1,2014-04-07T10:51:09.277Z,214536502,0",
        "1,2014-04-07T10:54:09.868Z,214536500,S",
        "2,2014-04-07T13:56:37.614Z,214662742,0",
    )
    buys = text("1,2014-04-07T11:00:00.000Z,214536502,12462,1")
    raw = write(tmp_path / "raw", **{"yoochoose-clicks__dat": clicks, "yoochoose-buys__dat": buys})
    prepared = made("yoochoose", raw, tmp_path, behaviours=("all",))
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token\tcategory:token\tprice:float\tquantity:float",
        "1\t214536502\t1396867869.277\tclick\t0\t\t",
        "1\t214536500\t1396868049.868\tclick\tS\t\t",
        "1\t214536502\t1396868400\tbuy\t\t12462\t1",
        "2\t214662742\t1396878997.614\tclick\t0\t\t",
    ]
    assert made("yoochoose", raw, tmp_path).summary.interactions == 3


def test_taobao_dates_outside_the_log(tmp_path: Path) -> None:
    rows = text(
        "1,2268318,2520377,pv,1511544070",
        "1,2333346,2520771,pv,-1512022142",
        "1,2576651,149192,buy,1511572885",
        "2,2268318,2520377,cart,2122867355",
        "2,2268318,2520377,fav,1512316800",
    )
    prepared = made("taobao", zipped(tmp_path / "UserBehavior.csv.zip", {"UserBehavior.csv": rows}), tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token",
        "1\t2268318\t1511544070\tpv",
        "1\t2576651\t1511572885\tbuy",
    ]
    assert lines(prepared, "item")[1:] == ["2268318\t2520377", "2576651\t149192"]
    assert sum(prepared.report.dropped.values()) == 3
    assert prepared.report.dropped["whose time lies before 1970"] == 1
    assert adds_up(prepared)


def test_tmall_days_without_year_or_leading_zero(tmp_path: Path) -> None:
    log = text(
        "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type",
        "328862,323294,833,2882,2661,829,0",
        "328862,844400,1271,2882,2661,1111,2",
        "328862,575153,1271,2882,,511,3",
    )
    users = text("user_id,age_range,gender", "328862,6,1")
    path = zipped(
        tmp_path / "data_format1.zip",
        {"data_format1/user_log_format1.csv": log, "data_format1/user_info_format1.csv": users},
    )
    prepared = made("tmall", path, tmp_path)
    assert lines(prepared)[1:] == [
        "328862\t575153\t1399766400\tfavourite",
        "328862\t323294\t1409270400\tclick",
        "328862\t844400\t1415664000\tpurchase",
    ]
    assert sorted(lines(prepared, "item")[1:]) == [
        "323294\t833\t2882\t2661",
        "575153\t1271\t2882\t",
        "844400\t1271\t2882\t2661",
    ]
    assert lines(prepared, "user") == ["user_id:token\tage_range:token\tgender:token", "328862\t6\t1"]


def _workbook() -> bytes:
    """A workbook of two sheets, as Excel writes it: shared strings, dates as serial numbers."""
    names = [
        "Invoice",
        "StockCode",
        "Description",
        "Quantity",
        "InvoiceDate",
        "Price",
        "Customer ID",
        "Country",
    ]
    strings = [*names, "85048", "CHRISTMAS LIGHTS", "C489449", "22087"]
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'

    def cell(column: str, row: int, value: object) -> str:
        if isinstance(value, str):
            return f'<c r="{column}{row}" t="s"><v>{strings.index(value)}</v></c>'
        return "" if value is None else f'<c r="{column}{row}"><v>{value}</v></c>'

    def sheet(rows: list[list[object]]) -> str:
        body = "".join(
            f'<row r="{number}">' + "".join(cell(c, number, v) for c, v in zip("ABCDEFGH", row, strict=True)) + "</row>"
            for number, row in enumerate([names, *rows], start=1)
        )
        return f"<worksheet {space}><sheetData>{body}</sheetData></worksheet>"

    first = [
        [489434, "85048", "CHRISTMAS LIGHTS", 12, 40148.32291666666, 6.95, 13085, "CHRISTMAS LIGHTS"],
        [489435, "85048", "CHRISTMAS LIGHTS", 1, 40148.33, 6.95, None, None],
    ]
    second = [["C489449", "22087", None, -12, 40513.5, 2.95, 13085, None]]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as book:
        shared = "".join(f"<si><t>{value}</t></si>" for value in strings)
        book.writestr("xl/sharedStrings.xml", f"<sst {space}>{shared}</sst>")
        book.writestr("xl/worksheets/sheet1.xml", sheet(first))
        book.writestr("xl/worksheets/sheet2.xml", sheet(second))
    return buffer.getvalue()


def test_online_retail_workbook_in_its_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "online+retail+ii.zip", {"online_retail_II.xlsx": _workbook()})
    prepared = made("online-retail-ii", path, tmp_path, behaviours=("all",))
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token\tquantity:float\tprice:float",
        # Day 40148 is 2009-12-01, and .3229166 of it is 07:45.
        "13085\t85048\t1259653500\tpurchase\t12\t6.95",
        "13085\t22087\t1291204800\tcancellation\t-12\t2.95",
    ]
    assert lines(prepared, "item") == ["item_id:token\ttitle:token_seq", "85048\tCHRISTMAS LIGHTS", "22087\t"]
    assert prepared.report.dropped == {"without a user": 1}
    assert made("online-retail-ii", path, tmp_path).summary.interactions == 1


def test_online_retail_csv_with_float_customers(tmp_path: Path) -> None:
    rows = text(
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country",
        '489434,79323P,"PINK ""LIGHTS"", BIG",12,2009-12-01 07:45:00,6.75,13085.0,United Kingdom',
    )
    prepared = made("online-retail-ii", write(tmp_path / "raw", online_retail_II__csv=rows), tmp_path)
    assert lines(prepared)[1:] == ["13085\t79323P\t1259653500\tpurchase\t12\t6.75"]
    assert lines(prepared, "item")[1] == '79323P\tPINK "LIGHTS", BIG'
