"""Every user encoder under its contract."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.user_encoders import Transformer
from tests.building import LENGTHS, WINDOW, settings, vectors
from tests.contracts import UserEncoderContract


class TestGRU(UserEncoderContract):
    name = "gru"


class TestLSTM(UserEncoderContract):
    name = "lstm"


class TestBiLSTM(UserEncoderContract):
    name = "bilstm"

    def test_it_is_not_causal(self) -> None:
        assert not self.encoder().causal

    @pytest.mark.parametrize("layers", [1, 2])
    def test_it_equals_pytorchs_bidirectional_layers(self, layers: int) -> None:
        encoder = self.encoder(n_layers=layers)
        inputs, packing = vectors(sum(LENGTHS)), Packing(torch.tensor(LENGTHS), max(LENGTHS))
        plain = torch.nn.LSTM(8, 6, num_layers=layers, batch_first=True, bidirectional=True).double()
        with torch.no_grad():
            for mine, theirs in zip(encoder.rnn.parameters(), plain.parameters(), strict=True):
                theirs.copy_(mine)
            packed = pack_padded_sequence(packing.pad(inputs), packing.lengths, batch_first=True, enforce_sorted=False)
            expected, _ = pad_packed_sequence(plain(packed)[0], batch_first=True)
            expected = encoder.dense(packing.unpad(expected))
            torch.testing.assert_close(encoder(inputs, packing), expected, rtol=1e-8, atol=1e-8)

    def test_between_layers_there_is_dropout(self) -> None:
        encoder = self.encoder(n_layers=2, hidden_dropout_prob=0.5).train()
        encoder.dropout.eval()
        inputs, packing = vectors(5), Packing(torch.tensor([5]), 5)
        assert not torch.equal(encoder(inputs, packing), encoder(inputs, packing))

    def test_relu_leaves_no_negative_coordinate(self) -> None:
        inputs, packing = vectors(12), Packing(torch.tensor([12]), 12)
        with torch.no_grad():
            assert (self.encoder(user_activation="relu")(inputs, packing) >= 0).all()
            assert (self.encoder(user_activation="none")(inputs, packing) < 0).any()


class TestTransformer(UserEncoderContract):
    name = "transformer"

    def test_one_head_equals_attention_written_out(self) -> None:
        """Pre-norm attention with a bias by distance, then the feed-forward layer, one query at a time."""
        encoder = self.encoder(n_heads=1, max_length=4)
        block = encoder.blocks[0]
        inputs = vectors(9)

        def normed(x: torch.Tensor, norm: torch.nn.LayerNorm) -> torch.Tensor:
            centred = x - x.mean()
            return centred / torch.sqrt((centred**2).mean() + norm.eps) * norm.weight + norm.bias

        with torch.no_grad():
            found = encoder(inputs, Packing(torch.tensor([9]), 4))
            rows = torch.stack([normed(x, block.attention_norm) for x in inputs])
            query, key, *values = block.project(rows).split(8, dim=-1)
            (value,) = values if encoder.projected else [rows]
            for t in range(9):
                steps = range(max(0, t - 3), t + 1)
                logits = [float(query[t] @ key[s]) / math.sqrt(8) + float(block.distance_bias[0, t - s]) for s in steps]
                masses = [math.exp(x) for x in logits]
                mixed = sum(mass / sum(masses) * value[s] for mass, s in zip(masses, steps, strict=True))
                state = inputs[t] + (block.output(mixed) if encoder.projected else block.output.factors * mixed)
                hidden = block.up(normed(state, block.feed_forward_norm))
                state = state + block.down(0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2))))
                torch.testing.assert_close(found[t], normed(state, encoder.norm), rtol=1e-8, atol=1e-8)


class TestTransformerUnprojected(TestTransformer):
    name = "transformer_unprojected"

    def test_a_block_begins_with_a_tenth_of_the_past_and_has_fewer_parameters(self) -> None:
        def block(name: str) -> torch.nn.Module:
            return Network(settings(n_heads=1, user_encoder=name)).double().user_encoder.blocks[0]

        projected, without = (sum(p.numel() for p in block(name).parameters()) for name in ("transformer", self.name))
        assert projected - without == 2 * (8 * 8 + 8) - 8
        state = vectors(1)
        with torch.no_grad():
            added = block(self.name).output(block(self.name).attend(state, Packing(torch.tensor([1]), WINDOW)))
        torch.testing.assert_close(added, 0.1 * state)


class TestTransformerMean(UserEncoderContract):
    name = "transformer_mean"
    readouts = 1

    def test_it_begins_as_the_transformer(self) -> None:
        def built(name: str) -> torch.nn.Module:
            torch.manual_seed(3)
            return Network(settings(user_encoder=name)).double().eval().user_encoder

        plain, mean = built("transformer"), built("transformer_mean")
        mean.load_state_dict(plain.state_dict(), strict=False)
        inputs, packing = vectors(sum(LENGTHS)), Packing(torch.tensor(LENGTHS), WINDOW)
        with torch.no_grad():
            assert torch.equal(mean(inputs, packing), plain(inputs, packing))

    def test_what_it_adds_is_the_mean_of_a_windows_inputs_by_the_states_weights(self) -> None:
        encoder, inputs = self.encoder(max_length=4), vectors(9)
        packing = Packing(torch.tensor([9]), 4)
        with torch.no_grad():
            states = Transformer.forward(encoder, inputs, packing)
            found = encoder(inputs, packing) - states
            masses = [math.exp(float(encoder.weigh.weight[0] @ state)) for state in states]
            for t in range(9):
                steps = range(max(0, t - 3), t + 1)
                mean = sum(masses[s] * inputs[s] for s in steps) / sum(masses[s] for s in steps)
                torch.testing.assert_close(found[t], encoder.gate * mean, rtol=1e-8, atol=1e-8)

    def test_its_dropout_leaves_out_whole_steps_and_the_transformer_none(self) -> None:
        encoder, inputs = self.encoder(max_length=4, mean_dropout_prob=0.5), vectors(9).abs() + 1
        packing = Packing(torch.tensor([1] * 9), 4)  # each mean is of one step
        encoder.train()
        torch.manual_seed(1)
        with torch.no_grad():
            added = (encoder(inputs, packing) - Transformer.forward(encoder, inputs, packing)) / encoder.gate
            kept = added.abs().sum(-1) > 0
            assert 0 < kept.sum() < 9
            torch.testing.assert_close(added[kept], 2 * inputs[kept])
            encoder.eval()
            whole = Transformer.forward(encoder, inputs, packing) + encoder.gate * inputs
            torch.testing.assert_close(encoder(inputs, packing), whole)
