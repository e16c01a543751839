"""Trimmed batches of RecBole's own models: the same loss and the same gradients, dropout off."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recbole_attnseq.training import baseline_batches
from recbole_attnseq.training.baseline_batches import PADDING_FREE, BucketedLoader, bucketed, group, trim
from recbole_attnseq.training.session import configure

DROPOUT = ("dropout_prob", "hidden_dropout_prob", "attn_dropout_prob", "dropout_probs", "sess_dropout", "item_dropout")
FEATURES = {"SASRecF", "GRU4RecF", "FDSA"}
LEFT_OUT = ["LightSANs", "STAMP", "NPE", "SHAN", "NextItNet", "Caser", "HGN", "SINE", "RepeatNet", "HRM"]


def _parts(model: str, dataset: str, quiet: dict[str, Any], **settings: Any) -> tuple[Any, Any, Any]:
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_seed

    extra: dict[str, Any] = {**quiet, "MAX_ITEM_LIST_LENGTH": 20, "train_batch_size": 16, "train_neg_sample_args": None}
    if model == "FPMC":
        extra.pop("train_neg_sample_args")
    if model in FEATURES:
        extra["selected_features"] = ["class"]
    config = configure(model, dataset, settings={**extra, **settings})
    for key in DROPOUT:
        if key in config.final_config_dict:
            value = config[key]
            config[key] = [0.0] * len(value) if isinstance(value, list) else 0.0
    init_seed(1, True)
    train, *_ = data_preparation(config, create_dataset(config))
    return config, train, get_model(model)(config, train._dataset)


def _loss_and_gradients(model: Any, batch: Any) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = model.calculate_loss(batch)
    loss = sum(loss) if isinstance(loss, tuple) else loss
    loss.backward()
    return float(loss), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("model", sorted(PADDING_FREE))
def test_trimming_changes_nothing(tiny: str, quiet: dict[str, Any], model: str) -> None:
    _, train, network = _parts(model, tiny, quiet)
    network.train()
    torch.manual_seed(0)
    batch = next(iter(train))
    before = {name: value.clone() for name, value in batch.interaction.items()}
    longest = int(batch["item_length"].max())
    assert longest < 20  # the padding that trimming is about
    torch.manual_seed(5)
    loss, gradients = _loss_and_gradients(network, batch)
    trimmed = trim(batch, train._dataset)
    assert trimmed["item_id_list"].shape[1] == longest
    assert trimmed["item_id"].equal(before["item_id"])
    torch.manual_seed(5)
    other, others = _loss_and_gradients(network, trimmed)
    assert other == pytest.approx(loss, rel=1e-5)
    assert set(others) == set(gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("model", sorted(PADDING_FREE - {"AttnSeq"}))
def test_groups_of_like_lengths_change_nothing(
    tiny: str, quiet: dict[str, Any], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RecBole's batch in groups: the same loss, the same gradients, each group cut to its longest."""
    _, train, network = _parts(model, tiny, quiet)
    network.train()
    torch.manual_seed(0)
    batch = next(iter(train))
    torch.manual_seed(5)
    loss, gradients = _loss_and_gradients(network, batch)
    monkeypatch.setattr(baseline_batches, "GROUP", 5)
    seen: list[tuple[int, int]] = []
    whole = network.calculate_loss

    def watched(part: Any) -> Any:
        seen.append(tuple(part["item_id_list"].shape))
        return whole(part)

    network.calculate_loss = watched
    group(network, model, train)
    torch.manual_seed(5)
    other, others = _loss_and_gradients(network, batch)
    lengths = sorted(batch["item_length"].tolist())
    assert seen == [(len(part), part[-1]) for part in (lengths[at : at + 5] for at in range(0, len(lengths), 5))]
    assert batch["item_id_list"].shape[1] == 20  # the batch stays as it was
    assert other == pytest.approx(loss, rel=1e-5)
    assert set(others) == set(gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("model", [*LEFT_OUT, "BERT4Rec", "BPR"])
def test_other_models_are_not_grouped(tiny: str, quiet: dict[str, Any], model: str) -> None:
    if model == "BPR":
        quiet = {**quiet, "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1}}
    _, train, network = _parts(model, tiny, quiet)
    group(network, model, train)
    assert "calculate_loss" not in vars(network)


@pytest.mark.parametrize("model", LEFT_OUT)
def test_models_left_out_would_be_trained_otherwise(
    tiny: str, quiet: dict[str, Any], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever fails here belongs on the list: the list is as long as it can be."""
    _, train, network = _parts(model, tiny, quiet)
    torch.manual_seed(0)
    batch = next(iter(train))
    torch.manual_seed(5)
    _, gradients = _loss_and_gradients(network, batch)
    monkeypatch.setattr(baseline_batches, "PADDING_FREE", {model})
    monkeypatch.setattr(baseline_batches, "GROUP", 5)
    group(network, model, train)
    torch.manual_seed(5)
    try:
        _, others = _loss_and_gradients(network, batch)
    except (RuntimeError, IndexError):
        return  # its layers want the maximum length
    largest = {
        name: float((others[name] - g).abs().max() / g.abs().max().clamp(min=1e-6)) for name, g in gradients.items()
    }
    assert max(largest.values()) > 0.05, "cutting histories seems to leave it as it is"


def test_each_row_once_an_epoch_in_batches_of_like_length(tiny: str, quiet: dict[str, Any]) -> None:
    _, train, _ = _parts("SASRec", tiny, quiet)
    loader = bucketed(train, "SASRec")
    assert isinstance(loader, BucketedLoader)
    rows = torch.cat(loader.plan(0))
    assert rows.sort().values.equal(torch.arange(len(train._dataset)))
    assert len(loader.plan(0)) == len(train) == len(list(loader))
    assert not torch.cat(loader.plan(1)).equal(rows)
    assert torch.cat(loader.plan(0)).equal(rows)
    length = train._dataset.inter_feat["item_length"]
    spread = [int(length[batch].max() - length[batch].min()) for batch in loader.plan(0)]
    assert max(spread) < int(length.max() - length.min())


def test_bert4rec_has_no_loss_on_batches_of_single_items(tiny: str, quiet: dict[str, Any]) -> None:
    """Why it keeps its batches, though each is equal when trimmed: RecBole divides by the number of a batch's masks."""
    _, train, network = _parts("BERT4Rec", tiny, quiet)
    rows = (train._dataset.inter_feat["item_length"] == 1).nonzero().flatten()
    assert len(rows) > 1
    assert network.calculate_loss(trim(train.collate_fn(rows.numpy()), train._dataset)).isnan()


@pytest.mark.parametrize("model", [*LEFT_OUT, "BERT4Rec", "BPR"])
def test_other_models_keep_their_batches(tiny: str, quiet: dict[str, Any], model: str) -> None:
    assert model not in PADDING_FREE

    class Loader:
        shuffle = True
        _dataset = type("Dataset", (), {"item_list_length_field": "item_length"})()

    plain = Loader()
    assert bucketed(plain, model) is plain
