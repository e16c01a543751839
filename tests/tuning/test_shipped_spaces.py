"""Every space that comes with the project fits its model."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import optuna
import pytest
import yaml

from recbole_attnseq import data_rules
from recbole_attnseq.data_rules import network_follows
from recbole_attnseq.nn.settings import NetworkSettings
from recbole_attnseq.tuning.problem import Problem

FOLDER = Path(__file__).parents[2] / "configs" / "space"
SPACES = sorted(path.stem for path in FOLDER.glob("*.yaml"))  # of a model, or MODEL-VARIANT


def test_the_leaderboards_models_have_one():
    wanted = (
        "AttnSeq GRU4Rec SASRec BERT4Rec NARM BPR LightGCN ItemKNN FPMC STAMP Caser CORE LightSANs SASRecF GRU4RecF"
    )
    assert set(wanted.split()) <= set(SPACES)


@pytest.mark.parametrize("space", SPACES)
def test_keys_are_the_models_and_defaults_come_first(space, data_path):
    # AttnSeq's defaults follow the data, so these are read.
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    given = {"data_path": data_path, "load_col": columns}
    problem = Problem(space.partition("-")[0], "cycle", (), given, str(FOLDER / f"{space}.yaml"))
    (origin, defaults), *published = problem.presets()
    assert origin == "defaults"
    assert defaults
    for parameter in problem.space.parameters:
        if parameter.active(problem.defaults):
            assert parameter.contains(defaults[parameter.name], problem.defaults), parameter.name
    for name, preset in published:
        assert {**problem.base, **preset} != problem.base, name
        study = optuna.create_study()
        study.enqueue_trial(problem.space.enqueued(preset, problem.defaults))
        assert problem.space.sample(study.ask(), problem.defaults, preset) == preset


def test_the_first_trial_has_what_auto_makes_of_the_data(data_path, monkeypatch):
    columns = {"inter": ["user_id", "item_id", "timestamp"]}

    def first(**given):
        problem = Problem("AttnSeq", "cycle", (), {"data_path": data_path, "load_col": columns, **given}, None)
        return problem.presets()[0][1]

    assert (first()["embedding_dropout_prob"], first()["hidden_dropout_prob"]) == (0.5, 0.5)
    monkeypatch.setattr(data_rules, "FEW_TARGETS", 1e-3)  # so that every data set is a dense one
    assert (first()["embedding_dropout_prob"], first()["hidden_dropout_prob"]) == (0.1, 0.1)
    fixed = first(hidden_dropout_prob=0.4)
    assert fixed["embedding_dropout_prob"] == 0.1
    assert "hidden_dropout_prob" not in fixed


def test_whatever_is_drawn_for_attnseq_is_a_network(data_path):
    problem = Problem("AttnSeq", "cycle", (), {"data_path": data_path}, str(FOLDER / "AttnSeq.yaml"))
    keys = {field.name for field in fields(NetworkSettings)}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    seen = set()
    for _ in range(200):
        drawn = problem.space.sample(study.ask(), problem.base)
        settings = {**problem.base, **drawn, "items": 5000, "max_length": 50}
        settings |= network_follows(settings)
        NetworkSettings(**{key: settings[key] for key in keys})
        seen.add((drawn["user_encoder"], drawn["attention"], drawn["loss_type"]))
        assert ("n_heads" in drawn) == drawn["user_encoder"].startswith("transformer")
        assert ("num_negatives" in drawn) == (drawn["loss_type"] != "softmax")
    assert len(seen) > 30


def test_twelve_trials_try_all_parts(data_path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where no configs/ lies
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    problem = Problem("AttnSeq", "cycle", (), {"data_path": data_path, "load_col": columns}, "AttnSeq-parts")
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=3))
    study.enqueue_trial(problem.space.enqueued(problem.presets()[0][1], problem.defaults))
    seen = []

    def objective(trial):
        seen.append(problem.space.sample(trial, problem.defaults))
        return 0.0

    study.optimize(objective, n_trials=20)
    assert len(seen) == len({tuple(drawn.items()) for drawn in seen}) == 12
    assert seen[0] == {"user_encoder": "transformer", "item_encoder": "id", "similarity": "cosine"}


def test_the_space_of_the_reference_is_of_its_architecture():
    space = yaml.safe_load((FOLDER / "AttnSeq-reference.yaml").read_text(encoding="utf-8"))
    reference = yaml.safe_load((FOLDER.parent / "model" / "reference.yaml").read_text(encoding="utf-8"))
    (start,) = space["published"]
    assert {**space["settings"], **start["settings"]} == {key: reference[key] for key in reference if key != "learner"}
