"""Cheaper layers under RecBole models: the same loss, gradients and scores without dropout, else its distribution."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recbole_attnseq.nn.dropout import Dropout
from recbole_attnseq.training import baseline_batches, caser_windows
from recbole_attnseq.training.baseline_layers import LAST_STATE_ONLY, lighten
from recbole_attnseq.training.session import configure, train
from tests.training.test_baseline_batches import _loss_and_gradients, _parts

LIGHTENED = ["BERT4Rec", "CORE", "Caser", "FDSA", "LightSANs", "SASRec", "SASRecF"]


@pytest.fixture(params=LIGHTENED)
def pair(request: pytest.FixtureRequest, tiny: str, quiet: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """A training batch, RecBole's model, its copy with cheaper layers, the validation loader; dropout off."""
    from recbole.data import create_dataset, data_preparation

    config, train_data, model = _parts(request.param, tiny, quiet)
    for parameter in model.parameters():  # biases begin at zero, which would hide a missing one
        if parameter.dim() == 1:
            nn.init.normal_(parameter, std=0.5)
    other = copy.deepcopy(model)
    assert lighten(other, request.param)
    _, valid, _ = data_preparation(config, create_dataset(config))
    torch.manual_seed(0)
    return next(iter(train_data)), model, other, valid


def _assert_they_learn_alike(model: Any, other: Any, batch: Any) -> None:
    torch.manual_seed(5)
    loss, gradients = _loss_and_gradients(model, batch)
    torch.manual_seed(5)
    light, others = _loss_and_gradients(other, batch)
    assert light == pytest.approx(loss, rel=1e-5)
    assert set(others) <= set(gradients)
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, gradient in gradients.items():
        # Softmax does not see the bias of the keys: its gradient is rounding, or none at all.
        found = others.get(name, torch.zeros_like(gradient))
        torch.testing.assert_close(found, gradient, rtol=1e-3, atol=1e-6 * largest, msg=name)


def test_loss_and_gradients_are_equal(pair: tuple[Any, Any, Any, Any]) -> None:
    batch, model, other, _ = pair
    _assert_they_learn_alike(model, other, batch)


def test_scores_are_equal(pair: tuple[Any, Any, Any, Any]) -> None:
    _, model, other, valid = pair
    batch = next(iter(valid))[0]
    model.eval()
    other.eval()
    with torch.no_grad():
        torch.testing.assert_close(other.full_sort_predict(batch), model.full_sort_predict(batch), rtol=1e-4, atol=1e-5)


def test_a_checkpoint_fits_both(pair: tuple[Any, Any, Any, Any]) -> None:
    _, model, other, _ = pair
    assert list(model.state_dict()) == list(other.state_dict())
    other.load_state_dict(model.state_dict())


def test_caser_that_compares_two_items(tiny: str, quiet: dict[str, Any]) -> None:
    sampled = {"loss_type": "BPR", "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1}}
    _, train_data, model = _parts("Caser", tiny, quiet, **sampled)
    other = copy.deepcopy(model)
    assert lighten(other, "Caser")
    _assert_they_learn_alike(model, other, next(iter(train_data)))


@pytest.mark.parametrize("longest", [3, 6, 20])
def test_caser_sees_padding_as_recbole_does(tiny: str, quiet: dict[str, Any], monkeypatch: Any, longest: int) -> None:
    """Pieces of a few histories of like lengths, full ones among them, and a vector of padding that is not zero."""
    monkeypatch.setattr(caser_windows, "_PIECE", 3)
    _, train_data, model = _parts("Caser", tiny, quiet, MAX_ITEM_LIST_LENGTH=longest)
    for convolution in model.conv_h:
        nn.init.normal_(convolution.bias, std=0.5)
    nn.init.normal_(model.item_embedding.weight)
    other = copy.deepcopy(model)
    lighten(other, "Caser")
    seen = set()
    for batch, _ in zip(train_data, range(4), strict=False):
        seen |= set(batch["item_length"].tolist())
        _assert_they_learn_alike(model, other, batch)
    assert min(seen) == 1
    assert (longest in seen) == (longest < 20)


def test_autocast_costs_no_more_than_under_recboles_layers(pair: tuple[Any, Any, Any, Any]) -> None:
    """RecBole's ``enable_amp``: bfloat16's rounding differs with the order of operations, its size does not."""
    batch, model, other, _ = pair

    def loss(network: Any, reduced: bool) -> float:
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            found = network.calculate_loss(batch)
        found.backward()
        assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())
        return float(found)

    exact = loss(model, False)
    assert loss(model, True) == pytest.approx(exact, rel=0.02)
    assert loss(other, True) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("name", sorted(LAST_STATE_ONLY | {"LightSANs"}))
def test_the_last_layer_is_made_for_last_states_alone(tiny: str, quiet: dict[str, Any], name: str) -> None:
    """Else the models named here gain nothing by being named."""
    _, train_data, model = _parts(name, tiny, quiet)
    lighten(model, name)
    seen: list[tuple[int, ...]] = []
    model.trm_encoder.layer[-1].feed_forward.dense_1.register_forward_hook(
        lambda module, inputs, output: seen.append(tuple(output.shape))
    )
    batch = next(iter(train_data))
    model.calculate_loss(batch)
    assert seen == [(len(batch["item_id"]), model.inner_size)]


def test_every_dropout_of_a_transformer_is_exchanged(tiny: str, quiet: dict[str, Any]) -> None:
    _, _, model = _parts("SASRec", tiny, quiet)
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.p = 0.5
    model.trm_encoder.layer[0].multi_head_attention.attn_dropout.p = 0.2
    lighten(model, "SASRec")
    assert not [module for module in model.modules() if type(module) is nn.Dropout]
    put = [(module.probability, module.bits) for module in model.modules() if isinstance(module, Dropout)]
    assert sorted(put) == [(0.2, 32)] + [(0.5, 8)] * 6
    model.train()
    torch.manual_seed(0)
    kept: Tensor = model.dropout(torch.ones(100_000))
    assert sorted(kept.unique().tolist()) == [0.0, 2.0]
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)


def test_a_model_of_which_only_the_way_through_is_exchanged_says_so(tiny: str, quiet: dict[str, Any]) -> None:
    nothing = {"hidden_act": "relu", "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0}
    _, _, model = _parts("LightSANs", tiny, {**quiet, **nothing})
    assert lighten(model, "LightSANs")


def test_other_models_keep_a_dropout_that_is_no_256th(tiny: str, quiet: dict[str, Any]) -> None:
    _, _, model = _parts("NARM", tiny, quiet)
    model.emb_dropout.p, model.ct_dropout.p = 0.2, 0.5
    assert lighten(model, "NARM")
    assert type(model.emb_dropout) is nn.Dropout
    assert isinstance(model.ct_dropout, Dropout)


def test_bert4rec_encodes_like_lengths_together(tiny: str, quiet: dict[str, Any], monkeypatch: Any) -> None:
    """In groups, each cut to its longest history: the loss and the gradients of RecBole's one padded batch."""
    _, train_data, model = _parts("BERT4Rec", tiny, quiet)
    other = copy.deepcopy(model)
    lighten(other, "BERT4Rec")
    monkeypatch.setattr(baseline_batches, "GROUP", 5)
    batch = next(iter(train_data))
    seen: list[tuple[int, ...]] = []
    other.LayerNorm.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[:2])))
    _assert_they_learn_alike(model, other, batch)
    lengths = sorted(batch["item_length"].tolist())
    assert lengths[0] < lengths[-1] < 20
    assert seen == [(len(part), part[-1]) for part in (lengths[at : at + 5] for at in range(0, len(lengths), 5))]


@pytest.mark.parametrize("name", ["BPR", "GRU4Rec"])
def test_models_without_such_layers_stay(tiny: str, quiet: dict[str, Any], name: str) -> None:
    settings = (
        {"train_neg_sample_args": None}
        if name != "BPR"
        else {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 1}}
    )
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model

    config = configure(name, tiny, settings={**quiet, **settings})
    train_data, *_ = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train_data._dataset)
    assert not lighten(model, name)


@pytest.mark.parametrize("name", ["SASRec", "Caser"])
def test_training_with_cheaper_layers_learns_the_cycle(cycle: str, quiet: dict[str, Any], name: str) -> None:
    settings = {
        **quiet, "train_neg_sample_args": None, "epochs": 40, "stopping_step": 40, "learning_rate": 0.01,
        "metrics": ["Hit"], "topk": [1], "valid_metric": "Hit@1", "train_batch_size": 128, "hidden_dropout_prob": 0.25,
        "attn_dropout_prob": 0.25, "dropout_prob": 0.25, "MAX_ITEM_LIST_LENGTH": 6,
    }  # fmt: skip
    session = train(configure(name, cycle, settings=settings), fast_batches="grouped", fast_layers=True)
    assert session.fast_layers
    assert session.test_result["hit@1"] > 0.95
