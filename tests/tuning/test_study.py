"""Creating, joining, refusing and resuming studies; the winner's runs."""

from __future__ import annotations

import optuna
import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.trainer import AttnSeqTrainer
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.objective import FinalObjective
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.storages import open_storage
from recbole_attnseq.tuning.study import final_study, open_study, winner


@pytest.fixture
def storage(tmp_path):
    return open_storage(f"sqlite:///{tmp_path}/study.db")


@pytest.fixture
def problem_of(settings, space_file, workdir):
    def make(model="AttnSeq", space=space_file, **change):
        return Problem(model, "cycle", (), {**settings, **change}, space)

    return make


def test_defaults_and_published_settings_come_first_and_once(storage, problem_of):
    problem = problem_of()
    for _ in range(2):
        study = open_study(storage, "s", problem)
    origins = [trial.user_attrs["origin"] for trial in study.trials]
    assert origins == ["defaults", "quick"]
    work(study, storage, lambda trial: problem.space.sample(trial, problem.base)["learning_rate"], Plan(2))
    assert [trial.params["learning_rate"] for trial in study.trials] == [0.001, 0.03]


def test_a_published_setting_that_contradicts_a_fixed_one_is_left_out(storage, problem_of):
    assert [name for name, _ in problem_of(learning_rate=0.03).presets()] == ["defaults"]
    assert [name for name, _ in problem_of(learning_rate=0.01).presets()] == ["defaults"]
    assert [name for name, _ in problem_of(epochs=9).presets()] == ["defaults", "quick"]


def test_a_creator_that_died_is_replaced(storage, problem_of):
    optuna.create_study(storage=storage, study_name="s", direction="maximize")
    study = open_study(storage, "s", problem_of(), wait=0.3)
    assert len(study.trials) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"valid_metric": "Hit@5"}, ["metric: NDCG@5 there, Hit@5 here"]),
        ({"model": "BPR"}, ["model: AttnSeq there, BPR here"]),
        ({"epochs": 5}, ["epochs: 3 there, 5 here"]),
        (
            {"user_inter_num_interval": "[20,inf)", "hidden_size": 8},
            ["user_inter_num_interval: not set there", "hidden_size"],
        ),
    ],
)
def test_a_study_about_something_else_is_refused(storage, problem_of, change, words):
    open_study(storage, "s", problem_of())
    if "user_inter_num_interval" in change:
        change["user_inter_num_interval"] = "[1,inf)"
    with pytest.raises(UserError) as error:
        open_study(storage, "s", problem_of(**change))
    assert all(word in str(error.value) for word in ["'s'", *words])


def test_another_split_is_refused(storage, problem_of, monkeypatch):
    open_study(storage, "s", problem_of())
    other = problem_of()
    monkeypatch.setattr(other, "_split_hash", "0123456789abcdef")
    with pytest.raises(UserError, match=r"split hash: [0-9a-f]{16} there, 0123456789abcdef here"):
        open_study(storage, "s", other)


def test_another_machines_settings_are_no_difference(storage, problem_of):
    open_study(storage, "s", problem_of())
    open_study(storage, "s", problem_of(gpu_id="3", checkpoint_dir="elsewhere", state="ERROR"))


def test_a_study_of_another_program_is_left_alone(storage, problem_of):
    optuna.create_study(storage=storage, study_name="s").enqueue_trial({"x": 1})
    with pytest.raises(UserError, match="not made by attnseq tune"):
        open_study(storage, "s", problem_of(), wait=0.1)


def test_the_winner_is_tested_once_a_seed(storage, problem_of, monkeypatch):
    problem = problem_of()
    study = open_study(storage, "s", problem)
    with pytest.raises(UserError, match="no trial of 2 completed"):
        winner(study)

    def found(trial):
        drawn = problem.space.sample(trial, problem.base)
        trial.set_user_attr("settings", drawn)
        return drawn["learning_rate"]

    work(study, storage, found, Plan(2))
    assert winner(study).number == 1
    tested = []
    original = AttnSeqTrainer.evaluate

    def evaluate(self, data, **rest):
        if rest.get("load_best_model"):
            tested.append(self.config["seed"])
        return original(self, data, **rest)

    monkeypatch.setattr(AttnSeqTrainer, "evaluate", evaluate)
    seeds = [5, 6]
    for _ in range(2):
        runs = final_study(storage, study, problem, seeds)
        work(runs, storage, FinalObjective(problem, winner(study).user_attrs["settings"]), Plan(2, poll=0.01))
    assert tested == seeds
    assert [trial.params["seed"] for trial in runs.trials] == seeds
    for trial in runs.trials:
        assert set(trial.user_attrs["test"]) == {"ndcg@5", "hit@5"}
        assert trial.user_attrs["valid"]["ndcg@5"] == trial.value
    assert len({trial.user_attrs["split_hash"] for trial in runs.trials}) == 1


def test_a_surplus_run_of_the_winner_is_not_counted(storage, problem_of):
    problem = problem_of()
    runs = optuna.create_study(storage=storage, direction="maximize")
    with pytest.raises(Exception, match="no seed is left"):
        FinalObjective(problem, {})(runs.ask())
