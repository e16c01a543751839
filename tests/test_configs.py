"""Every file under configs/ loads, every model configuration trains a step, and what is tuned won on validation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import yaml

from recbole_attnseq.leaderboard.board import read_board
from recbole_attnseq.leaderboard.cells import Cell, cells_of, read_inventory, state_of
from recbole_attnseq.nn.settings import NetworkSettings
from recbole_attnseq.registration import SINCE
from recbole_attnseq.training.session import configure, train
from tests.atomic_files import write_table

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
TUNED = sorted((CONFIGS / "tuned").glob("*.yaml"))
MODELS = sorted([*(CONFIGS / "model").glob("*.yaml"), *TUNED])
BOARDS = {path.stem: path for path in (CONFIGS / "leaderboard").glob("*.yaml")}
OF_ONE_DATA_SET = [path for path in TUNED if path.stem.removeprefix("AttnSeq-") in BOARDS]


def test_there_are_model_configurations() -> None:
    assert {path.stem for path in MODELS} >= {"reference", "attention"}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_configuration_trains(path: Path, tiny: str, quiet: dict[str, Any]) -> None:
    small = {**quiet, "epochs": 1, "num_negatives": 8, "rnn_hidden_size": 8, "hidden_size": 16}
    wanted = yaml.safe_load(path.read_text(encoding="utf-8")).get("selected_features")
    if wanted:
        header = " ".join(["item_id:token", *(f"{name}:token" for name in wanted)])
        write_table(Path("dataset", tiny, f"{tiny}.item"), header, [(f"i{i}", *"x" * len(wanted)) for i in range(30)])
        del small["load_col"]  # the file's own
    session = train(configure("AttnSeq", tiny, [str(path)], small))
    settings = session.trainer.model.network.settings
    assert isinstance(settings, NetworkSettings)
    if path.stem == "reference":
        assert (settings.user_encoder, settings.attention, settings.loss_type) == ("bilstm", "multihead", "bce")
    assert session.ranking is not None
    assert len(session.ranking.rank) == 40


def holds(cell: Cell, path: Path) -> bool:
    """The cell's row reads this file and sets nothing beside it, or its search found what the file says."""
    if str(path.relative_to(ROOT)) in cell.row.files:
        return not cell.row.own
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    return bool(cell.row.tune) and all(cell.config.get(key, SINCE.get(key)) == value for key, value in said.items())


@pytest.mark.parametrize("path", OF_ONE_DATA_SET, ids=lambda path: path.stem)
def test_a_tuned_file_is_a_row_that_validation_prefers_to_the_default(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    dataset, runs = path.stem.removeprefix("AttnSeq-"), Path("results/runs")
    inventory, board = read_inventory(runs, [dataset]), read_board(BOARDS[dataset])
    ours = replace(board, rows=tuple(row for row in board.rows if row.model == "AttnSeq"))
    tuned, default = {}, {}
    for cell in cells_of(ours, Path("results/studies")):
        record = state_of(cell, inventory, runs).record
        if record is not None and cell.row.name == "AttnSeq":
            default[cell.seed] = record.valid["ndcg@10"]
        elif record is not None and holds(cell, path):
            tuned[cell.seed] = record.valid["ndcg@10"]
    seeds = tuned.keys() & default.keys()
    assert seeds, "no seed of both has run"
    assert mean(tuned[seed] for seed in seeds) > mean(default[seed] for seed in seeds)
