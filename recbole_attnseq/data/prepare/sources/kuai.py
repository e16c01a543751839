"""Kuaishou short videos: KuaiRec and KuaiRand."""

from __future__ import annotations

from recbole_attnseq.data.prepare.source import Download, Field, Interactions, Side, Table, add


def _people(pattern: str) -> Side:
    """What both logs say of their users, in files of one form."""
    return Side(
        kind="user",
        table=Table(files=(pattern,), optional=True),
        key="user_id",
        fields=(
            Field("user_active_degree:token"),
            Field("is_video_author:token"),
            Field("follow_user_num_range:token"),
            Field("register_days_range:token"),
        ),
    )


for _name, _matrix, _words in (
    ("kuairec", "big_matrix.csv", "what 7,176 people watched"),
    ("kuairec-small", "small_matrix.csv", "the almost fully observed part"),
):
    add(
        name=_name,
        domain="video",
        title=f"KuaiRec: {_words}",
        page="https://kuairec.com/",
        licence="CC BY-SA 4.0",
        size="",
        citation="Gao et al., KuaiRec: A Fully-observed Dataset, CIKM 2022",
        get="KuaiRec.zip",
        download=(Download("https://zenodo.org/records/18164998/files/KuaiRec.zip"),),
        interactions=(
            Interactions(
                table=Table(files=(_matrix,)),
                user="user_id",
                item="video_id",
                # Seconds with a fraction; some rows have none.
                time="timestamp",
                fields=(
                    Field("watch_ratio:float"),
                    Field("play_duration:float"),
                    Field("video_duration:float"),
                ),
                float_ids=True,
            ),
        ),
        side=(
            Side(
                kind="item",
                table=Table(files=("item_categories.csv",), optional=True),
                key="video_id",
                fields=(Field("categories:token_seq", "feat", split="json"),),
            ),
            _people("user_features.csv"),
        ),
    )

_LOG = (
    Field("is_click:float"),
    Field("is_like:float"),
    Field("is_follow:float"),
    Field("long_view:float"),
    Field("play_time_ms:float"),
    Field("duration_ms:float"),
    Field("tab:token"),
)

add(
    name="kuairand",
    domain="video",
    title="KuaiRand: feeds of short videos with twelve kinds of feedback (1K, Pure or 27K)",
    page="https://kuairand.com/",
    licence="CC BY-SA 4.0",
    size="194 MB (Pure), 4.3 GB (1K), 46 GB (27K), unpacked",
    citation="Gao et al., KuaiRand: An Unbiased Sequential Recommendation Dataset, CIKM 2022",
    get="KuaiRand-Pure.tar.gz (what --download fetches), KuaiRand-1K.tar.gz or KuaiRand-27K.tar.gz",
    download=(
        Download(
            "https://zenodo.org/records/10439422/files/KuaiRand-Pure.tar.gz", md5="0820331067a3784d9691136f772b35a7"
        ),
    ),
    interactions=(
        Interactions(
            # The random exposures (log_random_*) are an experiment within the feed, not the feed.
            table=Table(files=("log_standard_*.csv",)),
            user="user_id",
            item="video_id",
            time="time_ms",
            unit="ms",
            fields=_LOG,
            float_ids=True,
        ),
    ),
    side=(
        Side(
            kind="item",
            table=Table(files=("video_features_basic_*.csv",), optional=True),
            key="video_id",
            fields=(
                Field("author_id:token"),
                Field("video_type:token"),
                Field("upload_type:token"),
                Field("video_duration:float"),
                Field("music_id:token"),
                Field("tags:token_seq", "tag", split=","),
            ),
        ),
        _people("user_features_*.csv"),
    ),
)
