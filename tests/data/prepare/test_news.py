"""News logs: samples in the owners' formats against atomic files worked out by hand."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_attnseq.data.prepare.sources.mind import entities
from recbole_attnseq.errors import UserError
from tests.data.prepare.helpers import adds_up, lines, made, tarred, text, write, zip_bytes, zipped

_NEWS = text(
    "N1\tnews\tnewsus\tTitle one\tAbstract\thttps://a\t"
    '[{"Label": "US", "Type": "G", "WikidataId": "Q30", "Confidence": 1.0}]\t[]',
    'N2\tsports\tgolf\t"Quoted" title\t\thttps://b\t[]\t[]',
)
_TRAIN = text(
    # The lines of a user are in no order of time.
    "1\tU1\t11/11/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0",
    "2\tU1\t11/10/2019 11:30:54 PM\tN1 N2\tN5-0 N2-1",
    "3\tU2\t11/12/2019 12:00:00 PM\t\tN1-1",
)
_DEV = text("1\tU1\t11/15/2019 8:00:00 AM\tN1 N2 N2 N3\tN5-1 N1-0", "2\tU3\t11/15/2019 12:00:00 AM\tN4\tN1-0")


def _mind(tmp_path: Path) -> Path:
    # The folder's own name must not be taken for that of a part.
    raw = tmp_path / "training" / "raw"
    raw.mkdir(parents=True)
    vectors = text("Q30\t0.1\t-0.2\t0.3", "Q30\t9\t9\t9")
    files = {"behaviors.tsv": _TRAIN, "news.tsv": _NEWS, "entity_embedding.vec": vectors}
    zipped(raw / "MINDsmall_train.zip", files)
    # Unpacked and packed may lie side by side.
    write(raw / "MINDsmall_dev", behaviors__tsv=_DEV, news__tsv=_NEWS)
    return raw


def test_mind_history_clicks_and_empty_history(tmp_path: Path) -> None:
    prepared = made("mind-small", _mind(tmp_path), tmp_path)
    # U1's history stands before the earliest impression, 2019-11-10 23:30:54, and is given once: the history
    # of the second part repeats it together with the clicks of the first.
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token",
        "U1\tN1\t1573428652\thistory",
        "U1\tN2\t1573428653\thistory",
        "U1\tN2\t1573428654\tclick",
        "U1\tN3\t1573463158\tclick",
        "U1\tN5\t1573804800\tclick",
        "U2\tN1\t1573560000\tclick",
        "U3\tN4\t1573775999\thistory",
    ]
    assert lines(prepared, "item") == [
        "item_id:token\tcategory:token\tsubcategory:token\ttitle:token_seq\tabstract:token_seq\tentities:token_seq",
        "N1\tnews\tnewsus\tTitle one\tAbstract\tQ30",
        "N2\tsports\tgolf\t'Quoted\" title\t\t",
        *(f"{item}\t\t\t\t\t" for item in ("N3", "N4", "N5")),
    ]
    assert lines(prepared, "ent") == ["ent_id:token\tent_emb:float_seq", "Q30\t0.1 -0.2 0.3"]
    assert prepared.report.dropped == {"of another behaviour than history, click": 4}
    assert adds_up(prepared)
    assert set(prepared.record["files"]) == {"mind-small.inter", "mind-small.item", "mind-small.ent"}


def test_mind_with_what_was_shown(tmp_path: Path) -> None:
    prepared = made("mind-demo", _mind(tmp_path), tmp_path, behaviours=("all",))
    shown = [line.split("\t")[:2] for line in lines(prepared) if line.endswith("\tshown")]
    assert shown == [["U1", "N5"], ["U1", "N4"], ["U1", "N1"], ["U3", "N1"]]


def test_mind_test_part_without_labels(tmp_path: Path) -> None:
    raw = write(tmp_path / "MINDlarge_test", behaviors__tsv=text("1\tU1\t11/19/2019 9:05:58 AM\tN1\tN2 N3"))
    prepared = made("mind-large", raw, tmp_path)
    assert lines(prepared)[1:] == ["U1\tN1\t1574154357\thistory"]
    assert prepared.report.dropped == {"shown in an impression without click labels": 2}
    assert adds_up(prepared)


def test_mind_bad_lines(tmp_path: Path) -> None:
    rows = text(
        "1\tU1\t11/19/2019 9:05:58 AM\tN1\tN2-1",
        "2\tU2\tyesterday\tN1\tN2-1",
        "only three\tcolumns\there",
    )
    prepared = made("mind-small", write(tmp_path / "MINDsmall_train", behaviors__tsv=rows), tmp_path)
    assert prepared.summary.interactions == 2
    assert prepared.report.dropped == {"malformed row": 1, "without a time": 2}
    assert adds_up(prepared)
    with pytest.raises(UserError, match=r"holds no behaviors\.tsv"):
        made("mind-small", write(tmp_path / "other", news__tsv=_NEWS), tmp_path)


@pytest.mark.parametrize("name", ["nemig-en", "nemig-de"])
def test_nemig_order_without_times(tmp_path: Path, name: str) -> None:
    raw = write(
        tmp_path / "raw",
        behaviors__tsv=text(
            # The owner's lines are shuffled; the numbers of the impressions tell their order.
            "8198\tU3794\tnews_5680 news_1586\tnews_9-1",
            "8197\tU3794\tnews_5680 news_1586\tnews_6272-0 news_1176-1",
            "x\tU3794\tnews_5680 news_1586\tnews_7-1",
        ),
        news__tsv=text(
            "news_1586\tBiden’s orders\tText\t"
            "[{'SurfaceForms': 'Biden', 'WikidataId': 'https://www.wikidata.org/wiki/Q6279'}]\t[]\tcourts\tNeutral\tleft"
        ),
    )
    prepared = made(name, raw, tmp_path)
    assert [line.split("\t")[1:] for line in lines(prepared)[1:]] == [
        ["news_5680", "0", "history"],
        ["news_1586", "1", "history"],
        ["news_1176", "8199", "click"],
        ["news_9", "8200", "click"],
    ]
    assert prepared.report.dropped["without a time"] == 1
    assert lines(prepared, "item")[2] == "news_1586\tBiden’s orders\tText\tcourts\tNeutral\tleft\tQ6279"
    assert prepared.summary.ordinal
    assert entities("[{'WikidataId': 'Q1'}, {\"WikidataId\": \"Q1\"}, {'WikidataId': 'Q22'}]") == "Q1|Q22"


def test_adressa_front_pages_are_no_items(tmp_path: Path) -> None:
    day = text(
        '{"eventId": 1, "userId": "cx:1", "id": "abc", "time": 1483225227, "activeTime": 16, "title": "Snø",'
        ' "category1": "nyheter|moreromsdal", "url": "http://a"}',
        '{"eventId": 2, "userId": "cx:1", "time": 1483225228, "url": "http://adressa.no"}',
        '{"eventId": 3, "userId": "cx:1", "id": "def", "time": 1483225200}',
        "{broken",
    )
    path = tarred(tmp_path / "one_week.tar.gz", {"one_week/20170101": day})
    prepared = made("adressa", path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tactive_time:float",
        "cx:1\tdef\t1483225200\t",
        "cx:1\tabc\t1483225227\t16",
    ]
    assert lines(prepared, "item") == [
        "item_id:token\ttitle:token_seq\tcategory:token_seq",
        "abc\tSnø\tnyheter moreromsdal",
        "def\t\t",
    ]
    assert prepared.report.dropped == {"without an item": 1, "malformed row": 1}
    assert adds_up(prepared)


def _parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["ebnerd-demo", "ebnerd-small", "ebnerd-large"])
def test_ebnerd_lists(tmp_path: Path, name: str) -> None:
    def at(*seconds: int) -> list[datetime.datetime]:
        return [datetime.datetime(2023, 5, 1, 12, 0, second) for second in seconds]

    stamp = pa.list_(pa.timestamp("us"))

    def history(items: list[list[int] | None], times: list[list[datetime.datetime] | None]) -> bytes:
        return _parquet(
            user_id=pa.array([10, 11], pa.uint32()),
            impression_time_fixed=pa.array(times, stamp),
            scroll_percentage_fixed=pa.array([[50.0] * len(i or []) for i in items], pa.list_(pa.float32())),
            article_id_fixed=pa.array(items, pa.list_(pa.int32())),
            read_time_fixed=pa.array([[7.0] * len(i or []) for i in items], pa.list_(pa.float32())),
        )

    behaviors = _parquet(
        impression_id=pa.array([1, 2], pa.uint32()),
        article_id=pa.array([None, 3.0], pa.float64()),
        impression_time=pa.array(at(30, 31), pa.timestamp("us")),
        article_ids_inview=pa.array([[7, 8], [9]], pa.list_(pa.int32())),
        article_ids_clicked=pa.array([[8], []], pa.list_(pa.int32())),
        user_id=pa.array([10, 11], pa.uint32()),
        session_id=pa.array([99, 98], pa.uint32()),
    )
    articles = _parquet(
        article_id=pa.array([7, 8], pa.int32()),
        title=pa.array(["Hjælp", "Nyt"]),
        category_str=pa.array(["krimi", "sport"]),
        topics=pa.array([["Kendt", "Stor begivenhed"], []], pa.list_(pa.string())),
    )
    path = zipped(
        tmp_path / f"{name}.zip",
        {
            "articles.parquet": articles,
            "train/history.parquet": history([[7, 8], []], [at(2, 1), []]),
            "validation/history.parquet": history([[7], [8]], [at(2), at(5)]),
            "train/behaviors.parquet": behaviors,
        },
    )
    prepared = made(name, path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tbehaviour:token\tread_time:float\tscroll_percentage:float\tsession_id:token",
        "10\t8\t1682942401\thistory\t7\t50\t",
        "10\t7\t1682942402\thistory\t7\t50\t",
        "10\t8\t1682942430\tclick\t\t\t99",
        "11\t8\t1682942405\thistory\t7\t50\t",
    ]
    assert lines(prepared, "item") == [
        "item_id:token\ttitle:token_seq\tcategory:token\ttopics:token_seq",
        "7\tHjælp\tkrimi\tKendt Stor_begivenhed",
        "8\tNyt\tsport\t",
    ]
    assert prepared.report.dropped == {"repeated in user, item, time and behaviour": 1}
    assert adds_up(prepared)


def test_globo_zip_in_zip(tmp_path: Path) -> None:
    head = (
        "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,"
        "click_environment,click_deviceGroup,click_os,click_country,click_region,click_referrer_type"
    )
    clicks = zip_bytes(
        {
            "clicks/clicks_hour_001.csv": text(
                head, "0,1506825423271737,1506825423000,2,157541,1506826828020,4,3,20,1,20,2"
            ),
            "clicks/clicks_hour_000.csv": text(
                head, "0,1506825423271737,1506825423000,2,68866,1506826858020,4,3,20,1,20,2"
            ),
        }
    )
    metadata = text("article_id,category_id,created_at_ts,publisher_id,words_count", "68866,136,1503235585000,0,190")
    path = zipped(tmp_path / "archive.zip", {"clicks.zip": clicks, "articles_metadata.csv": metadata})
    prepared = made("globo", path, tmp_path)
    assert [line.split("\t")[:4] for line in lines(prepared)[1:]] == [
        ["0", "157541", "1506826828.02", "1506825423271737"],
        ["0", "68866", "1506826858.02", "1506825423271737"],
    ]
    assert lines(prepared, "item")[1] == "68866\t136\t0\t190\t1503235585000"


def test_deskdrop(tmp_path: Path) -> None:
    raw = write(
        tmp_path / "raw",
        users_interactions__csv=text(
            "timestamp,eventType,contentId,personId,sessionId,userAgent,userRegion,userCountry",
            "1465413032,VIEW,-3499919498720038879,-8845298781299428018,1264196770339959068,,,",
            '1465413031,LIKE,1,-8845298781299428018,1264196770339959068,"Mozilla/5.0 (X11, Linux)",SP,BR',
        ),
    )
    assert lines(made("deskdrop", raw, tmp_path))[1:] == [
        "-8845298781299428018\t1\t1465413031\tLIKE\t1264196770339959068",
        "-8845298781299428018\t-3499919498720038879\t1465413032\tVIEW\t1264196770339959068",
    ]
