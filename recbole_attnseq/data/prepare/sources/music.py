"""Listening logs that are plain tables: LFM-1b, LFM-2b and #nowplaying-RS."""

from __future__ import annotations

from recbole_attnseq.data.prepare.source import Field, Interactions, Side, Table, add

_USERS = (Field("country:token"), Field("age:float"), Field("gender:token"))

add(
    name="lfm-1b",
    domain="music",
    title="LFM-1b: a billion listening events of 120,000 Last.fm users",
    page="http://www.cp.jku.at/datasets/LFM-1b/",
    licence="research use",
    size="about 8 GB",
    citation="Schedl, The LFM-1b Dataset for Music Retrieval and Recommendation, ICMR 2016",
    get="LFM-1b.zip (LFM-1b_LEs.txt, LFM-1b_tracks.txt, LFM-1b_users.txt)",
    interactions=(
        Interactions(
            table=Table(
                files=("LFM-1b_LEs.txt",),
                columns=("user", "artist", "album", "track", "time"),
                separator="\t",
                quoted=False,
            ),
            user="user",
            item="track",
            time="time",
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(
                files=("LFM-1b_tracks.txt",),
                columns=("track", "title", "artist"),
                separator="\t",
                quoted=False,
                optional=True,
            ),
            key="track",
            fields=(Field("title:token_seq"), Field("artist_id:token", "artist")),
        ),
        Side(
            kind="user",
            table=Table(files=("LFM-1b_users.txt",), separator="\t", quoted=False, optional=True),
            key="user_id",
            fields=_USERS,
        ),
    ),
)

add(
    name="lfm-2b",
    domain="music",
    title="LFM-2b: two billion listening events of 120,000 Last.fm users",
    page="http://www.cp.jku.at/datasets/LFM-2b/",
    licence="research use; the owner has withdrawn the download for licence reasons",
    size="",
    citation="Schedl et al., LFM-2b: A Dataset of Enriched Music Listening Events, CHIIR 2022",
    get="listening-events.tsv.bz2, tracks.tsv.bz2 and users.tsv.bz2, in one folder",
    interactions=(
        Interactions(
            table=Table(
                files=("listening-events.tsv", "listening_events.tsv"),
                separator="\t",
                quoted=False,
                first=True,
            ),
            user="user_id",
            item="track_id",
            time="timestamp",
            unit="iso",
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=("tracks.tsv",), separator="\t", quoted=False, optional=True),
            key="track_id",
            fields=(Field("title:token_seq", "track_name"), Field("artist:token", "artist_name")),
        ),
        Side(
            kind="user",
            table=Table(files=("users.tsv",), separator="\t", quoted=False, optional=True),
            key="user_id",
            fields=_USERS,
        ),
    ),
)

add(
    name="nowplaying-rs",
    domain="music",
    title="#nowplaying-RS: 11.6 million listening events of 139,000 people, from tweets of 2014",
    page="https://zenodo.org/record/3247476",
    licence="CC BY 4.0",
    size="",
    citation="Poddar, Zangerle, Yang, #nowplaying-RS, SMC 2018",
    get="nowplayingrs.zip (user_track_hashtag_timestamp.csv, context_content_features.csv)",
    interactions=(
        Interactions(
            table=Table(files=("user_track_hashtag_timestamp.csv",)),
            user="user_id",
            item="track_id",
            time="created_at",
            unit="iso",
            fields=(Field("hashtag:token"),),
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=("context_content_features.csv",), optional=True),
            key="track_id",
            fields=(
                Field("artist_id:token"),
                *(
                    Field(f"{name}:float")
                    for name in ("danceability", "energy", "valence", "loudness", "tempo", "acousticness")
                ),
            ),
        ),
    ),
    # A tweet gives a row for each of its hashtags.
    duplicates=True,
)
