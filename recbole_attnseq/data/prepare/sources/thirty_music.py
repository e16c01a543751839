"""30Music: play sessions in the Idomaar format.

A line of ``sessions.idomaar`` is ``event.session``, id, start, and two JSON objects, which a blank separates
where everything else is separated by tabs. The objects hold the user and the plays, each with its offset in
seconds from the start.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa

from recbole_attnseq.data.prepare.source import Batch, Field, Interactions, Side, Table, add

_DECODER = json.JSONDecoder()


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a text, whatever separates them; what follows the last readable one is dropped."""
    found = []
    position = 0
    while (position := text.find("{", position)) >= 0:
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        if isinstance(value, dict):
            found.append(value)
    return found


def _head(line: str) -> tuple[str, str, list[dict[str, Any]]]:
    parts = line.split("\t", 3)
    if len(parts) < 4:
        return "", "", []
    return parts[1].strip(), parts[2].strip(), _objects(parts[3])


def _linked(objects: list[dict[str, Any]], role: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in objects:
        entries = one.get(role)
        if isinstance(entries, list):
            found += [entry for entry in entries if isinstance(entry, dict) and entry.get("type") == kind]
    return found


def plays(batch: Batch) -> Batch:
    """One row for each play of a session, or of an event line; a line of neither gives one empty row."""
    rows: list[tuple[str | None, str | None, float | None, str]] = []
    for line in batch["line"].to_pylist():
        identity, start, objects = _head(line)
        users = _linked(objects, "subjects", "user")
        tracks = _linked(objects, "objects", "track")
        session = identity if line.startswith("event.session") else ""
        if not users or not tracks or not start.isdigit():
            # An empty row is counted as one without a user, so that nothing is lost without a word.
            rows.append((None, None, None, ""))
            continue
        for track in tracks:
            offset = track.get("playstart")
            late = float(offset) if isinstance(offset, (int, float)) and offset > 0 else 0.0
            rows.append((_id(users[0]), _id(track), int(start) + late, session))
    user, item, when, session_ids = zip(*rows, strict=True) if rows else ((), (), (), ())
    return {
        "user": pa.array(user, pa.string()),
        "item": pa.array(item, pa.string()),
        "time": pa.array(when, pa.float64()),
        "session": pa.array(session_ids, pa.string()),
    }


def _id(entry: dict[str, Any]) -> str | None:
    value = entry.get("id")
    return None if value is None or isinstance(value, bool) else str(value)


def tracks(batch: Batch) -> Batch:
    """Track id and name of entity lines."""
    ids: list[str] = []
    names: list[str | None] = []
    for line in batch["line"].to_pylist():
        identity, _, objects = _head(line)
        ids.append(identity)
        name = objects[0].get("name") if objects else None
        # Names are written as in an address, with plus signs and percent codes.
        names.append(unquote_plus(name) if isinstance(name, str) else None)
    return {"track": pa.array(ids, pa.string()), "name": pa.array(names, pa.string())}


add(
    name="30music",
    domain="music",
    title="30Music: 31 million plays in 2.7 million sessions of 45,000 Last.fm users",
    page="http://recsys.deib.polimi.it/datasets/",
    licence="research use",
    size="",
    citation="Turrin et al., 30Music listening and playlists dataset, RecSys 2015 posters",
    get=("ThirtyMusic.tar.gz (relations/sessions.idomaar or relations/events.idomaar, entities/tracks.idomaar)"),
    interactions=tuple(
        Interactions(
            table=Table(files=(name,), format="lines", compute=plays, needs=("line",)),
            user="user",
            item="item",
            time="time",
            fields=(Field("session_id:token", "session"),),
        )
        for name in ("sessions.idomaar", "events.idomaar")
    ),
    alternatives=True,
    side=(
        Side(
            kind="item",
            table=Table(files=("tracks.idomaar",), format="lines", compute=tracks, needs=("line",), optional=True),
            key="track",
            fields=(Field("title:token_seq", "name"),),
        ),
    ),
)
