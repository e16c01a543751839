"""Last.fm: the 1K users log (Celma) and the HetRec 2011 sample."""

from __future__ import annotations

import pyarrow.compute as pc

from recbole_attnseq.data.prepare.source import Batch, Download, Field, Interactions, Side, Table, add
from recbole_attnseq.data.prepare.sources.columns import first_of


def _keys(batch: Batch) -> Batch:
    """Ids of artist and track: many have no MusicBrainz id, and their names then stand for them."""
    batch = first_of("artist_key", "artist_id", "artist")(batch)
    batch = first_of("title", "track")(batch)
    # Where artist or title is unknown the join is too, and so is the track.
    batch["named"] = pc.binary_join_element_wise(batch["artist_key"], batch["title"], " / ")
    return first_of("track_key", "track_id", "named")(batch)


_COLUMNS = ("user", "time", "artist_id", "artist", "track_id", "track")
_LOG = Table(
    files=("userid-timestamp-artid-artname-traid-traname.tsv",),
    columns=_COLUMNS,
    separator="\t",
    quoted=False,
    compute=_keys,
    needs=_COLUMNS[2:],
)
_PROFILES = Side(
    kind="user",
    table=Table(files=("userid-profile.tsv",), separator="\t", quoted=False, optional=True),
    key="#id",
    fields=(Field("gender:token"), Field("age:float"), Field("country:token")),
)

for _name, _item, _fields in (
    ("lastfm-1k", "track_key", (Field("title:token_seq", "track"), Field("artist:token"))),
    ("lastfm-1k-artists", "artist_key", (Field("artist:token_seq"),)),
):
    add(
        name=_name,
        domain="music",
        title=(
            f"Last.fm 1K users: every play of 992 people, {'tracks' if _item == 'track_key' else 'artists'} as items"
        ),
        page="http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html",
        licence="non-commercial use, with permission of Last.fm",
        size="about 640 MB",
        citation="Celma, Music Recommendation and Discovery, Springer 2010",
        get="lastfm-dataset-1K.tar.gz",
        interactions=(Interactions(table=_LOG, user="user", item=_item, time="time", unit="iso"),),
        side=(Side(kind="item", table=_LOG, key=_item, fields=_fields), _PROFILES),
        # The owner collected until May 2009; a few rows carry dates years later, from clocks set wrong.
        latest="2010-01-01",
        earliest="2002-01-01",
    )

add(
    name="lastfm",
    domain="music",
    title="HetRec 2011 Last.fm: artists that 1,892 people tagged",
    page="https://grouplens.org/datasets/hetrec-2011/",
    licence="non-commercial research use, no redistribution without permission",
    size="2.6 MB",
    citation="Cantador, Brusilovsky, Kuflik, HetRec 2011, RecSys 2011",
    get="hetrec2011-lastfm-2k.zip",
    interactions=(
        Interactions(
            table=Table(files=("user_taggedartists-timestamps.dat",), separator="\t", quoted=False),
            user="userID",
            item="artistID",
            time="timestamp",
            unit="ms",
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=("artists.dat",), separator="\t", quoted=False, optional=True),
            key="id",
            fields=(Field("name:token_seq"),),
        ),
        Side(
            kind="item",
            table=Table(files=("user_taggedartists.dat",), separator="\t", quoted=False, optional=True),
            key="artistID",
            fields=(Field("tags:token_seq", "tagID"),),
            gather=True,
        ),
    ),
    # One act of tagging gives a row for each tag.
    duplicates=True,
    download=(Download("https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip"),),
)
