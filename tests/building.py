"""Small networks and histories for the tests, all from fixed seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from importlib.resources import files
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from recbole_attnseq.data_rules import network_follows
from recbole_attnseq.nn.item_encoders import ITEM_ENCODERS
from recbole_attnseq.nn.item_lists import ItemLists
from recbole_attnseq.nn.network import Network
from recbole_attnseq.nn.packing import Packing
from recbole_attnseq.nn.settings import NetworkSettings

# Tiny products gain nothing from threads, and the suite is timed on one core.
torch.set_num_threads(1)

LENGTHS = (1, 7, 3, 12, 5)  # single steps, shorter and longer than the window below
LONG = (1, 70, 3, 40, 5)  # over several blocks of tokens, wherever those are cut
WINDOW = 5
SMALL: dict[str, Any] = {
    # Attention over the history, so that every part is at work whatever the defaults are.
    "attention": "dot",
    "attention_gate": True,
    "similarity": "cosine",
    "items": 12,
    "max_length": WINDOW,
    "hidden_size": 8,
    "n_layers": 1,
    "n_heads": 2,
    "inner_size": 16,
    "rnn_hidden_size": 6,
    "attention_heads": 2,
    "attention_hidden_size": 3,
    "num_negatives": 4,
    "temperature": 0.5,
    "initializer_range": 0.5,
    "embedding_dropout_prob": 0.0,
    "hidden_dropout_prob": 0.0,
    "attn_dropout_prob": 0.0,
}


def default_values() -> dict[str, Any]:
    """The network's keys in defaults.yaml, so that a new key needs no change here."""
    text = files("recbole_attnseq").joinpath("defaults.yaml").read_text(encoding="utf-8")
    known = yaml.safe_load(text)
    values = {}
    for field in fields(NetworkSettings):
        if field.name in known:
            # PyYAML reads 1e-8 as text; RecBole's loader does not.
            number = field.type == "float" and known[field.name] != "auto"
            values[field.name] = float(known[field.name]) if number else known[field.name]
    return {**values, **network_follows(values)}


def settings(**changes: Any) -> NetworkSettings:
    """The defaults at a tiny size without dropout, with ``changes``."""
    return NetworkSettings(**{**default_values(), **SMALL, **changes})


def stir(module: nn.Module, seed: int = 0) -> None:
    """Move every parameter off its initial value: identities, zeros and shut gates would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    paddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding) and m.padding_idx == 0}
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.4
            if id(parameter) in paddings:
                noise[0] = 0
            parameter += noise


def network(
    budget: int = 1 << 20,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    history_negatives: bool = True,
    **changes: Any,
) -> Network:
    """A tiny stirred network in evaluation mode."""
    torch.manual_seed(seed)
    chosen = settings(**changes)
    lists = item_lists(chosen.items, ITEM_ENCODERS[chosen.item_encoder].made_with)
    built = Network(chosen, budget=budget, history_negatives=history_negatives, item_lists=lists).to(dtype)
    stir(built, seed)
    return built.eval()


def item_lists(items: int, made_with: str | None = "features") -> ItemLists | None:
    """Item n has n % 4 of five features, or of the items after it; padding none; the shares of each add up to 1."""
    if made_with is None:
        return None
    if made_with == "features":
        lists = [[(item + k) % 5 for k in range(item % 4)] for item in range(items)]
    else:
        lists = [[(item + k) % (items - 1) + 1 for k in range(item % 4)] for item in range(items)]
    lengths = torch.tensor([0, *map(len, lists)])
    return ItemLists(
        offsets=lengths.cumsum(0),
        values=torch.tensor([value for row in lists for value in row]),
        weights=torch.tensor([1 / len(row) for row in lists for _ in row]),
        count=5 if made_with == "features" else items,
    )


def histories(lengths: Sequence[int] = LENGTHS, items: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random items (T,) and lengths (B,)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, items, (sum(lengths),), generator=generator), torch.tensor(lengths)


def vectors(count: int, width: int = 8, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random vectors (count, width)."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def window_of(token: int, packing: Packing) -> tuple[int, int]:
    """First and one past the last token that ``token`` may see, by counting from the packing's lengths."""
    start = 0
    for length in packing.lengths.tolist():
        if token < start + length:
            return max(start, token - packing.window + 1), token + 1
        start += length
    raise IndexError(token)


class Largest(TorchDispatchMode):
    """Notes the most elements of any tensor that an operation makes while this is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(one, Tensor):
                # A view that repeats itself holds no more than what it repeats.
                self.elements = max(self.elements, one.untyped_storage().nbytes() // one.element_size())
        return result
