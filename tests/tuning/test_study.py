"""Creating, joining, refusing and resuming studies; the winner's runs."""

from __future__ import annotations

import subprocess
import sys

import optuna
import pytest

from recbole_attnseq.errors import UserError
from recbole_attnseq.training.trainer import AttnSeqTrainer
from recbole_attnseq.tuning import bookkeeping
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.objective import FinalObjective
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.storages import open_storage
from recbole_attnseq.tuning.study import failed_runs, final_study, open_study, winner


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


def test_other_code_of_the_users_own_is_another_study(storage, problem_of, workdir):
    (workdir / "mine.py").write_text("first = 1\n")
    open_study(storage, "s", problem_of(extensions="mine.py"))
    open_study(storage, "s", problem_of(extensions="mine.py"))
    (workdir / "mine.py").write_text("second = 2\n")
    with pytest.raises(UserError, match=r"extensions.*mine\.py"):
        open_study(storage, "s", problem_of(extensions="mine.py"))


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


def test_a_run_of_the_winner_that_failed_is_tried_again_at_the_next_start(storage, problem_of):
    problem = problem_of()
    study = open_study(storage, "s", problem)

    def found(trial):
        drawn = problem.space.sample(trial, problem.base)
        trial.set_user_attr("settings", drawn)
        return drawn["learning_rate"]

    work(study, storage, found, Plan(2))

    def run(trial):
        seed = trial.suggest_int("seed", 0, 9)
        if disk["full"]:
            raise OSError(28, "No space left on device")
        return seed

    tries, disk = [], {}
    for disk["full"] in (True, True, False, False):
        runs = final_study(storage, study, problem, [5, 6])
        failed = len(failed_runs(runs.trials))
        work(runs, storage, run, Plan(2 + failed, poll=0.01))
        tries.append([trial.state.name for trial in runs.trials])
    assert tries == [["FAIL"] * 2, ["FAIL"] * 4, ["FAIL"] * 4 + ["COMPLETE"] * 2, ["FAIL"] * 4 + ["COMPLETE"] * 2]


def test_a_surplus_repetition_is_no_run_that_failed(storage):
    """Counted as one, it would have the next start wait for a run that nobody has queued."""
    study = optuna.create_study(storage=storage, direction="maximize")
    for reason in ("duplicate: trial 0 repeats one", bookkeeping.INTERRUPTED, None, "crash: x"):
        trial = study.ask()
        if reason:
            trial.set_user_attr(bookkeeping.REASON, reason)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert [trial.number for trial in failed_runs(study.trials)] == [3]


def test_interruptions_use_up_no_repetition(storage):
    study = optuna.create_study(storage=storage, direction="maximize")
    stops = 6

    def stopped(trial):
        if len(study.trials) <= stops:
            raise KeyboardInterrupt
        return 1.0

    for _ in range(stops):
        with pytest.raises(KeyboardInterrupt):
            work(study, storage, stopped, Plan(1, retries=3, poll=0.01))
    work(study, storage, stopped, Plan(1, retries=3, poll=0.01))
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * stops + ["COMPLETE"]


def test_trials_of_other_runs_do_not_compare(storage, problem_of):
    problem = problem_of()
    open_study(storage, "s", problem, runs="seeds 1, compared by epoch")
    open_study(storage, "s", problem, runs="seeds 1, compared by epoch")
    with pytest.raises(UserError, match="runs of a trial: seeds 1, compared by epoch there, seeds 1, 2, 3,"):
        open_study(storage, "s", problem, runs="seeds 1, 2, 3, compared by seed")
    open_study(storage, "old", problem)  # made before this was kept
    open_study(storage, "old", problem, runs="seeds 1, compared by epoch")


@pytest.mark.parametrize("inside", [True, False])
def test_brute_force_ends_when_all_is_tried(storage, problem_of, tmp_path, inside):
    """Also where the defaults lie outside the space: among its trials they would be one of another tree."""
    path = tmp_path / "few.yaml"
    rates = "0.001, 0.01" if inside else "0.02, 0.01"
    path.write_text(
        f"parameters:\n  learning_rate: {{type: choice, values: [{rates}]}}\n"
        "  weight_decay: {type: choice, values: [0.0, 0.001]}\n"
    )
    problem = problem_of(space=str(path))
    sampler = optuna.samplers.BruteForceSampler()
    study = open_study(storage, "s", problem, sampler=sampler)
    work(study, storage, lambda trial: problem.space.sample(trial, problem.base)["learning_rate"], Plan(99, poll=0.01))
    assert len(study.trials) == 4
    assert len({str(trial.params) for trial in study.trials}) == 4


def test_a_surplus_run_of_the_winner_is_not_counted(storage, problem_of):
    problem = problem_of()
    runs = optuna.create_study(storage=storage, direction="maximize")
    with pytest.raises(Exception, match="no seed is left"):
        FinalObjective(problem, {})(runs.ask())


def test_only_a_worker_of_this_place_is_known_to_be_dead(monkeypatch):
    """Containers may share a host's name; a clock that is set moves no start of a process."""
    mine = bookkeeping.this_worker()
    assert not bookkeeping.is_dead(mine)
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert bookkeeping.is_dead({**mine, "pid": gone.pid})
    assert bookkeeping.is_dead({**mine, "began": mine["began"] - 5})  # the number is another process's now
    for key in ("host", "boot", "processes"):
        if key in mine:
            assert not bookkeeping.is_dead({**mine, "pid": gone.pid, key: "another"})
    if sys.platform == "linux":
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 2.0)
        assert not bookkeeping.is_dead(mine)


@pytest.fixture
def broken(storage, problem_of):
    """A study in which every trial dies of the same mistake."""

    def mistake(trial):
        raise UserError("n_heads is 5, but must divide hidden_size 16")

    study = open_study(storage, "s", problem_of())
    with pytest.raises(UserError, match=r"'s': all of 3 trials ended with: bad setting: n_heads is 5.*begins anew"):
        work(study, storage, mistake, Plan(9))
    return study


@pytest.mark.parametrize("change", [{}, {"epochs": 2}, {"model": "BPR"}])
def test_a_study_that_died_of_one_mistake_begins_anew(storage, problem_of, broken, change, capsys):
    """With what was mended, even where it is another study then; a third start goes on as ever."""
    assert len([trial for trial in broken.trials if trial.state.name == "FAIL"]) == 3
    problem = problem_of(**change)
    study = open_study(storage, "s", problem)
    assert "begins anew: all its trials ended with: bad setting: n_heads is 5" in capsys.readouterr().out
    work(study, storage, lambda trial: 0.5, Plan(2))
    assert [trial.state.name for trial in open_study(storage, "s", problem).trials] == ["COMPLETE"] * 2
    assert not capsys.readouterr().out


def test_nor_does_it_where_somebody_may_be_at_work(storage, problem_of, broken, monkeypatch):
    monkeypatch.setattr(bookkeeping, "this_worker", lambda: {"host": "elsewhere", "pid": 1, "began": 0.0})
    with pytest.raises(UserError, match="about something else"):
        open_study(storage, "s", problem_of(epochs=2))


@pytest.mark.parametrize("other", [0.5, optuna.TrialPruned("behind"), MemoryError("out of memory"), ValueError("x")])
def test_one_trial_that_ends_otherwise_keeps_the_study(storage, problem_of, other):
    ends = iter([ValueError("y"), ValueError("y"), other, *[ValueError("y")] * 4])

    def objective(trial):
        end = next(ends)
        if isinstance(end, Exception):
            raise end
        return end

    study = open_study(storage, "s", problem_of())
    work(study, storage, objective, Plan(5))
    assert len(open_study(storage, "s", problem_of()).trials) == 5
