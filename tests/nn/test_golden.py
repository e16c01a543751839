"""Loss values of every combination of parts, frozen: a silent change of mathematics fails here.

A new part adds its combinations and leaves the others as they are:

    python -m tests.nn.test_golden

A change that is meant to alter the mathematics writes every value anew, and says so in CHANGELOG.md:

    python -m tests.nn.test_golden --all
"""

from __future__ import annotations

import itertools
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from tests.building import settings
from tests.contracts import REGISTRIES

FILE = Path(__file__).parents[1] / "golden" / "losses.json"
PARTS = ("user_encoder", "attention", "loss_type", "similarity")
HISTORIES = ((3,), (1, 2, 3, 4, 5, 6, 7), (11, 10, 9), (5, 5, 2, 8, 1, 1, 9, 4, 6, 3, 7, 10), (2, 4))
TARGETS = ((7,), (2, 3, 4, 5, 6, 7, 8), (10, 9, 8), (5, 2, 8, 1, 1, 9, 4, 6, 3, 7, 10, 11), (4, 6))


def combinations() -> list[str]:
    """``encoder attention loss similarity`` for everything that is registered."""
    return [" ".join(names) for names in itertools.product(*(sorted(REGISTRIES[key]) for key in PARTS))]


def fill(network: Network) -> None:
    """Set each parameter from its own name, so that the order in which they are made does not matter."""
    for name, parameter in network.named_parameters():
        # NumPy promises that this legacy generator's stream never changes; torch promises nothing of its own.
        values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(parameter.shape))
        with torch.no_grad():
            parameter.copy_(torch.as_tensor(np.asarray(values) * 0.5))
            if name.endswith("table.weight"):
                parameter[0] = 0


def loss(combination: str) -> float:
    """The loss of one combination on the fixed batch, in float64."""
    network = Network(settings(**dict(zip(PARTS, combination.split(), strict=True)))).double().eval()
    fill(network)
    items = torch.tensor([item for history in HISTORIES for item in history])
    packing = Packing(torch.tensor([len(history) for history in HISTORIES]), 5)
    queries = torch.arange(len(items)) if network.causal else packing.last
    targets = torch.tensor([item for history in TARGETS for item in history])[queries]
    torch.manual_seed(0)  # of the negatives
    with torch.no_grad():
        return float(network.loss(items, packing, queries, targets))


@pytest.fixture(scope="module")
def golden() -> dict[str, float]:
    values: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))
    return values


@pytest.mark.parametrize("combination", combinations())
def test_the_loss_is_what_it_was(combination: str, golden: dict[str, float]) -> None:
    assert loss(combination) == pytest.approx(golden[combination], rel=1e-5)


def test_the_file_holds_nothing_else(golden: dict[str, float]) -> None:
    assert sorted(golden) == sorted(combinations())


def test_no_two_parts_are_the_same_mathematics(golden: dict[str, float]) -> None:
    assert len({round(value, 8) for value in golden.values()}) == len(golden)


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    known = {} if "--all" in sys.argv or not FILE.exists() else json.loads(FILE.read_text(encoding="utf-8"))
    values = {name: known[name] if name in known else loss(name) for name in combinations()}
    FILE.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
