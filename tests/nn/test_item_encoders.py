"""Every item encoder under its contract."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from recbole_attnseq.errors import UserError
from recbole_attnseq.nn.item_encoders import IdEncoder
from recbole_attnseq.nn.network import Network
from tests.building import item_lists, settings, stir
from tests.contracts import ItemEncoderContract


class TestId(ItemEncoderContract):
    name = "id"

    def test_dense_is_a_linear_layer_with_relu_on_candidates_only(self) -> None:
        encoder = self.network(item_dense=True).item_encoder
        layer = encoder.dense[0]
        with torch.no_grad():
            row = encoder.table.weight[3]
            expected = (layer.weight @ row + layer.bias).clamp(min=0)
            torch.testing.assert_close(encoder(torch.tensor(3)), expected)
            assert (encoder(torch.arange(12)) == 0).any()
            torch.testing.assert_close(encoder.inputs(torch.tensor([3]))[0], row)

    def test_a_tied_encoder_has_one_table_and_a_free_one_two(self) -> None:
        tied, free = (self.network(tie_embeddings=t).item_encoder for t in (True, False))
        items = torch.arange(12)
        with torch.no_grad():
            torch.testing.assert_close(tied.inputs(items), tied(items))
            assert not torch.allclose(free.inputs(items), free(items))
        count = [sum(p.numel() for p in one.parameters()) for one in (tied, free)]
        assert count == [12 * 8, 2 * 12 * 8]


class TestIdDense(ItemEncoderContract):
    name = "id"
    changes: ClassVar[dict[str, Any]] = {"item_dense": True, "tie_embeddings": False}


class TestFeatures(ItemEncoderContract):
    name = "features"

    def test_an_item_is_its_embedding_and_the_mean_of_what_is_known_of_it(self) -> None:
        encoder = self.network().item_encoder
        own, known = encoder.table.weight, encoder.features.weight
        with torch.no_grad():
            torch.testing.assert_close(encoder(torch.tensor(3)), own[3] + (known[3] + known[4] + known[0]) / 3)
            torch.testing.assert_close(encoder(torch.tensor(4)), own[4])
            torch.testing.assert_close(encoder.inputs(torch.tensor([9]))[0], own[9] + known[4])

    def test_items_alike_learn_from_each_other(self) -> None:
        """A step on item 1 alone moves item 6, of the same feature, and leaves item 4, of none."""
        encoder = self.network().item_encoder
        before = encoder.all().detach().clone()
        encoder(torch.tensor(1)).sum().backward()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter -= parameter.grad
            moved = (encoder.all() - before).abs().sum(1) > 0
        assert moved[6]
        assert not moved[4]

    def test_features_must_be_given(self) -> None:
        with pytest.raises(UserError, match="'features' is made with features of the items; none are given"):
            Network(settings(item_encoder="features"))

    def test_what_is_known_travels_with_the_weights(self) -> None:
        encoder, other = (self.network(seed=seed).item_encoder for seed in (0, 1))
        other.weights.zero_()
        other.load_state_dict(encoder.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(other.all(), encoder.all())


class TestFeaturesDense(ItemEncoderContract):
    name = "features"
    changes: ClassVar[dict[str, Any]] = {"item_dense": True, "tie_embeddings": False}


class TestNeighbours(ItemEncoderContract):
    name = "neighbours"

    def test_an_item_is_its_embedding_and_the_gated_mean_of_its_neighbours(self) -> None:
        encoder = self.network().item_encoder
        own, gate = encoder.table.weight, encoder.gate
        with torch.no_grad():
            assert gate != 0
            torch.testing.assert_close(encoder(torch.tensor(3)), own[3] + gate * (own[4] + own[5] + own[6]) / 3)
            torch.testing.assert_close(encoder(torch.tensor(8)), own[8])
            torch.testing.assert_close(encoder.inputs(torch.tensor([9]))[0], own[9] + gate * own[10])

    def test_a_shut_gate_is_the_encoder_of_items_alone(self) -> None:
        built = Network(settings(item_encoder="neighbours"), item_lists=item_lists(12, "neighbours")).double()
        with torch.no_grad():
            assert built.item_encoder.all().equal(built.item_encoder.table.weight)
        vectors = built.item_encoder.all()
        vectors.square().sum().backward()
        assert built.item_encoder.gate.grad != 0, "and it can open"

    def test_sparse_gradients_are_the_dense_ones(self) -> None:
        found = []
        for sparse in (False, True):
            torch.manual_seed(0)
            lists = item_lists(12, "neighbours")
            built = Network(settings(item_encoder="neighbours"), item_lists=lists, sparse=sparse).double()
            stir(built)
            encoder = built.item_encoder
            items, candidates = torch.tensor([3, 3, 9, 0]), torch.tensor([[7, 2], [8, 3]])
            weights = torch.arange(4.0).double()
            loss = (encoder.inputs(items) * weights[:, None]).square().sum() + encoder(candidates).sin().sum()
            loss.backward()
            gradient = encoder.table.weight.grad
            assert gradient.is_sparse == sparse
            found.append([loss.detach(), gradient.to_dense()[1:], encoder.gate.grad])
        torch.testing.assert_close(*found)


class TestNeighboursDense(ItemEncoderContract):
    name = "neighbours"
    changes: ClassVar[dict[str, Any]] = {"item_dense": True, "tie_embeddings": False}


def test_untied_tables_begin_alike_wherever_they_lie_in_memory() -> None:
    """The candidates' table is drawn first, as a tied one is; an order by addresses would differ from run to run."""
    kept = []  # shifts what follows in memory
    for _ in range(16):
        torch.manual_seed(1)
        encoder = IdEncoder(items=5, width=4, dense=False, tied=False, scale=0.02)
        kept.append((encoder, [object() for _ in range(97)]))
    for encoder, _ in kept:
        assert encoder.table.weight.equal(kept[0][0].table.weight)
        assert encoder.history.weight.equal(kept[0][0].history.weight)
        assert not encoder.table.weight.equal(encoder.history.weight)
