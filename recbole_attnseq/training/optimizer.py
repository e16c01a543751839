"""One optimizer over tables that get sparse gradients and parameters that get dense ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class DenseAndSparse:
    """Adam for most parameters, SparseAdam for embedding tables of which a step touches few rows.

    A dense step over a million rows costs more than the step's whole forward and backward pass; a sparse one costs
    what the rows in the batch cost. Rows that a step does not touch keep their moments (so-called lazy Adam).

    Args:
        dense: parameters with dense gradients.
        sparse: parameters with sparse gradients.
        learning_rate: of both.
    """

    def __init__(self, dense: Iterable[nn.Parameter], sparse: Iterable[torch.Tensor], learning_rate: float) -> None:
        self.parts: dict[str, torch.optim.Optimizer] = {
            "dense": torch.optim.Adam(dense, lr=learning_rate),
            "sparse": torch.optim.SparseAdam(list(sparse), lr=learning_rate),
        }

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both, for schedulers."""
        return [group for part in self.parts.values() for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self.parts.values():
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Update all parameters that have a gradient."""
        for part in self.parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Both states, by part."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up both states."""
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


def fused(optimizer: Any) -> Any:
    """The same optimizer in one kernel for all parameters where it is plain Adam; any other one as it is.

    PyTorch's default on a CPU is a dozen small operations for each parameter.
    """
    if type(optimizer) is not torch.optim.Adam:
        return optimizer
    (group,) = optimizer.param_groups
    return torch.optim.Adam(group["params"], lr=group["lr"], weight_decay=group["weight_decay"], fused=True)
