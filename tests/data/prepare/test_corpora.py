"""The generic path on real corpora, where they lie beside the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_attnseq.data.prepare.archive import Raw
from recbole_attnseq.data.prepare.collect import Options
from recbole_attnseq.data.prepare.generic import prepare_files
from recbole_attnseq.data.prepare.pipeline import Prepared
from recbole_attnseq.training.session import Session, configure, train
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
_CONFIGS = Path(__file__).parents[3] / "configs" / "dataset"


def _raw(name: str) -> Path:
    path = _FOLDER / name / f"{name}.inter"
    if not path.exists():
        pytest.skip(f"{name} is not there: it would lie at shared/data/{name} beside the project")
    return path


def _prepared(name: str, folder: Path, options: Options | None = None) -> Prepared:
    return prepare_files(
        Raw(_raw(name)),
        folder / name,
        user="user_id:token",
        item="item_id:token",
        time="timestamp:float",
        time_unit="s" if name in _CLOCK else "ordinal",
        options=options,
        force=True,
    )


@pytest.mark.parametrize("name", sorted(_COUNTS))
def test_generic_reads_the_corpus(tmp_path: Path, name: str) -> None:
    for options, counts in zip((Options(), Options(user_min=5, item_min=5)), _COUNTS[name], strict=True):
        prepared = _prepared(name, tmp_path, options)
        found = prepared.summary
        assert (found.users, found.items, found.interactions) == counts
        assert adds_up(prepared)
        assert found.ordinal == (name not in _CLOCK)


def test_published_order_of_ml_1m_is_kept(tmp_path: Path) -> None:
    prepared = _prepared("ml-1m", tmp_path)
    # More than half of all neighbours tie in time: the file's own order is the published one.
    assert (prepared.folder / "ml-1m.inter").read_bytes() == _raw("ml-1m").read_bytes()
    assert prepared.summary.ties > 500_000


# Epochs of at most three minutes in all on one core, and by how much validation N@10 must beat Pop's after them.
_LEARNT = {
    "amazon-beauty": (4, 3.0),
    "lastfm": (15, 2.0),
    "ml-1m": (1, 4.0),
    "nemig-en": (8, 1.5),
    "deskdrop": (2, 3.0),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(_LEARNT))
def test_a_corpus_trains_end_to_end(name: str, workdir: Path) -> None:
    """By the generic preparer and configs/dataset alone: what comes next is learnt, not what is popular."""
    prepared = _prepared(name, workdir / "datasets")
    epochs, factor = _LEARNT[name]

    def trained(model: str, **settings: Any) -> Session:
        quiet = {"show_progress": False, "state": "WARNING", "use_gpu": False, "data_path": "datasets"}
        files = [str(_CONFIGS / f"{name}.yaml")]
        return train(configure(model, name, files, {**quiet, **settings}))

    pop, ours = trained("Pop", epochs=1), trained("AttnSeq", epochs=epochs, eval_step=epochs)
    assert ours.config["split_hash"] == pop.config["split_hash"]
    assert ours.ranking is not None
    assert len(ours.ranking.rank) <= prepared.summary.users
    assert ours.valid_result["ndcg@10"] > factor * pop.valid_result["ndcg@10"]
    assert ours.test_result["ndcg@10"] > factor * pop.test_result["ndcg@10"]
