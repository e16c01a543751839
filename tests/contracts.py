"""The suite that every part must pass. A part's test class inherits its contract and names the part:

class TestGRU(UserEncoderContract):
    name = "gru"

tests/nn/test_every_part_is_tested.py fails for a registered part without such a class.
"""

from __future__ import annotations

import io
import math
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from recbole_attnseq.nn.attention import ATTENTIONS, Attention
from recbole_attnseq.nn.item_encoders import ITEM_ENCODERS
from recbole_attnseq.nn.losses import LOSSES, Loss
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.similarity import SIMILARITIES, Similarity
from recbole_attnseq.nn.user_encoders import USER_ENCODERS, UserEncoder
from recbole_attnseq.registry import Registry
from tests.building import LENGTHS, LONG, WINDOW, histories, network, vectors, window_of

REGISTRIES: dict[str, Registry[Any]] = {
    "user_encoder": USER_ENCODERS,
    "item_encoder": ITEM_ENCODERS,
    "attention": ATTENTIONS,
    "similarity": SIMILARITIES,
    "loss_type": LOSSES,
}
CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64: only the order of additions may differ


class PartContract:
    """What holds for the whole network whichever part is put in.

    Attributes:
        key: the setting that chooses the part.
        name: the part.
        changes: further settings for the part's tests.
    """

    key: ClassVar[str]
    name: ClassVar[str]
    changes: ClassVar[dict[str, Any]] = {}

    def network(self, **changes: Any) -> Network:
        return network(**{self.key: self.name, **self.changes, **changes})

    def test_it_is_registered_under_its_name(self) -> None:
        assert self.name in REGISTRIES[self.key]

    def test_save_and_load_give_the_same_top_k(self) -> None:
        saved, fresh = self.network(seed=0), self.network(seed=1)
        items, lengths = histories()
        packing = Packing(lengths, WINDOW)
        with torch.no_grad():
            before, other = (one.scores(items, packing).topk(5) for one in (saved, fresh))
            assert not torch.equal(before.indices, other.indices)
            file = io.BytesIO()
            torch.save(saved.state_dict(), file)
            file.seek(0)
            fresh.load_state_dict(torch.load(file, weights_only=True))
            after = fresh.scores(items, packing).topk(5)
        assert torch.equal(before.indices, after.indices)
        assert torch.equal(before.values, after.values)

    def test_batch_equals_single(self) -> None:
        part = self.network()
        items, lengths = histories(LONG)
        with torch.no_grad():
            together = part.scores(items, Packing(lengths, WINDOW))
            for row, history in enumerate(items.split(lengths.tolist())):
                alone = part.scores(history, Packing(lengths[row : row + 1], WINDOW))
                torch.testing.assert_close(together[row], alone[0], **CLOSE)

    def test_one_candidate_scores_as_in_the_full_ranking(self) -> None:
        part = self.network()
        items, lengths = histories()
        packing, candidates = Packing(lengths, WINDOW), torch.arange(1, len(LENGTHS) + 1)
        with torch.no_grad():
            every = part.scores(items, packing)
            pairs = part.pair_scores(items, packing, candidates)
        torch.testing.assert_close(pairs, every[torch.arange(len(LENGTHS)), candidates], **CLOSE)

    def test_gradients_reach_every_parameter_and_are_finite(self) -> None:
        part = self.network().train()
        items, lengths = histories()
        packing = Packing(lengths, WINDOW)
        queries = packing.last if not part.causal else torch.arange(len(items))
        part.loss(items, packing, queries, items.flip(0)[queries]).backward()
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches {name}"
            assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite"
            assert parameter.grad.abs().max() > 1e-12, f"the gradient of {name} vanishes"

    def test_the_loss_is_finite_in_single_precision_at_the_scale_of_the_defaults(self) -> None:
        # Cosine over a temperature of 0.07, as shipped: logits reach 14 and differ by 28.
        part = self.network(dtype=torch.float32, temperature=0.07).train()
        items, lengths = histories()
        packing = Packing(lengths, WINDOW)
        loss = part.loss(items, packing, packing.last, items[packing.starts])
        assert loss.shape == ()
        assert torch.isfinite(loss)


class UserEncoderContract(PartContract):
    """What every user encoder must do; ``causal`` and ``banded`` must tell the truth in both directions.

    Attributes:
        readouts: windows that a banded encoder sees beyond one a layer.
    """

    key = "user_encoder"
    readouts: ClassVar[int] = 0

    def encoder(self, **changes: Any) -> UserEncoder:
        return self.network(**changes).user_encoder

    def influence(self, encoder: UserEncoder, length: int, window: int) -> Tensor:
        """(length, length): True where the state after t changes with the input at s."""
        inputs = vectors(length).requires_grad_()
        states = encoder(inputs, Packing(torch.tensor([length]), window))
        # A plain sum of normalised coordinates is constant; a random combination is not.
        combined = states @ vectors(1, seed=7)[0]
        rows = [torch.autograd.grad(value, inputs, retain_graph=True)[0].abs().sum(1) for value in combined]
        return torch.stack(rows) > 0

    def test_states_have_the_shape_of_the_inputs(self) -> None:
        inputs = vectors(sum(LENGTHS))
        states = self.encoder()(inputs, Packing(torch.tensor(LENGTHS), WINDOW))
        assert states.shape == inputs.shape
        assert states.dtype == inputs.dtype
        assert torch.isfinite(states).all()

    def test_later_items_change_earlier_states_only_where_it_is_not_causal(self) -> None:
        encoder, packing = self.encoder(n_layers=2), Packing(torch.tensor(LENGTHS), WINDOW)
        inputs = vectors(sum(LENGTHS))
        changed = inputs.clone()
        ends = packing.last
        changed[ends] += vectors(len(ends), seed=9)  # a constant would vanish in a layer normalisation
        with torch.no_grad():
            before, after = encoder(inputs, packing), encoder(changed, packing)
        earlier = torch.ones(len(inputs), dtype=torch.bool)
        earlier[ends] = False
        same = torch.allclose(before[earlier], after[earlier], rtol=0, atol=1e-12)
        assert same == encoder.causal
        assert (before[ends] - after[ends]).abs().max(1).values.min() > 1e-6, "a state ignores its own item"

    def test_no_state_of_a_causal_encoder_knows_a_later_step(self) -> None:
        encoder = self.encoder(n_layers=2, max_length=40)
        seen = self.influence(encoder, 40, 40)
        step = torch.arange(40)
        if encoder.causal:
            assert not seen[step[:, None] < step].any()
        else:
            assert seen.all()

    def test_sequences_never_see_each_other(self) -> None:
        encoder, packing = self.encoder(n_layers=2), Packing(torch.tensor(LONG), WINDOW)
        inputs = vectors(sum(LONG))
        with torch.no_grad():
            before = encoder(inputs, packing)
            for start, end in zip(packing.starts.tolist(), packing.ends.tolist(), strict=True):
                changed = inputs.clone()
                changed[start:end] = vectors(end - start, seed=9)
                after = encoder(changed, packing)
                torch.testing.assert_close(after[:start], before[:start], **CLOSE)
                torch.testing.assert_close(after[end:], before[end:], **CLOSE)
                assert not torch.allclose(after[start:end], before[start:end])

    def test_states_of_a_batch_equal_those_of_each_sequence_alone(self) -> None:
        encoder, lengths = self.encoder(n_layers=2), torch.tensor(LONG)
        inputs = vectors(sum(LONG))
        with torch.no_grad():
            together = encoder(inputs, Packing(lengths, WINDOW)).split(LONG)
            for length, part, states in zip(LONG, inputs.split(LONG), together, strict=True):
                alone = encoder(part, Packing(torch.tensor([length]), WINDOW))
                torch.testing.assert_close(states, alone, **CLOSE)

    def test_one_layer_sees_exactly_the_window_or_everything_behind(self) -> None:
        encoder = self.encoder()
        length, window = 40, WINDOW  # more than a block, so windows reach over its edge
        back = torch.arange(length)[:, None] - torch.arange(length)
        expected = back >= 0 if encoder.causal else torch.ones_like(back, dtype=torch.bool)
        if encoder.banded:
            expected &= back <= (1 + self.readouts) * (window - 1)
        assert torch.equal(self.influence(encoder, length, window), expected)

    def test_each_further_layer_of_a_banded_encoder_adds_one_window(self) -> None:
        encoder = self.encoder(n_layers=2)
        if not encoder.banded:
            pytest.skip("not banded")
        back = torch.arange(40)[:, None] - torch.arange(40)
        expected = (back >= 0) & (back <= (2 + self.readouts) * (WINDOW - 1))
        assert torch.equal(self.influence(encoder, 40, WINDOW), expected)

    def test_the_order_of_items_matters(self) -> None:
        encoder = self.encoder()
        inputs = vectors(4)
        swapped = inputs[[1, 0, 2, 3]]
        packing = Packing(torch.tensor([4]), WINDOW)
        with torch.no_grad():
            assert not torch.allclose(encoder(inputs, packing)[-1], encoder(swapped, packing)[-1], atol=1e-6)

    def test_dropout_acts_in_training_only(self) -> None:
        part = self.network(hidden_dropout_prob=0.5)
        encoder, inputs, packing = part.user_encoder, vectors(12), Packing(torch.tensor([12]), WINDOW)
        with torch.no_grad():
            assert torch.equal(encoder(inputs, packing), encoder(inputs, packing))
            encoder.train()
            assert not torch.allclose(encoder(inputs, packing), encoder(inputs, packing))


class AttentionContract(PartContract):
    """What every attention must do: one formula by three routes.

    Subclasses give :meth:`head_logits`, the part's logits written out for one state and one candidate.
    """

    key = "attention"
    heads: ClassVar[int] = 1

    def attention(self, **changes: Any) -> Attention:
        return self.network(**changes).attention

    def head_logits(self, attention: Any, state: Tensor, candidate: Tensor) -> list[Tensor]:
        """The logit () of one state (D,) for one candidate (D,), for each head."""
        raise NotImplementedError

    def plain_score(self, attention: Any, states: Tensor, candidate: Tensor) -> Tensor:
        """Score () of a candidate (D,) after the visible states (S, D), the last of which is the newest."""
        logits = [self.head_logits(attention, state, candidate) for state in states]
        share = len(candidate) // self.heads
        past = states.new_zeros(())
        for head in range(self.heads):
            part = slice(head * share, (head + 1) * share)
            masses = [torch.exp(one[head] - max(float(x[head].detach()) for x in logits)) for one in logits]
            for mass, state in zip(masses, states, strict=True):
                past = past + mass / sum(masses) * (state[part] * candidate[part]).sum()
        if attention.gate is None:
            return past
        opened = 1 / (1 + torch.exp(-attention.gate))
        return opened * past + (1 - opened) * (states[-1] * candidate).sum()

    def plain_scores(self, attention: Attention, states: Tensor, candidates: Tensor, packing: Packing) -> Tensor:
        """Scores (T, K) after every token, one by one."""
        rows = []
        for token in range(len(states)):
            first, end = window_of(token, packing)
            rows.append(torch.stack([self.plain_score(attention, states[first:end], one) for one in candidates]))
        return torch.stack(rows)

    @pytest.fixture(params=[True, False], ids=["gate", "no gate"])
    def built(self, request: pytest.FixtureRequest) -> Attention:
        return self.attention(attention_gate=request.param)

    @pytest.fixture
    def packing(self) -> Packing:
        return Packing(torch.tensor(LENGTHS), WINDOW)

    @pytest.fixture
    def states(self) -> Tensor:
        return vectors(sum(LENGTHS))

    @pytest.fixture
    def candidates(self) -> Tensor:
        return vectors(4, seed=1)

    def test_every_route_equals_the_plain_formula(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        with torch.no_grad():
            plain = self.plain_scores(built, states, candidates, packing)
            torch.testing.assert_close(built.shared(states, candidates, packing), plain, **CLOSE)
            torch.testing.assert_close(built.final(states, candidates, packing), plain[packing.last], **CLOSE)
            for index, candidate in enumerate(candidates):
                pairs = built.paired(states, candidate.expand_as(states), packing)
                torch.testing.assert_close(pairs, plain[:, index], **CLOSE)
                ends = built.final_paired(states, candidate.expand(len(LENGTHS), -1), packing)
                torch.testing.assert_close(ends, plain[packing.last, index], **CLOSE)

    @pytest.mark.parametrize("window", [WINDOW, 50])
    def test_every_route_is_the_same_over_many_blocks(self, built: Attention, window: int) -> None:
        packing = Packing(torch.tensor(LONG), window)
        states, candidates = vectors(sum(LONG)), vectors(2, seed=1)
        with torch.no_grad():
            plain = self.plain_scores(built, states, candidates, packing)
            torch.testing.assert_close(built.shared(states, candidates, packing), plain, **CLOSE)
            torch.testing.assert_close(built.final(states, candidates, packing), plain[packing.last], **CLOSE)
            pairs = built.paired(states, candidates[1].expand_as(states), packing)
            torch.testing.assert_close(pairs, plain[:, 1], **CLOSE)

    def test_logits_may_be_far_larger_than_what_exp_can_take(
        self, built: Attention, states: Tensor, packing: Packing
    ) -> None:
        states, candidates = states * 40, vectors(len(LENGTHS), seed=1) * 40
        with torch.no_grad():
            plain = self.plain_scores(built, states, candidates, packing)
            torch.testing.assert_close(built.shared(states, candidates, packing), plain, **CLOSE)
            torch.testing.assert_close(built.final(states, candidates, packing), plain[packing.last], **CLOSE)
            own = built.final_paired(states, candidates, packing)
            torch.testing.assert_close(own, plain[packing.last].diagonal(), **CLOSE)

    def test_a_pair_is_scored_with_its_own_candidate(self, built: Attention, states: Tensor, packing: Packing) -> None:
        own = vectors(len(states), seed=2)
        with torch.no_grad():
            pairs = built.paired(states, own, packing)
            every = built.shared(states, own, packing)
            ends = built.final_paired(states, own[packing.last], packing)
        torch.testing.assert_close(pairs, every.diagonal(), **CLOSE)
        torch.testing.assert_close(ends, pairs[packing.last], **CLOSE)

    @pytest.mark.parametrize("route", ["shared", "paired", "final", "final_paired"])
    def test_gradients_equal_those_of_the_plain_formula(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing, route: str
    ) -> None:
        states, candidates = states.requires_grad_(), candidates.requires_grad_()
        wanted = [states, candidates, *built.parameters()]
        plain = self.plain_scores(built, states, candidates, packing)
        if route == "shared":
            fast = built.shared(states, candidates, packing)
        elif route == "final":
            plain, fast = plain[packing.last], built.final(states, candidates, packing)
        elif route == "final_paired":
            candidate = candidates[:1].expand(len(LENGTHS), -1)
            plain, fast = plain[packing.last, 0], built.final_paired(states, candidate, packing)
        else:
            plain, fast = plain[:, 0], built.paired(states, candidates[:1].expand_as(states), packing)
        received = vectors(plain.numel(), 1, seed=3).view_as(plain)
        expected = torch.autograd.grad(plain, wanted, received, allow_unused=True)
        found = torch.autograd.grad(fast, wanted, received, allow_unused=True)
        for want, got in zip(expected, found, strict=True):
            if want is None:
                assert got is None
            else:
                torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-8)

    def test_far_apart_logits_do_not_break_the_scores(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        with torch.no_grad():
            built.scale = built.scale * 1e4
            plain = self.plain_scores(built, states, candidates, packing)
            single = built.float()
            for scores in (
                single.shared(states.float(), candidates.float(), packing)[packing.last],
                single.final(states.float(), candidates.float(), packing),
            ):
                torch.testing.assert_close(scores.double(), plain[packing.last], rtol=1e-2, atol=1e-2)

    def test_weights_are_shares_of_the_visible_steps(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        weights = built.weights(states, candidates, packing)
        assert weights.shape == (len(LENGTHS), max(LENGTHS), len(candidates))
        torch.testing.assert_close(weights.sum(1), torch.ones_like(weights[:, 0]), **CLOSE)
        assert (weights >= 0).all()
        for row, length in enumerate(LENGTHS):
            assert (weights[row, length:] == 0).all()
            assert (weights[row, : max(0, length - WINDOW)] == 0).all()

    def test_weights_explain_the_score(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        if self.heads > 1:
            pytest.skip("the heads' weights are averaged, their scores are not")
        with torch.no_grad():
            similarities = packing.pad(states) @ candidates.T
            explained = (built.weights(states, candidates, packing) * similarities).sum(1)
            torch.testing.assert_close(explained, built.final(states, candidates, packing), **CLOSE)

    def test_later_states_never_change_earlier_scores(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        changed = states.clone()
        changed[packing.last] += 1.0
        earlier = torch.ones(len(states), dtype=torch.bool)
        earlier[packing.last] = False
        with torch.no_grad():
            before, after = (built.shared(x, candidates, packing) for x in (states, changed))
        torch.testing.assert_close(after[earlier], before[earlier], **CLOSE)
        assert not torch.allclose(after[packing.last], before[packing.last])

    def test_sequences_never_see_each_other(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        changed = states.clone()
        changed[: LENGTHS[0] + LENGTHS[1]] = vectors(LENGTHS[0] + LENGTHS[1], seed=9)
        rest = LENGTHS[0] + LENGTHS[1]
        with torch.no_grad():
            before, after = (built.shared(x, candidates, packing) for x in (states, changed))
            torch.testing.assert_close(after[rest:], before[rest:], **CLOSE)
            before, after = (built.final(x, candidates, packing) for x in (states, changed))
            torch.testing.assert_close(after[2:], before[2:], **CLOSE)
            assert not torch.allclose(after[:2], before[:2])

    def test_the_score_of_a_candidate_does_not_depend_on_the_others(
        self, built: Attention, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        with torch.no_grad():
            every = built.shared(states, candidates, packing)
            alone = built.shared(states, candidates[2:3], packing)
        torch.testing.assert_close(alone[:, 0], every[:, 2], **CLOSE)

    def test_the_gate_goes_from_the_last_state_to_the_attention(
        self, states: Tensor, candidates: Tensor, packing: Packing
    ) -> None:
        gated, free = self.attention(attention_gate=True), self.attention(attention_gate=False)
        if gated.gate is None:
            pytest.skip("no gate")
        gated.load_state_dict({**free.state_dict(), "gate": torch.tensor(-40.0)})
        with torch.no_grad():
            shut = gated.shared(states, candidates, packing)
            torch.testing.assert_close(shut, states @ candidates.T, **CLOSE)
            gated.gate.fill_(40.0)
            opened = gated.shared(states, candidates, packing)
            torch.testing.assert_close(opened, free.shared(states, candidates, packing), **CLOSE)
            assert not torch.allclose(shut, opened)


class LossContract(PartContract):
    """What every loss must do. Subclasses give :meth:`plain`, the formula of one query in plain Python."""

    key = "loss_type"
    items, negatives, calibration = 11, 4, 0.6

    def loss(self) -> Loss:
        return LOSSES[self.name](items=self.items, negatives=self.negatives, calibration=self.calibration)

    def plain(self, positive: float, negatives: list[float]) -> float:
        """Loss of one query; hits by accident are left out of ``negatives``, not of ``self.negatives``."""
        raise NotImplementedError

    def scores(self) -> tuple[Tensor, Tensor]:
        return vectors(6, 1)[:, 0] * 3, vectors(6, self.negatives, seed=1) * 3

    def test_it_equals_the_formula(self) -> None:
        positive, negative = self.scores()
        negative[2, 1] = negative[4, 0] = negative[4, 3] = -math.inf
        rows = [
            self.plain(p, [x for x in n if x > -math.inf])
            for p, n in zip(positive.tolist(), negative.tolist(), strict=True)
        ]
        assert float(self.loss()(positive, negative)) == pytest.approx(sum(rows) / len(rows), rel=1e-9)

    def test_it_is_the_mean_over_queries(self) -> None:
        positive, negative = self.scores()
        parts = [float(self.loss()(positive[i : i + 1], negative[i : i + 1])) for i in range(len(positive))]
        assert float(self.loss()(positive, negative)) == pytest.approx(sum(parts) / len(parts), rel=1e-9)

    def test_accidental_hits_receive_no_gradient(self) -> None:
        positive, negative = self.scores()
        negative.requires_grad_()
        accident = torch.zeros_like(negative, dtype=torch.bool)
        accident[1, 2] = accident[3] = True
        self.loss()(positive, negative.masked_fill(accident, -math.inf)).backward()
        assert (negative.grad[accident] == 0).all()
        assert (negative.grad[~accident] > 0).all()

    def test_it_falls_with_the_target_and_rises_with_the_negatives(self) -> None:
        positive, negative = (x.requires_grad_() for x in self.scores())
        self.loss()(positive, negative).backward()
        assert (positive.grad < 0).all()
        assert (negative.grad > 0).all()

    def test_gradients_are_right(self) -> None:
        positive, negative = (x.requires_grad_() for x in self.scores())
        assert torch.autograd.gradcheck(self.loss(), (positive, negative))

    def test_huge_scores_stay_finite(self) -> None:
        positive = torch.tensor([1e4, -1e4], requires_grad=True)
        negative = torch.tensor([[-1e4, 1e4, 0.0, 1.0]] * 2, requires_grad=True)
        value = self.loss()(positive, negative)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(positive.grad).all()
        assert torch.isfinite(negative.grad).all()


class ItemEncoderContract(PartContract):
    """What every item encoder must do."""

    key = "item_encoder"

    def test_all_items_at_once_equal_each_by_its_number(self) -> None:
        encoder = self.network().item_encoder
        numbers = torch.tensor([[3, 1, 11], [3, 7, 2]])
        with torch.no_grad():
            assert encoder.all().shape == (12, 8)
            torch.testing.assert_close(encoder(numbers), encoder.all()[numbers], **CLOSE)
            torch.testing.assert_close(encoder(numbers[0, 1]), encoder.all()[1], **CLOSE)

    def test_different_items_have_different_vectors(self) -> None:
        encoder = self.network().item_encoder
        with torch.no_grad():
            distances = torch.cdist(encoder.all()[1:], encoder.all()[1:])
        assert (distances[~torch.eye(11, dtype=torch.bool)] > 0).all()

    def test_history_items_are_embedded_one_by_one(self) -> None:
        encoder = self.network().item_encoder
        items, _ = histories()
        with torch.no_grad():
            embedded = encoder.inputs(items)
            assert embedded.shape == (len(items), 8)
            for token in (0, 5, 20):
                torch.testing.assert_close(encoder.inputs(items[token : token + 1])[0], embedded[token], **CLOSE)

    def test_padding_is_embedded_as_zero_and_never_trained(self) -> None:
        part = self.network().train()
        assert (part.item_encoder.inputs(torch.zeros(1, dtype=torch.long)) == 0).all()
        items, lengths = histories()
        optimizer = torch.optim.Adam(part.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            part.loss(items, Packing(lengths, WINDOW), torch.arange(len(items)), items.flip(0)).backward()
            optimizer.step()
        assert (part.item_encoder.inputs(torch.zeros(1, dtype=torch.long)) == 0).all()


class SimilarityContract(PartContract):
    """What every similarity must do. Subclasses give :meth:`plain`."""

    key = "similarity"
    tempered: ClassVar[bool]

    def plain(self, left: list[float], right: list[float]) -> float:
        """How alike two vectors are, in plain Python."""
        raise NotImplementedError

    def test_the_dot_product_of_prepared_vectors_is_the_formula(self) -> None:
        part: Similarity = SIMILARITIES[self.name]
        left, right = vectors(3), vectors(4, seed=1)
        found = part.prepare(left) @ part.prepare(right).T
        expected = [[self.plain(u, v) for v in right.tolist()] for u in left.tolist()]
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), **CLOSE)

    def test_logits_of_random_vectors_start_near_unit_size(self) -> None:
        for width in (16, 64, 256):
            left, right = vectors(200, width), vectors(200, width, seed=1)
            prepare = SIMILARITIES[self.name].prepare
            logits = (prepare(left) * prepare(right)).sum(1) * SIMILARITIES[self.name].logit_scale(width)
            assert 0.8 < float(logits.std()) < 1.2

    def test_the_temperature_divides_scores_where_it_should(self) -> None:
        items, lengths = histories()
        with torch.no_grad():
            one, half = (self.network(temperature=t).scores(items, Packing(lengths, WINDOW)) for t in (1.0, 0.5))
        torch.testing.assert_close(half, one * 2 if self.tempered else one, **CLOSE)

    def test_zero_vectors_have_a_finite_gradient(self) -> None:
        zero = torch.zeros(2, 8, requires_grad=True)
        SIMILARITIES[self.name].prepare(zero).sum().backward()
        assert torch.isfinite(zero.grad).all()


def untested(classes: list[type]) -> list[str]:
    """The registered parts, as ``key: name``, that none of the test classes is for."""
    tested = {
        (one.key, one.name)
        for one in classes
        if issubclass(one, PartContract) and one.__name__.startswith("Test") and hasattr(one, "name")
    }
    return [f"{key}: {name}" for key, registry in REGISTRIES.items() for name in registry if (key, name) not in tested]


__all__ = [
    "REGISTRIES",
    "AttentionContract",
    "ItemEncoderContract",
    "LossContract",
    "PartContract",
    "SimilarityContract",
    "UserEncoderContract",
    "untested",
]
