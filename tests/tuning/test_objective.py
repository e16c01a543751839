"""Pruning, early stopping, seeds, costs, and trials that fail with a reason."""

from __future__ import annotations

import optuna
import pytest
import torch

from recbole_attnseq.training import baseline_batches, session
from recbole_attnseq.training.trainer import AttnSeqTrainer
from recbole_attnseq.tuning import objective as module
from recbole_attnseq.tuning.bookkeeping import REASON
from recbole_attnseq.tuning.choices import make_pruner, make_sampler
from recbole_attnseq.tuning.loop import Plan, work
from recbole_attnseq.tuning.meter import Meter
from recbole_attnseq.tuning.objective import SearchObjective
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.storages import open_storage
from recbole_attnseq.tuning.training import Outcome, reason_of


@pytest.fixture
def problem(settings, space_file, workdir):
    return Problem("AttnSeq", "cycle", (), settings, space_file)


@pytest.fixture
def study_of(tmp_path):
    def make(pruner="none", sampler="random"):
        storage = open_storage(f"sqlite:///{tmp_path}/study.db", heartbeat=20)
        sampler, pruner = make_sampler(sampler, 1), make_pruner(pruner, 10)
        return storage, optuna.create_study(storage=storage, direction="maximize", sampler=sampler, pruner=pruner)

    return make


def curves(scores):
    """A stand-in for training: trial after trial, its curve; an exception in it is raised."""
    runs = iter(scores)

    def train(config, loaders, on_epoch=None, on_cost=None, shortcuts=None):
        curve = next(runs)
        try:
            for epoch, score in enumerate(curve, start=1):
                if isinstance(score, BaseException):
                    raise score
                on_epoch(epoch, score)
        finally:
            on_cost({"seconds": 1.0, "seconds_per_epoch": 0.5, "peak_memory_mib": 10.0 * len(curve)})
        return Outcome(max(curve), {"ndcg@5": max(curve)})

    return train


def test_a_pruned_trial_keeps_its_curve_and_its_costs(problem, study_of, monkeypatch):
    monkeypatch.setattr(module, "train_once", curves([[0.5, 0.6, 0.7], [0.1, 0.2, 0.3], [0.6, 0.7, 0.8]]))
    storage, study = study_of("median:n_startup_trials=1,n_warmup_steps=2")
    work(study, storage, SearchObjective(problem, [1]), Plan(3))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    pruned = study.trials[1]
    assert pruned.intermediate_values == {1: 0.1, 2: 0.2}
    assert pruned.user_attrs["pruned"] == "behind at epoch 2"
    assert pruned.user_attrs["seconds_per_epoch"] == 0.5
    assert pruned.user_attrs["settings"].keys() == {"learning_rate", "weight_decay"}
    assert study.best_value == 0.8


def test_hyperband_prunes(problem, study_of, monkeypatch):
    monkeypatch.setattr(module, "train_once", curves([[0.9 - 0.05 * n] * 9 for n in range(9)]))
    storage, study = study_of("hyperband:max_resource=9,reduction_factor=3")
    work(study, storage, SearchObjective(problem, [1]), Plan(9))
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}


def test_wilcoxon_prunes_over_seeds(problem, study_of, monkeypatch):
    good, bad = [[0.5 + 0.01 * n] for n in range(8)], [[0.1 + 0.01 * n] for n in range(8)]
    monkeypatch.setattr(module, "train_once", curves([*good, *bad]))
    storage, study = study_of("wilcoxon:n_startup_steps=2")
    work(study, storage, SearchObjective(problem, range(8), over_seeds=True), Plan(2))
    first, second = study.trials
    assert first.value == pytest.approx(sum(x for (x,) in good) / 8)
    assert first.user_attrs["curve of seed 3"] == [0.53]
    assert first.user_attrs["seconds"] == 8.0
    assert second.state.name == "PRUNED"
    assert 2 < len(second.intermediate_values) < 8


def test_several_seeds_count_by_their_mean_and_the_first_ones_curve(problem, study_of, monkeypatch):
    monkeypatch.setattr(module, "train_once", curves([[0.2, 0.4], [0.5, 0.6]]))
    storage, study = study_of()
    work(study, storage, SearchObjective(problem, [1, 2]), Plan(1))
    assert study.best_value == pytest.approx(0.5)
    assert study.trials[0].intermediate_values == {1: 0.2, 2: 0.4}


def test_a_trial_that_fails_says_why_and_the_study_goes_on(problem, study_of, monkeypatch):
    faults = [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError("Unable to allocate 90 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        ValueError("Training loss is nan"),
        OSError(28, "No space left on device"),
        ZeroDivisionError("division by zero"),
    ]
    monkeypatch.setattr(module, "train_once", curves([*([0.1, fault] for fault in faults), [0.3]]))
    storage, study = study_of()
    work(study, storage, SearchObjective(problem, [1]), Plan(7))
    reasons = [trial.user_attrs.get(REASON, "") for trial in study.trials]
    starts = ["out of memory: CUDA", "out of memory: Unable", "out of memory: ", "nan: ", "disk full: ", "crash: Zero"]
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 6 + ["COMPLETE"]
    assert all(reason.startswith(start) for reason, start in zip(reasons, starts, strict=False)), reasons
    assert "test_objective:" in reasons[5], "a crash names its place"
    assert study.trials[0].user_attrs["peak_memory_mib"] == 20.0
    assert study.best_value == 0.3


def test_a_real_nan_fails_its_trial(problem, study_of):
    storage, study = study_of()
    study.enqueue_trial({"learning_rate": 0.05}, user_attrs={"preset": {"learning_rate": 1e30, "temperature": 1e-30}})
    work(study, storage, SearchObjective(problem, [1]), Plan(1))
    assert study.trials[0].state.name == "FAIL"
    assert study.trials[0].user_attrs[REASON].startswith("nan")


def test_a_setting_that_cannot_work_fails_its_trial(problem, study_of):
    storage, study = study_of()
    study.enqueue_trial({}, user_attrs={"preset": {"n_heads": 5}})
    work(study, storage, SearchObjective(problem, [1]), Plan(1))
    assert study.trials[0].user_attrs[REASON].startswith("bad setting: n_heads is 5")


def test_early_stopping_stays_recboles(settings, space_file, study_of, workdir, monkeypatch):
    falling = iter([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    monkeypatch.setattr(AttnSeqTrainer, "_valid_epoch", lambda self, *rest, **more: (next(falling), {"ndcg@5": 0.9}))
    problem = Problem("AttnSeq", "cycle", (), {**settings, "epochs": 60, "stopping_step": 2}, space_file)
    storage, study = study_of()
    work(study, storage, SearchObjective(problem, [1]), Plan(1))
    trial = study.trials[0]
    assert trial.intermediate_values == {1: 0.9, 2: 0.8, 3: 0.7, 4: 0.6}, "the best epoch, and three without gain"
    assert trial.value == 0.9
    assert trial.user_attrs["epochs"] == 4
    assert trial.user_attrs["seconds_per_epoch"] > 0
    assert trial.user_attrs["peak_memory_mib"] > 50


def test_mixed_precision_can_be_searched(settings, tmp_path, workdir, study_of):
    path = tmp_path / "amp.yaml"
    path.write_text("parameters:\n  enable_amp: {type: choice, values: [false, true]}\n", encoding="utf-8")
    problem = Problem("AttnSeq", "cycle", (), settings, str(path))
    storage, study = study_of("none", "bruteforce")
    work(study, storage, SearchObjective(problem, [1]), Plan(2))
    assert {trial.params["enable_amp"] for trial in study.trials} == {False, True}
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2


def test_an_interruption_is_no_crash():
    assert reason_of(KeyboardInterrupt()) == "interrupted"


@pytest.mark.gpu
def test_gpu_memory_is_measured():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    meter = Meter("cuda")
    kept = torch.zeros(32 * 2**18, device="cuda")
    meter.lap()
    assert meter.figures()["gpu_memory_mib"] >= 32
    assert len(kept) == 32 * 2**18


@pytest.mark.parametrize(
    ("model", "dropout"), [("SASRec", ["hidden_dropout_prob", "attn_dropout_prob"]), ("AttnSeq", [])]
)
def test_shortcuts_are_put_under_recboles_models_and_leave_the_score(
    model, dropout, settings, space_file, study_of, monkeypatch, workdir
):
    """A trial learns the same with them, and they are there: groups are asked for, and layers exchanged."""
    asked, layers = [], []
    whole, lighten = baseline_batches.like_lengths, session.lighten
    monkeypatch.setattr(baseline_batches, "like_lengths", lambda lengths: asked.append(1) or whole(lengths))
    monkeypatch.setattr(session, "lighten", lambda *of: layers.append(1) or lighten(*of))
    fixed = {**settings, **dict.fromkeys(dropout, 0.0)}
    if model != "AttnSeq":
        fixed["train_neg_sample_args"] = None
    scores = []
    for shortcuts in ({}, {"fast_batches": "grouped", "fast_layers": True}):
        assert asked == layers == []
        storage, study = study_of()
        problem = Problem(model, "cycle", (), fixed, space_file, shortcuts)
        study.enqueue_trial({"learning_rate": 0.01, "weight_decay": 0.0})
        work(study, storage, SearchObjective(problem, [1]), Plan(1))
        (trial,) = study.trials
        scores.append(list(trial.intermediate_values.values()))
    assert scores[0] == pytest.approx(scores[1], rel=1e-3)
    assert scores[0][-1] > 0
    assert (bool(asked), bool(layers)) == ((model != "AttnSeq"),) * 2
