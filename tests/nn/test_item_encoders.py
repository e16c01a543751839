"""Every item encoder under its contract."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

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
