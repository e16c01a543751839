"""The search cannot read test data: the part is never touched, and nothing of it remains anywhere."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction

from recbole_attnseq.training.session import make_config
from recbole_attnseq.tuning.objective import SearchObjective
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.search_data import SearchData, without_test
from recbole_attnseq.tuning.training import train_once

SEQUENTIAL, GENERAL = "AttnSeq", "BPR"


class Poison:
    """Stands where the test part is; whoever looks at it fails the test."""

    def __getattribute__(self, name):
        raise AssertionError(f"test data was read: {name}")

    def __len__(self):
        raise AssertionError("test data was counted")

    def __iter__(self):
        raise AssertionError("test data was iterated")


@pytest.fixture
def poisoned(monkeypatch):
    """RecBole's split with a poisoned test part."""
    original = Dataset.build

    def build(self):
        return [*original(self)[:2], Poison()]

    monkeypatch.setattr(Dataset, "build", build)


class FixedTrial:
    """As much of a trial as the objective uses."""

    number = 0

    def __init__(self):
        self.user_attrs, self.curve = {}, {}

    def suggest_float(self, name, low, high, **rest):
        return low

    def suggest_categorical(self, name, values):
        return values[0]

    def report(self, value, step):
        self.curve[step] = value

    def should_prune(self):
        return False

    def set_user_attr(self, key, value):
        self.user_attrs[key] = value


@pytest.mark.parametrize("model", [SEQUENTIAL, GENERAL, "SASRec", "Pop"])
def test_the_objective_cannot_read_test_data(model, poisoned, settings, space_file, workdir):
    if model == "SASRec":
        settings["train_neg_sample_args"] = None
    problem = Problem(model, "cycle", (), settings, space_file)
    assert len(problem.split_hash()) == 16
    trial = FixedTrial()
    value = SearchObjective(problem, [1])(trial)
    assert value == max(trial.curve.values())


def test_the_poison_works(poisoned, settings, workdir):
    """RecBole's own preparation reads the test part, so the test above can fail."""
    config = make_config(SEQUENTIAL, "cycle", (), settings)
    with pytest.raises(AssertionError, match="test data was"):
        data_preparation(config, create_dataset(config))


@pytest.mark.parametrize("model", [SEQUENTIAL, GENERAL])
def test_nothing_of_the_test_part_remains(model, settings, workdir):
    """Each user's last item occurs nowhere else: after the split no live object may hold its number as an item."""
    config = make_config(model, "cycle", (), settings)
    data = SearchData(1)
    loaders = data.loaders(config)
    dataset = loaders[0]._dataset
    field = dataset.iid_field
    canaries = {i for i, token in enumerate(dataset.field2id_token[field]) if token.startswith("canary")}
    assert len(canaries) == 40
    gc.collect()
    for thing in gc.get_objects():
        if isinstance(thing, Interaction):
            for name in thing.interaction:
                if name.startswith(field):
                    assert not canaries & set(np.unique(thing[name].numpy()).tolist()), name
    flat = getattr(loaders[0]._dataset.inter_feat.interaction, "flat", {})
    for name, values in flat.items():
        if name == field:
            assert not canaries & set(values.tolist())
    for batch in loaders[1]:
        assert not canaries & set(torch.as_tensor(batch[3]).tolist())


@pytest.mark.parametrize("model", [SEQUENTIAL, GENERAL])
def test_training_and_validation_are_recboles_own(model, settings, workdir):
    config = make_config(model, "cycle", (), settings)
    theirs = data_preparation(config, create_dataset(config))
    ours = SearchData(config["seed"]).loaders(config)
    for mine, own in zip(ours, theirs, strict=False):
        a, b = mine._dataset.inter_feat, own._dataset.inter_feat
        assert set(a.interaction) == set(b.interaction)
        for name in b.interaction:
            assert torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("changes", [{}, {"trends": [2, 5]}, {"time_gaps": True}], ids=["defaults", "trends", "gaps"])
def test_the_same_score_as_recboles_own_pipeline(changes, settings, workdir):
    config = make_config(SEQUENTIAL, "cycle", (), {**settings, **changes})
    theirs = data_preparation(config, create_dataset(config))[:2]
    expected = train_once(config, theirs).score
    assert train_once(config, SearchData(config["seed"]).loaders(config)).score == expected
    assert expected > 0


def test_prepared_once_for_settings_of_the_model_and_again_for_those_of_the_data(settings, workdir):
    data = SearchData(1)
    for change in ({}, {"learning_rate": 0.1}, {"hidden_size": 8}, {"train_batch_size": 16}, {"seed": 5}):
        train, _ = data.loaders(make_config(SEQUENTIAL, "cycle", (), {**settings, **change}))
        assert data.prepared == 1
    assert train._dataset.max_item_list_len == 10
    train, _ = data.loaders(make_config(SEQUENTIAL, "cycle", (), {**settings, "MAX_ITEM_LIST_LENGTH": 3}))
    assert data.prepared == 2
    assert train._dataset.max_item_list_len == 3


def test_random_splits_are_one_split_for_all_seeds(settings, workdir):
    settings["eval_args"] = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user", "mode": "full"}
    hashes = set()
    for seed in (1, 2):
        problem_data = SearchData(7)
        hashes.add(problem_data.split_hash(make_config(GENERAL, "cycle", (), {**settings, "seed": seed})))
    assert len(hashes) == 1


def test_benchmark_files_work_too(settings, data_path, tmp_path, workdir):
    folder = tmp_path / "ready" / "bench"
    folder.mkdir(parents=True)
    for number, part in enumerate(("train", "valid", "test")):
        rows = [f"u{user}\ti{user} i{user + 1}\ti{user + 2 + number}" for user in range(6)]
        text = "user_id:token\titem_id_list:token_seq\titem_id:token\n" + "\n".join(rows) + "\n"
        (folder / f"bench.{part}.inter").write_text(text, encoding="utf-8")
    settings.update(
        data_path=str(tmp_path / "ready"), benchmark_filename=["train", "valid", "test"],
        alias_of_item_id=["item_id_list"],
        load_col={"inter": ["user_id", "item_id_list", "item_id"]},
    )  # fmt: skip
    dataset = create_dataset(make_config(SEQUENTIAL, "bench", (), settings))
    train, valid = without_test(dataset)
    assert (len(train), len(valid), len(dataset.inter_feat)) == (6, 6, 6)


def test_exact_times_of_the_test_part_are_gone_too(settings, workdir):
    config = make_config(SEQUENTIAL, "cycle", (), {**settings, "trends": [2, 5]})
    latest = create_dataset(config).exact_times.max()
    data = SearchData(1)
    train, valid = data.loaders(config)
    for dataset in (train._dataset, valid._dataset, data._dataset):
        assert len(dataset.exact_times) == len(train._dataset.inter_feat.interaction.flat["item_id"])
        assert dataset.exact_times.max() < latest


def test_a_trial_needs_no_place_for_event_files(settings, workdir):
    """It writes none, so a file in their way is none of its business."""
    (workdir / "log_tensorboard").write_text("")
    config = make_config(GENERAL, "cycle", (), settings)
    assert train_once(config, SearchData(1).loaders(config)).score > 0
