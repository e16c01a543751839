"""An interrupted training ends as an uninterrupted one: same curve, same best epoch, same rank of every target."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from recbole_attnseq.cli import main
from recbole_attnseq.errors import UserError
from recbole_attnseq.training.runs import read_checkpoint
from recbole_attnseq.training.session import Session, by_user, configure, train
from recbole_attnseq.training.snapshots import Snapshot, arithmetic, read_snapshot

FILE = Path("a.snapshot")
OURS: dict[str, Any] = {"hidden_size": 16, "inner_size": 16, "n_layers": 1, "learning_rate": 0.02}
# Random states of each kind: PyTorch's (dropout, sampled negatives), Python's (masks), NumPy's (negatives), the
# loader's own (shuffles), and the plan by epochs of the bucketed loader.
CASES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "AttnSeq": ("AttnSeq", OURS, False),
    "AttnSeq, no average": ("AttnSeq", {**OURS, "weight_average": 0}, False),
    "AttnSeq, sparse": (
        "AttnSeq",
        {**OURS, "loss_type": "sampled_softmax", "num_negatives": 4, "sparse_updates": True},
        False,
    ),
    "AttnSeq, trends": ("AttnSeq", {**OURS, "trends": [86_400, 864_000], "members": 2}, False),
    "AttnSeq, gaps": ("AttnSeq", {**OURS, "time_gaps": True}, False),
    "SASRec": ("SASRec", {"train_neg_sample_args": None}, False),
    "SASRec, faster": ("SASRec", {"train_neg_sample_args": None, "train_batch_size": 16}, True),
    "GRU4Rec": ("GRU4Rec", {"train_neg_sample_args": None, "train_batch_size": 16}, True),
    "BERT4Rec": ("BERT4Rec", {"train_neg_sample_args": None}, False),
    "SASRecF": ("SASRecF", {"train_neg_sample_args": None, "selected_features": ["class"]}, False),
    "BPR": ("BPR", {}, False),
    "DiffRec": ("DiffRec", {"train_neg_sample_args": None}, False),
    "LINE": ("LINE", {}, False),
    "MultiVAE": ("MultiVAE", {"train_neg_sample_args": None, "total_anneal_steps": 20}, False),
}
IDENTITY = {"config_hash": "a"}
BEST = ["best_valid_score", "cur_step", "epoch", "optimizer", "other_parameter", "state_dict"]


class Interrupted(Exception):
    """What stops a training in these tests."""


def run(name: str, quiet: dict[str, Any], stop: int | None = None, patience: int = 3, **identity: Any) -> Session:
    model, settings, fast = CASES[name]
    values = {**quiet, **settings, "epochs": 8, "stopping_step": patience, "topk": [5], "valid_metric": "NDCG@5",
              "use_gpu": False}  # fmt: skip

    def each(point: dict[str, float]) -> None:
        if stop is not None and point["epoch"] >= stop:
            raise Interrupted

    snapshot = Snapshot(FILE, {**IDENTITY, **identity}, every=0.0)
    config = configure(model, "tiny", settings=values)
    return train(
        config, fast_batches="bucketed" if fast else None, fast_layers=fast, each_epoch=each, snapshot=snapshot
    )


def points(session: Session) -> list[tuple[float, ...]]:
    return [(point["epoch"], point["train_loss"], point["valid"]) for point in session.curve]


@pytest.mark.parametrize("name", CASES)
def test_a_run_interrupted_twice_ends_as_a_whole_one(tiny: str, quiet: dict[str, Any], name: str) -> None:
    whole = run(name, quiet)
    kept = read_checkpoint(whole.trainer.saved_model_file)["optimizer"]
    assert whole.resumed == []
    assert len(whole.curve) >= 4
    FILE.unlink()
    for stop in (0, 2):
        with pytest.raises(Interrupted):
            run(name, quiet, stop)
        # Whatever was drawn meanwhile, by whomever:
        random.random(), np.random.rand(), torch.rand(3)
    parts = run(name, quiet)
    assert [part["after_epoch"] for part in parts.resumed] == [0, 2]
    assert points(parts) == points(whole)
    again = read_checkpoint(parts.trainer.saved_model_file)["optimizer"]
    torch.testing.assert_close(again, kept, rtol=0, atol=0)
    assert parts.best_epoch == whole.best_epoch
    assert parts.valid_result == pytest.approx(whole.valid_result, abs=0)
    assert parts.test_result == whole.test_result
    assert by_user(parts)[1].tolist() == by_user(whole)[1].tolist()
    assert parts.seconds > parts.curve[2]["seconds"] > parts.curve[0]["seconds"] > 0
    seconds = [point["seconds"] for point in parts.curve]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("patience", [0, 100])
def test_what_has_ended_leaves_a_snapshot_of_before(tiny: str, quiet: dict[str, Any], patience: int) -> None:
    """One more epoch would be another result, whether training stopped early or after its last epoch."""
    whole = run("SASRec", quiet, patience=patience)
    assert (len(whole.curve) < 8) == (patience == 0)
    kept = read_snapshot(FILE)
    assert kept is not None
    assert kept["epoch"] < whole.curve[-1]["epoch"]
    again = run("SASRec", quiet, patience=patience)
    assert again.resumed
    assert points(again) == points(whole)
    assert by_user(again)[1].tolist() == by_user(whole)[1].tolist()


@pytest.mark.parametrize("harm", ["other", "truncated", "none"])
def test_what_does_not_fit_is_told_and_begun_anew(
    tiny: str, quiet: dict[str, Any], harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run("SASRec", quiet)
    if harm == "truncated":
        FILE.write_bytes(FILE.read_bytes()[:1000])
    elif harm == "none":
        torch.save({"some": "thing", "identity": {}}, FILE)
    capsys.readouterr()
    again = run("SASRec", quiet, **({"torch": "0.1", "config_hash": "b"} if harm == "other" else {}))
    told = capsys.readouterr().out
    if harm == "other":
        assert "is of a run with another config_hash, torch: beginning anew" in told
    else:
        assert "cannot be read: beginning anew" in told
    assert again.resumed == []
    assert points(again) == points(whole)


def test_a_snapshot_is_of_one_split(tiny: str, quiet: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Interrupted):
        run("SASRec", quiet, 1)
    path = Path("dataset/tiny/tiny.inter")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert run("SASRec", quiet).resumed == []
    assert "of a run with another split_hash" in capsys.readouterr().out


def test_a_full_disk_costs_the_snapshot_and_not_the_run(
    tiny: str, quiet: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save = torch.save

    def full(state: Any, target: Any, **others: Any) -> None:
        if ".snapshot" in str(target):
            Path(target).write_bytes(b"begun")
            raise RuntimeError("no space left on device")
        save(state, target, **others)

    monkeypatch.setattr(torch, "save", full)
    session = run("SASRec", quiet)
    assert session.test_result
    assert "could not be written (no space left on device)" in capsys.readouterr().out
    assert not list(Path().glob("a.snapshot*"))


def test_trainers_with_a_state_of_their_own_begin_anew(tiny: str, quiet: dict[str, Any]) -> None:
    config = configure(
        "RecVAE", "tiny", settings={**quiet, "epochs": 3, "train_neg_sample_args": None, "use_gpu": False}
    )
    session = train(config, snapshot=Snapshot(FILE, IDENTITY, every=0.0))
    assert len(session.curve) == 3
    assert not FILE.exists()


def test_reading_a_snapshot_runs_no_code(tiny: str, quiet: dict[str, Any]) -> None:
    """It may lie where others write: neither the file nor the best epoch in it holds a pickled object."""
    run("SASRec", quiet)
    found = read_snapshot(FILE)
    assert found is not None
    assert sorted(found["best"]) == BEST
    torch.save({**found, "best": Path("x")}, FILE)
    assert read_snapshot(FILE) is None


def test_a_snapshot_that_does_not_fit_is_removed_and_told(tiny: str, quiet: dict[str, Any]) -> None:
    run("SASRec", quiet)
    found = read_snapshot(FILE)
    assert found is not None
    del found["loose"]
    torch.save(found, FILE)
    with pytest.raises(UserError, match=r"does not fit .*start again"):
        run("SASRec", quiet)
    assert not FILE.exists()


def test_a_file_that_is_no_snapshot_is_left_alone(tiny: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody's table, or a checkpoint taken for a snapshot; and a folder."""
    (workdir / "mine.csv").write_text("precious")
    words = ["run", "--model=Pop", "--dataset=tiny", "--use_gpu=False", "--record=runs", "--show_progress=False"]
    assert main([*words, "--snapshot=mine.csv"]) == 2
    assert "mine.csv: exists and is no snapshot" in capsys.readouterr().err
    assert main([*words, "--snapshot=dataset"]) == 2
    assert "dataset: is no file" in capsys.readouterr().err
    assert (workdir / "mine.csv").read_text() == "precious"


def test_another_device_or_number_of_threads_begins_anew() -> None:
    """Digits depend on both, whatever GPUs the machine has."""
    here = arithmetic(torch.device("cpu"))
    assert here == {"device": "cpu", "threads": torch.get_num_threads()}
    with mock.patch("torch.cuda.is_available", return_value=True):
        assert arithmetic(torch.device("cpu")) == here
    with mock.patch("torch.cuda.get_device_name", return_value="a GPU"):
        assert arithmetic(torch.device("cuda"))["device"] == "a GPU"
