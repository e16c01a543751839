"""Every file under configs/ loads, and every model configuration trains a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_attnseq.nn.settings import NetworkSettings
from recbole_attnseq.training.session import configure, train

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
MODELS = sorted([*(CONFIGS / "model").glob("*.yaml"), *(CONFIGS / "tuned").glob("*.yaml")])


def test_there_are_model_configurations() -> None:
    assert {path.stem for path in MODELS} >= {"reference", "attention"}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_configuration_trains(path: Path, tiny: str, quiet: dict[str, Any]) -> None:
    small = {**quiet, "epochs": 1, "num_negatives": 8, "rnn_hidden_size": 8, "hidden_size": 16}
    session = train(configure("AttnSeq", tiny, [str(path)], small))
    settings = session.trainer.model.network.settings
    assert isinstance(settings, NetworkSettings)
    if path.stem == "reference":
        assert (settings.user_encoder, settings.attention, settings.loss_type) == ("bilstm", "multihead", "bce")
    assert session.ranking is not None
    assert len(session.ranking.rank) == 40
