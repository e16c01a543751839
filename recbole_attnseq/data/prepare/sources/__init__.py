"""The data sets, one module per owner or family; importing this package registers them all."""

from __future__ import annotations

from recbole_attnseq.data.prepare.sources import (
    amazon,
    ebnerd,
    kuai,
    lastfm,
    mind,
    movielens,
    music,
    news,
    sessions,
    shops,
    thirty_music,
    video,
)

__all__ = [
    "amazon",
    "ebnerd",
    "kuai",
    "lastfm",
    "mind",
    "movielens",
    "music",
    "news",
    "sessions",
    "shops",
    "thirty_music",
    "video",
]
