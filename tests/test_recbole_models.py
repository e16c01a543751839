"""RecBole's own models run on this stack: they train, are tested, and come back from their checkpoints."""

from __future__ import annotations

import math
from typing import Any

import pytest
from recbole.quick_start import load_data_and_model
from recbole.utils import get_trainer

from recbole_attnseq import run

SEQUENTIAL: dict[str, Any] = {"train_neg_sample_args": None}
FEATURES: dict[str, Any] = {**SEQUENTIAL, "selected_features": ["class"]}
MODELS: dict[str, dict[str, Any]] = {
    "Pop": {},
    "ItemKNN": {},
    "BPR": {},
    "LightGCN": {},
    "NGCF": {},
    "GRU4Rec": SEQUENTIAL,
    "SASRec": SEQUENTIAL,
    "BERT4Rec": SEQUENTIAL,
    "NARM": SEQUENTIAL,
    "STAMP": SEQUENTIAL,
    "CORE": SEQUENTIAL,
    "SASRecF": FEATURES,
    "GRU4RecF": FEATURES,
    "FPMC": {},
    "Caser": {**SEQUENTIAL, "MAX_ITEM_LIST_LENGTH": 10},
    "LightSANs": SEQUENTIAL,
    "SRGNN": SEQUENTIAL,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS)
def test_trains_tests_and_loads_again(model: str, tiny: str, quiet: dict[str, Any]) -> None:
    result = run(model, tiny, config_dict={**quiet, **MODELS[model], "epochs": 2, "embedding_size": 16})
    assert result is not None
    assert result["test_result"].keys() >= {"ndcg@10", "recall@10"}
    assert all(math.isfinite(value) and 0 <= value <= 1 for value in result["test_result"].values())

    config, again, _, _, _, test = load_data_and_model(result["checkpoint"])
    assert config["split_hash"] == result["split_hash"]
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, again)
    trainer.eval_collector.data_collect(test)
    assert trainer.evaluate(test, load_best_model=False) == result["test_result"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["GRU4Rec", "FPMC"])
def test_learns_the_cycle(model: str, cycle: str, quiet: dict[str, Any]) -> None:
    """Finite metrics alone would not show that the right items reach the model."""
    settings = {
        **quiet,
        **MODELS[model],
        "epochs": 40,
        "learning_rate": 0.02,
        "train_batch_size": 128,
        "topk": 1,
    }
    settings.update(metrics=["Hit"], topk=1, valid_metric="Hit@1", stopping_step=2)
    result = run(model, cycle, config_dict=settings)
    assert result is not None
    assert result["test_result"]["hit@1"] > 0.95
