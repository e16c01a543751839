"""Films, games and short videos: samples in the owners' formats against atomic files worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_attnseq.errors import UserError
from tests.data.prepare.helpers import adds_up, gz, lines, made, tarred, text, write, zipped


def test_movielens_100k(tmp_path: Path) -> None:
    genres = ["0"] * 19
    genres[3] = genres[5] = "1"
    path = zipped(
        tmp_path / "ml-100k.zip",
        {
            "ml-100k/u.data": text("196\t242\t3\t881250949", "196\t302\t3\t881250948", "22\t242\t1\t878887116"),
            "ml-100k/u.item": text(
                "242|Café (1997)|24-Jan-1997||http://us.imdb.com/M|" + "|".join(genres), encoding="latin-1"
            ),
            "ml-100k/u.user": text("196|49|M|writer|55105"),
        },
    )
    prepared = made("ml-100k", path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\trating:float",
        "196\t302\t881250948\t3",
        "196\t242\t881250949\t3",
        "22\t242\t878887116\t1",
    ]
    assert lines(prepared, "item") == [
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tgenre:token_seq",
        "242\tCafé\t1997\tAnimation Comedy",
        # Every item has a row: RecBole drops interactions whose item the file lacks.
        "302\t\t\t",
    ]
    assert lines(prepared, "user")[1] == "196\t49\tM\twriter\t55105"


def test_movielens_1m_latin_1_and_ties(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "ml-1m.zip",
        {
            # Ties in time keep the order of the file, which is not that of the ids.
            "ml-1m/ratings.dat": text(
                "1::3186::4::978300019", "1::1270::5::978300055", "1::1721::4::978300055", "1::1022::5::978300055"
            ),
            "ml-1m/movies.dat": text(
                "3186::Girl, Interrupted (1999)::Drama",
                "1270::Misérables, Les (1995)::Drama|Musical",
                "1721::Seven (Se7en) (1995)::Crime|Children's",
                encoding="latin-1",
            ),
            "ml-1m/users.dat": text("1::F::1::10::48067"),
        },
    )
    prepared = made("ml-1m", path, tmp_path)
    assert [line.split("\t")[1] for line in lines(prepared)[1:]] == ["3186", "1270", "1721", "1022"]
    assert lines(prepared, "item")[1:] == [
        "3186\tGirl, Interrupted\t1999\tDrama",
        "1270\tMisérables, Les\t1995\tDrama Musical",
        "1721\tSeven (Se7en)\t1995\tCrime Children's",
        "1022\t\t\t",
    ]
    assert lines(prepared, "user") == [
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
        "1\t1\tF\t10\t48067",
    ]
    assert prepared.summary.ties == 2
    assert "1 items have no fields in the item file" in prepared.report.notes


@pytest.mark.parametrize("name", ["ml-20m", "ml-25m", "ml-32m", "ml-latest", "ml-latest-small"])
def test_movielens_csv(tmp_path: Path, name: str) -> None:
    path = zipped(
        tmp_path / f"{name}.zip",
        {
            f"{name}/ratings.csv": text(
                "userId,movieId,rating,timestamp", "1,307,3.5,1256677221", "1,481,4.0,1256677210"
            ),
            f"{name}/movies.csv": text("movieId,title,genres", '307,"Three, Two (1993)",(no genres listed)'),
        },
    )
    prepared = made(name, path, tmp_path, min_rating=3.5)
    assert lines(prepared)[1:] == ["1\t481\t1256677210\t4", "1\t307\t1256677221\t3.5"]
    assert lines(prepared, "item")[1] == "307\tThree, Two\t1993\t(no_genres_listed)"
    assert made(name, path, tmp_path, min_rating=4).report.dropped == {"rated below 4": 1}


@pytest.mark.parametrize(
    ("name", "file", "other"),
    [("kuairec", "big_matrix", "kuairec-small"), ("kuairec-small", "small_matrix", "kuairec")],
)
def test_kuairec_float_ids_and_missing_times(tmp_path: Path, name: str, file: str, other: str) -> None:
    matrix = text(
        "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio",
        "14.0,148,4381,6067,2020-07-05 05:27:48.378,20200705,1593898068.378,0.722",
        "14,183.0,11635,6100,2020-07-05 05:28:00.057,20200705,1593898080.057,1.9",
        "14,148,1,6067,,,,0.1",
    )
    path = zipped(
        tmp_path / "KuaiRec.zip",
        {
            f"KuaiRec 2.0/data/{file}.csv": matrix,
            "KuaiRec 2.0/data/item_categories.csv": text("video_id,feat", '148,"[8, 27]"', "183,[9]"),
            "KuaiRec 2.0/data/user_features.csv": text(
                "user_id,user_active_degree,is_video_author", "14,high_active,1"
            ),
        },
    )
    prepared = made(name, path, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\twatch_ratio:float\tplay_duration:float\tvideo_duration:float",
        "14\t148\t1593898068.378\t0.722\t4381\t6067",
        "14\t183\t1593898080.057\t1.9\t11635\t6100",
    ]
    assert lines(prepared, "item") == ["item_id:token\tcategories:token_seq", "148\t8 27", "183\t9"]
    assert lines(prepared, "user") == [
        "user_id:token\tuser_active_degree:token\tis_video_author:token",
        "14\thigh_active\t1",
    ]
    assert prepared.report.dropped == {"without a time": 1}
    with pytest.raises(UserError, match=rf"'{other}': it lacks (big|small)_matrix\.csv.*holds KuaiRec 2\.0"):
        made(other, path, tmp_path)


def test_kuairand_leaves_random_exposures_out(tmp_path: Path) -> None:
    head = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,long_view,play_time_ms,duration_ms,tab"
    path = tarred(
        tmp_path / "KuaiRand-1K.tar.gz",
        {
            "KuaiRand-1K/data/log_standard_4_08_to_4_21_1k.csv": text(
                head, "0,3784,20220411,1600,1649665200123,1,0,0,1,9000,10000,1"
            ),
            "KuaiRand-1K/data/log_standard_4_22_to_5_08_1k.csv": text(
                head, "0,55,20220401,1600,1649664200123,0,0,0,0,0,10000,1"
            ),
            "KuaiRand-1K/data/log_random_4_22_to_5_08_1k.csv": text(
                head, "0,99,20220401,1600,1649664200123,0,0,0,0,0,10000,1"
            ),
            "KuaiRand-1K/data/video_features_basic_1k.csv": text(
                "video_id,author_id,video_type,upload_dt,upload_type,video_duration,music_id,tag",
                '3784,7,NORMAL,2022-01-01,ShortImport,10000.0,4,"12,65"',
            ),
        },
    )
    prepared = made("kuairand", path, tmp_path)
    assert [line.split("\t")[:3] for line in lines(prepared)[1:]] == [
        ["0", "55", "1649664200.123"],
        ["0", "3784", "1649665200.123"],
    ]
    assert lines(prepared, "item")[1] == "3784\t7\tNORMAL\tShortImport\t10000\t4\t12 65"


def test_microlens_titles_with_commas(tmp_path: Path) -> None:
    raw = write(
        tmp_path / "raw",
        **{
            "MicroLens-100k_pairs__csv": text(
                "user,item,timestamp", "36121,9580,1583378629552", "36121,1,1583378620552"
            ),
            "MicroLens-100k_title_en__csv": text("9580,Cats, dogs, and more", '1,"Said ""yes"""'),
        },
    )
    prepared = made("microlens", raw, tmp_path)
    assert lines(prepared)[1:] == ["36121\t1\t1583378620.552", "36121\t9580\t1583378629.552"]
    assert lines(prepared, "item")[1:] == ["9580\tCats, dogs, and more", '1\tSaid "yes"']


def test_amazon_video_games(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", ratings_Video_Games__csv=text("A,B00,5.0,1400000000"))
    assert lines(made("amazon-video-games", raw, tmp_path))[1:] == ["A\tB00\t1400000000\t5"]


def test_movietweetings_keeps_ids_as_written(tmp_path: Path) -> None:
    # Ids of films begin with zeros, and both files are UTF-8, where MovieLens's are Latin-1.
    folder = write(
        tmp_path / "100K",
        ratings__dat=text("1::0120338::7::1365029107", "1::0012349::9::1365029100"),
        movies__dat=text("0120338::Amélie (2001)::Comedy|Romance"),
    )
    prepared = made("movietweetings", folder, tmp_path)
    assert lines(prepared)[1:] == ["1\t0012349\t1365029100\t9", "1\t0120338\t1365029107\t7"]
    assert lines(prepared, "item")[1:] == ["0120338\tAmélie\t2001\tComedy Romance", "0012349\t\t\t"]


def test_steam_python_literals(tmp_path: Path) -> None:
    line = "{u'username': u'Chaos \"S\"', u'hours': 0.1, u'product_id': u'725280', u'date': u'2017-12-17'}"
    reviews = text(
        line, line, "{u'username': u'Ann', u'product_id': u'10', u'date': u'2017-12-16', u'early_access': True}"
    )
    games = text(
        "{u'id': u'725280', u'app_name': u'Psycho', u'title': u'Psycho!', u'genres': [u'Action', u'Free to Play'],"
        " u'price': u'Free'}"
    )
    raw = write(tmp_path / "raw", steam_reviews__json__gz=gz(reviews), steam_games__json__gz=gz(games))
    prepared = made("steam", raw, tmp_path)
    assert lines(prepared) == [
        "user_id:token\titem_id:token\ttimestamp:float\thours:float\tearly_access:token",
        'Chaos "S"\t725280\t1513468800\t0.1\t',
        "Ann\t10\t1513382400\t\tTrue",
    ]
    assert lines(prepared, "item") == [
        "item_id:token\ttitle:token_seq\tgenres:token_seq",
        "725280\tPsycho!\tAction Free_to_Play",
        "10\t\t",
    ]
    assert adds_up(prepared)
