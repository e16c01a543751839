"""Listening logs: samples in the owners' formats against atomic files worked out by hand."""

from __future__ import annotations

import bz2
from pathlib import Path

from tests.data.prepare.helpers import adds_up, lines, made, tarred, text, write, zipped

_LOG = text(
    "user_000001\t2009-05-04T23:08:57Z\tf1b1cf71\tDeep Dish\t\tFuck Me Im Famous (Pacha Ibiza)-09-28-2007",
    "user_000001\t2009-05-04T13:54:10Z\ta7f7df4a\t坂本龍一\t5ca13249\tComposition 0919",
    "user_000001\t2013-09-28T20:51:40Z\ta7f7df4a\t坂本龍一\t5ca13249\tComposition 0919",
    'user_000002\t2006-08-13T13:59:20Z\t\tThe "Quotes"\t\t"Unclosed',
    "user_000002\t2006-08-13T14:00:00Z\t\t\t\t",
    "user_000002\tno date\tf1b1cf71\tDeep Dish\tt1\tTitle",
    "user_000002\t2006-08-13T14:05:00Z\tf1b1cf71\tDeep\tDish\tt1\tToo many columns",
)
_PROFILE = text(
    "#id\tgender\tage\tcountry\tregistered",
    "user_000001\tm\t\tJapan\tAug 13, 2006",
    "user_000002\tf\t31\tPeru\tFeb 24, 2006",
    "user_000003\tf\t19\tPeru\tFeb 24, 2006",
)


def test_lastfm_1k_missing_ids_and_bad_dates(tmp_path: Path) -> None:
    path = tarred(
        tmp_path / "lastfm-dataset-1K.tar.gz",
        {
            "lastfm-dataset-1K/userid-timestamp-artid-artname-traid-traname.tsv": _LOG,
            "lastfm-dataset-1K/userid-profile.tsv": _PROFILE,
        },
    )
    prepared = made("lastfm-1k", path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float",
        "user_000001\t5ca13249\t1241445250",
        "user_000001\tf1b1cf71 / Fuck Me Im Famous (Pacha Ibiza)-09-28-2007\t1241478537",
        'user_000002\tThe "Quotes" / "Unclosed\t1155477560',
    ]
    assert lines(prepared, "user") == [
        "user_id:token\tgender:token\tage:float\tcountry:token",
        "user_000001\tm\t\tJapan",
        "user_000002\tf\t31\tPeru",
    ]
    # A title that begins with a quote would open a quoted field for RecBole's reader.
    assert lines(prepared, "item")[3].split("\t") == ['The "Quotes" / "Unclosed', "'Unclosed", 'The "Quotes"']
    assert prepared.report.dropped == {
        "malformed row": 1,
        "without an item": 1,
        "whose time cannot be read": 1,
        "whose time lies after the log ended (2010-01-01)": 1,
    }
    assert adds_up(prepared)
    artists = made("lastfm-1k-artists", path, tmp_path)
    assert [line.split("\t")[1] for line in lines(artists)[1:]] == ["a7f7df4a", "f1b1cf71", 'The "Quotes"']


def test_lastfm_hetrec_tags_of_one_act(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "hetrec2011-lastfm-2k.zip",
        {
            "user_taggedartists-timestamps.dat": text(
                "userID\tartistID\ttagID\ttimestamp",
                "2\t52\t13\t1238536800000",
                "2\t52\t15\t1238536800000",
                "2\t63\t13\t1235858400000",
                "3\t52\t13\t-428720400000",
            ),
            "artists.dat": text("id\tname\turl\tpictureURL", "52\tMorcheeba\thttp://a\thttp://b", "63\tEnigma\t\t"),
            "user_taggedartists.dat": text(
                "userID\tartistID\ttagID\tday\tmonth\tyear",
                "2\t52\t13\t1\t4\t2009",
                "2\t52\t15\t1\t4\t2009",
                "9\t52\t13\t1\t4\t2009",
            ),
        },
    )
    prepared = made("lastfm", path, tmp_path)
    assert lines(prepared)[1:] == ["2\t63\t1235858400", "2\t52\t1238536800"]
    assert lines(prepared, "item") == [
        "item_id:token\tname:token_seq\ttags:token_seq",
        "52\tMorcheeba\t13 15",
        "63\tEnigma\t",
    ]
    assert prepared.report.dropped == {
        "whose time lies before 1970": 1,
        "repeated in user, item, time and behaviour": 1,
    }


def test_lfm_1b(tmp_path: Path) -> None:
    raw = write(
        tmp_path / "raw",
        **{
            "LFM-1b_LEs__txt": text(
                "31435741\t2\t4\t4\t1385212958", "31435741\t2\t4\t4\t1385212642", "31435742\t2\t4\t5\t1"
            ),
            "LFM-1b_tracks__txt": text("4\tBelieve\t2"),
            "LFM-1b_users__txt": text(
                "user_id\tcountry\tage\tgender\tplaycount\tregistered_unixtime", "31435741\tUK\t-1\tm\t11\t1"
            ),
        },
    )
    prepared = made("lfm-1b", raw, tmp_path, drop_repeats=True)
    assert lines(prepared)[1:] == ["31435741\t4\t1385212642", "31435742\t5\t1"]
    assert lines(prepared, "item") == ["item_id:token\ttitle:token_seq\tartist_id:token", "4\tBelieve\t2", "5\t\t"]
    assert prepared.report.dropped == {"consecutive repeats of an item": 1}


def test_lfm_2b_bzip2(tmp_path: Path) -> None:
    log = text(
        "user_id\ttrack_id\talbum_id\ttimestamp",
        "2\t36\t1\t2019-02-21 15:20:59",
        "2\t35\t1\t2019-02-20 00:00:00",
    )
    raw = write(
        tmp_path / "raw",
        **{
            "listening-events__tsv__bz2": bz2.compress(log),
            "tracks__tsv__bz2": bz2.compress(text("track_id\tartist_name\ttrack_name", "36\tAir\tLa femme d'argent")),
        },
    )
    prepared = made("lfm-2b", raw, tmp_path, session_gap=3600)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tsession_id:token",
        "2\t35\t1550620800\t1",
        "2\t36\t1550762459\t2",
    ]
    assert lines(prepared, "item")[1] == "36\tLa femme d'argent\tAir"


def test_nowplaying_hashtags_of_one_tweet(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "nowplayingrs.zip",
        {
            "user_track_hashtag_timestamp.csv": text(
                "user_id,track_id,hashtag,created_at",
                "81496937,cd52b3e5b51da29e5893dba82a418a4b,nowplaying,2014-01-01 05:54:21",
                "81496937,cd52b3e5b51da29e5893dba82a418a4b,goth,2014-01-01 05:54:21",
            ),
            "context_content_features.csv": text(
                "coordinates,danceability,artist_id,track_id", ",0.5,a1,cd52b3e5b51da29e5893dba82a418a4b"
            ),
        },
    )
    prepared = made("nowplaying-rs", path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\thashtag:token",
        "81496937\tcd52b3e5b51da29e5893dba82a418a4b\t1388555661\tnowplaying",
    ]
    assert lines(prepared, "item")[1].endswith("\ta1\t0.5")


def test_30music_sessions(tmp_path: Path) -> None:
    plays = (
        '{"subjects":[{"type":"user","id":44361}],"objects":[{"type":"track","id":4698874,"playstart":0,"playtime":495,'
        '"playratio":0.99,"action":"play"},{"type":"track","id":838286,"playstart":495,"playtime":-1}]}'
    )
    sessions = text(
        # The two objects are separated by a blank, all else by tabs.
        f'event.session\t287144\t1390231051\t{{"numtracks":2,"playtime":495}} {plays}',
        'event.session\t287145\t1390231052\t{"numtracks":1} {"subjects":[{"type":"user","id":1}],"objects":[]}',
        "event.session\t287146\tbroken",
    )
    path = tarred(
        tmp_path / "ThirtyMusic.tar.gz",
        {
            "relations/sessions.idomaar": sessions,
            "entities/tracks.idomaar": text(
                'track\t838286\t-1\t{"duration":-1,"playcount":4,"MBID":null,"name":"Air/_/Kelly+Watch+The+Stars"}\t{"artists":[]}'
            ),
        },
    )
    prepared = made("30music", path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\tsession_id:token",
        "44361\t4698874\t1390231051\t287144",
        "44361\t838286\t1390231546\t287144",
    ]
    assert lines(prepared, "item")[1:] == ["4698874\t", "838286\tAir/_/Kelly Watch The Stars"]
    assert prepared.report.dropped == {"without a user": 2}
    assert adds_up(prepared)
    event = (
        'event.play\t2\t1390217287\t{"playtime":null}\t'
        + plays.replace('"playstart":0,', "").split(',{"type":"track","id":838286')[0]
    )
    raw = write(tmp_path / "raw", events__idomaar=text(event + "]}"))
    assert lines(made("30music", raw, tmp_path))[1:] == ["44361\t4698874\t1390217287"]
