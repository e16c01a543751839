"""Waits through RecBole: exact to the second, learnt by every user encoder, the same by every route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction

import recbole_attnseq
from recbole_attnseq import data_rules
from recbole_attnseq.cli import main
from recbole_attnseq.data.dataset import GAPS, sequence_store
from recbole_attnseq.errors import UserError
from recbole_attnseq.flat import row_waits
from recbole_attnseq.training.session import configure, make_trainer, train
from tests.atomic_files import write_given, write_interactions, write_tiny

START = 1_500_000_000
ITEMS = 12


def write_pauses(folder: Path, users: int = 150, steps: int = 12) -> str:
    """Who comes back after ten seconds goes on to the next item, who comes back after twenty skips three.

    Times in float32 are 128 seconds apart here, so that nothing of it would be left in them.
    """
    random = np.random.default_rng(5)
    rows = []
    for user in range(users):
        item, second = int(random.integers(ITEMS)), START + int(random.integers(10_000_000))
        for wait in random.choice([10, 20], size=steps).tolist():
            second += wait
            rows.append((f"u{user}", f"i{item}", second))
            item = (item + (1 if wait == 10 else 4)) % ITEMS
    write_interactions(folder, "pauses", rows)
    return "pauses"


@pytest.fixture
def pauses(workdir: Path) -> str:
    return write_pauses(workdir / "dataset")


def loaders(name: str, quiet: dict[str, Any], **settings: Any) -> tuple[Any, list[Any]]:
    config = configure("AttnSeq", name, settings={**quiet, "time_gaps": True, **settings})
    return config, list(data_preparation(config, create_dataset(config)))


SMALL: dict[str, Any] = {
    "epochs": 8, "stopping_step": 8, "metrics": ["Hit"], "topk": [1], "valid_metric": "Hit@1", "hidden_size": 16,
    "n_layers": 1, "inner_size": 16, "rnn_hidden_size": 16, "precision": "float32", "learning_rate": 0.01,
    "train_batch_size": 64, "hidden_dropout_prob": 0.0, "embedding_dropout_prob": 0.0, "weight_average": 0.9,
}  # fmt: skip


def test_gaps_are_the_files_own_whatever_float32_makes_of_the_times(pauses: str, quiet: dict[str, Any]) -> None:
    _, parts = loaders(pauses, quiet)
    assert parts[0]._dataset.exact_times is None, "they are as large as all else, and waits are what is read of them"
    lines = [line.split("\t") for line in Path("dataset/pauses/pauses.inter").read_text().splitlines()[1:]]
    times: dict[str, list[float]] = {}
    for user, _, time in lines:
        times.setdefault(user, []).append(float(time))
    for loader in parts:
        dataset = loader._dataset
        feat, store = dataset.inter_feat, sequence_store(dataset)
        assert store.gaps is not None
        users = dataset.field2id_token["user_id"][feat["user_id"]]
        assert feat[GAPS].shape == feat["item_id_list"].shape
        for row, (user, length) in enumerate(zip(users, store.length.tolist(), strict=True)):
            waits = np.diff(times[user][:length])  # histories are shorter than the maximum, so none is cut
            expected = [0, *(1 + np.floor(np.log2(1 + waits))).astype(int).tolist()]
            assert feat[GAPS][row, :length].tolist() == expected
            end = int(store.target[row])
            assert store.gaps[end - length : end].tolist() == expected


def test_what_waits_tell_is_learnt_and_found_again_by_every_route(pauses: str, quiet: dict[str, Any]) -> None:
    from recbole.trainer import Trainer

    common = {**quiet, **SMALL, "time_gaps": False}
    blind = train(configure("AttnSeq", pauses, settings=common)).test_result["hit@1"]
    assert blind < 0.65, "of two successors, neither is likelier"
    for changes in (
        {}, {"user_encoder": "gru", "train_batches": "prefixes"}, {"members": 2, "trends": [100]},
        {"attention": "dot", "loss_type": "sampled_softmax", "num_negatives": 8},
    ):  # fmt: skip
        session = train(configure("AttnSeq", pauses, settings={**common, "time_gaps": True, **changes}))
        assert session.test_result["hit@1"] > 0.9, changes
        theirs = Trainer.evaluate(session.trainer, session.test, load_best_model=False)  # by RecBole's own batches
        assert {name: float(value) for name, value in theirs.items()} == session.test_result, changes
    model, batch = session.trainer.model, next(iter(session.test))[0]
    everything = model.full_sort_predict(batch)
    torch.testing.assert_close(model.predict(batch), everything.gather(1, batch["item_id"][:, None])[:, 0])
    states = model(batch["item_id_list"], batch["item_length"], batch[GAPS])
    assert states.shape == (len(batch), 16)
    assert model.calculate_loss(next(iter(session.train))) > 0


def test_two_processes_learn_it_and_a_checkpoint_is_scored_as_it_was(
    pauses: str, quiet: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    result = recbole_attnseq.run("AttnSeq", pauses, config_dict={**quiet, **SMALL, "time_gaps": True}, nproc=2)
    assert result is not None
    assert result["test_result"]["hit@1"] > 0.9
    assert main(["evaluate", result["checkpoint"]]) == 0
    assert f"hit@1 {result['test_result']['hit@1']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize("maximum", [50, 5])
def test_prefixes_and_windows_read_the_same_waits(pauses: str, quiet: dict[str, Any], maximum: int) -> None:
    losses = []
    for batches in ("windows", "prefixes"):
        config, (train_data, *_) = loaders(
            pauses, quiet, train_batches=batches, train_context="exact", train_batch_size=4096, n_layers=1,
            embedding_dropout_prob=0.0, hidden_dropout_prob=0.0, precision="float32", MAX_ITEM_LIST_LENGTH=maximum,
        )  # fmt: skip
        trainer = make_trainer(config, train_data)
        with torch.no_grad():
            trainer.model.network.time_gaps.table.weight.mul_(50)
        (batch,) = trainer.batches(train_data).epoch(0)
        losses.append(float(trainer._step(batch, 1)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_without_them_nothing_is_kept(workdir: Path, quiet: dict[str, Any]) -> None:
    write_tiny(workdir / "dataset")
    config, (train_data, *_) = loaders("tiny", quiet, time_gaps=False)
    assert sequence_store(train_data._dataset).gaps is None
    assert not hasattr(train_data._dataset, "exact_times")
    assert not [name for name in make_trainer(config, train_data).model.state_dict() if "gaps" in name]


def test_a_kept_data_set_without_waits_is_read_again(pauses: str, quiet: dict[str, Any]) -> None:
    kept = {"save_dataset": True, "epochs": 1}
    loaders(pauses, quiet, **kept, time_gaps=False)
    assert list(Path("saved").glob("*.pth"))
    config, (train_data, *_) = loaders(pauses, quiet, **kept)
    assert make_trainer(config, train_data).model.timed


def test_by_themselves_they_are_read_where_they_are_known(pauses: str, quiet: dict[str, Any]) -> None:
    config, (train_data, *_) = loaders(pauses, quiet, time_gaps="auto")
    trainer = make_trainer(config, train_data)
    assert trainer.model.timed
    assert trainer.notes["resolved"]["time_gaps"] is True
    assert trainer.notes["counts"]["waits"] == 2


@pytest.mark.parametrize(("given", "kind"), [({}, "TransformerMean"), ({"time_gaps": False}, "Transformer")])
def test_the_encoder_follows_them(pauses: str, quiet: dict[str, Any], given: dict[str, Any], kind: str) -> None:
    """An item has over a hundred targets here, which would be many."""
    config, (train_data, *_) = loaders(pauses, quiet, user_encoder="auto", **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_rules, "FEW_TARGETS", 1000)
        trainer = make_trainer(config, train_data)
    assert type(trainer.model.network.user_encoder).__name__ == kind
    timed = kind == "TransformerMean"
    assert trainer.notes["resolved"]["mean_dropout_prob"] == (0.5 if timed else 0.0)
    assert trainer.notes["resolved"]["user_encoder"] == ("transformer_mean" if timed else "transformer")
    assert type(make_trainer(config, train_data).model.network.user_encoder).__name__ == "Transformer"


def test_places_that_stand_for_times_tell_nothing(workdir: Path, quiet: dict[str, Any]) -> None:
    write_interactions(
        workdir / "dataset", "places", [(f"u{u}", f"i{(u + t) % 9}", t) for u in range(20) for t in range(6)]
    )
    config, (train_data, *_) = loaders("places", quiet, time_gaps="auto")
    trainer = make_trainer(config, train_data)
    assert not trainer.model.timed
    assert trainer.notes["resolved"]["time_gaps"] is False
    assert trainer.notes["counts"]["waits"] == 1
    assert not [name for name in trainer.model.state_dict() if "gaps" in name]


def test_waits_that_no_history_of_training_tells_do_not_count(workdir: Path, quiet: dict[str, Any]) -> None:
    """Of four interactions a user, one is the only history of training: what it waited for is never known."""
    random = np.random.default_rng(3)
    rows = [
        (f"u{u}", f"i{random.integers(9)}", START + int(10.0 ** (t + random.random())))
        for u in range(30)
        for t in range(4)
    ]
    write_interactions(workdir / "dataset", "short", rows)
    config, (train_data, *_) = loaders("short", quiet, time_gaps="auto")
    trainer = make_trainer(config, train_data)
    assert trainer.notes["counts"]["waits"] == 0
    assert not trainer.model.timed


@pytest.mark.parametrize("given", ["often", 1, [3600]])
def test_what_is_no_truth_value_is_refused(tiny: str, quiet: dict[str, Any], given: object) -> None:
    with pytest.raises(UserError, match=r"time_gaps is .*True, False or auto"):
        configure("AttnSeq", tiny, settings={**quiet, "time_gaps": given})


def test_a_model_of_recboles_is_not_told_in_vain(tiny: str, quiet: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="time_gaps is True, but SASRec"):
        configure("SASRec", tiny, settings={**quiet, "train_neg_sample_args": None, "time_gaps": True})
    with pytest.raises(UserError, match="trends is 'auto', but SASRec"):
        configure("SASRec", tiny, settings={**quiet, "train_neg_sample_args": None, "trends": "auto"})
    configure("SASRec", tiny, settings={**quiet, "train_neg_sample_args": None, "time_gaps": "auto"})


@pytest.mark.parametrize("given", [True, "auto"])
def test_a_split_that_comes_as_files_has_no_waits(workdir: Path, quiet: dict[str, Any], given: object) -> None:
    settings = {**quiet, **write_given(workdir / "dataset"), "time_gaps": given}
    config = Config(model="AttnSeq", dataset="given", config_dict=settings)
    train_data, *_ = data_preparation(config, create_dataset(config))
    if given == "auto":
        trainer = make_trainer(config, train_data)
        assert not trainer.model.timed
        assert "waits" not in trainer.notes["counts"]
        return
    with pytest.raises(UserError, match=r"time_gaps need .*leave benchmark_filename out"):
        make_trainer(config, train_data)


def test_a_request_without_its_waits_is_told(pauses: str, quiet: dict[str, Any]) -> None:
    config, (train_data, _, test_data) = loaders(pauses, quiet)
    model = make_trainer(config, train_data).model
    batch = next(iter(test_data))[0]
    hand_made = Interaction({name: batch[name] for name in (model.ITEM_SEQ, model.ITEM_SEQ_LEN)})
    with pytest.raises(UserError, match=GAPS):
        model.full_sort_predict(hand_made)
    times = batch["timestamp_list"].double()  # float32, so too coarse but for their number
    assert model.full_sort_predict(Interaction({**hand_made.interaction, GAPS: row_waits(times)})).shape[1] == ITEMS + 1
    with pytest.raises(UserError, match=GAPS):
        model(batch[model.ITEM_SEQ], batch[model.ITEM_SEQ_LEN])
