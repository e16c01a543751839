"""The cheap dropout: the share, the scale, the gradient and the seed are those of any dropout."""

from __future__ import annotations

import pytest
import torch

from recbole_attnseq.nn.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.9])
def test_it_zeroes_its_share_and_keeps_the_mean(probability: float) -> None:
    torch.manual_seed(0)
    inputs = torch.ones(1000, 201)  # not a multiple of eight
    outputs = Dropout(probability)(inputs)
    # The probability comes in 256ths; ten standard deviations of the share are below 0.011.
    assert float((outputs == 0).float().mean()) == pytest.approx(probability, abs=1 / 512 + 0.011)
    assert float(outputs.mean()) == pytest.approx(1.0, abs=0.07)
    assert len(outputs.unique()) == 2


def test_32_bits_hold_a_probability_that_256ths_miss() -> None:
    torch.manual_seed(0)
    outputs = Dropout(0.2, 32)(torch.ones(3001, 1001))
    # Four standard deviations of the share; the nearest 256th, 51/256, is 0.00078 away.
    assert float((outputs == 0).float().mean()) == pytest.approx(0.2, abs=4 * (0.16 / outputs.numel()) ** 0.5)
    assert outputs.unique().tolist() == pytest.approx([0.0, 1.25], rel=1e-6)
    assert torch.equal(Dropout(1.0, 32)(torch.ones(9)), torch.zeros(9))


def test_elements_fall_independently_of_their_neighbours() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(40_000, 16)) > 0).float()
    correlation = torch.corrcoef(kept.T) - torch.eye(16)
    assert float(correlation.abs().max()) < 0.03


def test_the_gradient_passes_where_the_value_did() -> None:
    torch.manual_seed(0)
    inputs = torch.full((7, 13), 2.0, requires_grad=True)
    outputs = Dropout(0.4)(inputs)
    outputs.backward(torch.full_like(outputs, 3.0))
    torch.testing.assert_close(inputs.grad, outputs.detach() / 2 * 3)
    assert (inputs.grad == 0).any()


def test_the_input_stays_as_it_was() -> None:
    inputs = torch.ones(50)
    Dropout(0.5)(inputs)
    assert (inputs == 1).all()


def test_it_follows_the_seed() -> None:
    dropout, inputs, results = Dropout(0.5), torch.ones(100), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(dropout(inputs))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_it_does_nothing_in_evaluation(probability: float) -> None:
    inputs = torch.randn(5, 3)
    assert torch.equal(Dropout(probability).eval()(inputs), inputs)
    assert torch.equal(Dropout(0.0)(inputs), inputs)


@pytest.mark.parametrize("shape", [(0, 4), (1,), (3, 0), (2, 3, 5)])
def test_any_shape_will_do(shape: tuple[int, ...]) -> None:
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


@pytest.mark.parametrize("probability", [0.999, 0.001])
def test_probabilities_at_the_edge_stay_finite(probability: float) -> None:
    assert torch.isfinite(Dropout(probability)(torch.ones(100))).all()
