"""The generic path on real corpora, where they lie beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.collect import Options
from recbole_attnseq.data.prepare.generic import prepare_files
from tests.data.prepare.helpers import adds_up

_FOLDER = Path(__file__).parents[4] / "shared" / "data"

# Users, items and interactions, and after the 5-core, as counted when the corpora were made.
_COUNTS = {
    "amazon-beauty": ((22363, 12101, 198502), (22363, 12101, 198502)),
    "lastfm": ((1090, 3646, 52551), (1090, 3646, 52551)),
    "ml-1m": ((6040, 3416, 999611), (6040, 3416, 999611)),
    "nemig-en": ((3000, 4122, 28101), (2578, 2048, 20352)),
    "deskdrop": ((1895, 2987, 72312), (1307, 2396, 69540)),
}
_CLOCK = ("ml-1m", "deskdrop")


def _raw(name: str) -> Path:
    path = _FOLDER / name / f"{name}.inter"
    if not path.exists():
        pytest.skip(f"{name} is not there: it would lie at shared/data/{name} beside the project")
    return path


@pytest.mark.parametrize("name", sorted(_COUNTS))
def test_generic_reads_the_corpus(tmp_path: Path, name: str) -> None:
    path = _raw(name)
    for options, counts in zip((Options(), Options(user_min=5, item_min=5)), _COUNTS[name], strict=True):
        prepared = prepare_files(
            Raw(path),
            tmp_path / name,
            user="user_id:token",
            item="item_id:token",
            time="timestamp:float",
            time_unit="s" if name in _CLOCK else "ordinal",
            options=options,
            force=True,
        )
        found = prepared.summary
        assert (found.users, found.items, found.interactions) == counts
        assert adds_up(prepared)
        assert found.ordinal == (name not in _CLOCK)


def test_published_order_of_ml_1m_is_kept(tmp_path: Path) -> None:
    path = _raw("ml-1m")
    prepared = prepare_files(
        Raw(path), tmp_path / "ml-1m", user="user_id:token", item="item_id:token", time="timestamp:float"
    )
    # More than half of all neighbours tie in time: the file's own order is the published one.
    assert (prepared.folder / "ml-1m.inter").read_bytes() == path.read_bytes()
    assert prepared.summary.ties > 500_000
