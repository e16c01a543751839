"""A running average of the weights: what is validated, tested and saved in place of the last step's weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from recbole_attnseq.errors import UserError

# The average leans on the first steps' weights no more than a plain mean over about this many steps would.
WARM_UP = 10


def check_decay(decay: object) -> None:
    """Refuse what is no decay.

    Raises:
        UserError: ``decay`` is not in (0, 1).
    """
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0 < decay < 1:
        raise UserError(f"weight_average is {decay!r}; give a decay below 1, e.g. 0.999, or 0 for no average.")


class WeightAverage:
    """Exponential moving average of parameters over optimizer steps (Polyak and Juditsky, 1992).

    Small batches learn fast but end anywhere in a cloud around the optimum; the average of the cloud is nearer to it.
    After step t the average moves to the weights by ``1 - d_t`` with ``d_t = min(decay, t / (t + 9))``: a plain mean
    at first, so that the start is soon forgotten.

    A table of which a step touches few rows (``sparse``) is averaged in step with those rows: a row that stood still
    for k steps has moved towards its weights by the product of their ``d``, which is made up for when the row is
    touched next or the average is asked for. The result is the same as if every row had been visited.

    Args:
        parameters: averaged at each step.
        tables: parameters with sparse gradients.
        decay: d, in [0, 1); the average reaches back about ``1 / (1 - decay)`` steps.

    Raises:
        UserError: ``decay`` is not in (0, 1).
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float, tables: Iterable[Tensor] = ()) -> None:
        check_decay(decay)
        self.decay = decay
        self.tables = list(tables)
        self.dense = [p for p in parameters if all(p is not table for table in self.tables)]
        self._dense_average = [p.detach().clone() for p in self.dense]
        self._table_average = [p.detach().clone() for p in self.tables]
        self._held: list[Tensor] | None = None
        self.steps = 0
        # Sum of log d over the steps so far, and what it was when each row was last brought up to date.
        self._log_decay = 0.0
        self._seen = [torch.zeros(len(p), dtype=torch.float64, device=p.device) for p in self.tables]

    @torch.no_grad()
    def before_step(self) -> None:
        """Call before the optimizer's step: brings rows that are about to change up to date."""
        for number, table in enumerate(self.tables):
            if table.grad is not None:
                self._catch_up(number, table.grad.coalesce().indices()[0])

    @torch.no_grad()
    def after_step(self) -> None:
        """Call after the optimizer's step: takes the new weights in."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + WARM_UP - 1))
        self._log_decay += math.log(decay)
        torch._foreach_lerp_(self._dense_average, [p.detach() for p in self.dense], 1 - decay)

    @torch.no_grad()
    def show(self) -> None:
        """Put the average into the parameters and hold the weights, until :meth:`hide`."""
        if self._held is not None:
            return
        for number, table in enumerate(self.tables):
            self._catch_up(number, torch.arange(len(table), device=table.device))
        self._held = [p.detach().clone() for p in (*self.dense, *self.tables)]
        for p, average in zip((*self.dense, *self.tables), (*self._dense_average, *self._table_average), strict=True):
            p.copy_(average)

    @torch.no_grad()
    def hide(self) -> None:
        """Put the weights back, to go on training."""
        if self._held is not None:
            for p, weights in zip((*self.dense, *self.tables), self._held, strict=True):
                p.copy_(weights)
            self._held = None

    def state_dict(self) -> dict[str, Any]:
        """All that :meth:`load_state_dict` needs beside the parameters themselves."""
        return {
            "dense": self._dense_average,
            "tables": self._table_average,
            "held": self._held,
            "seen": self._seen,
            "steps": self.steps,
            "log_decay": self._log_decay,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of an average over equal parameters, on any device."""
        for mine, theirs in (
            (self._dense_average, state["dense"]), (self._table_average, state["tables"]), (self._seen, state["seen"]),
        ):  # fmt: skip
            for ours, values in zip(mine, theirs, strict=True):
                ours.copy_(values)
        held = state["held"]
        parameters = (*self.dense, *self.tables)
        self._held = held and [values.to(p.device) for p, values in zip(parameters, held, strict=True)]
        self.steps, self._log_decay = state["steps"], state["log_decay"]

    def _catch_up(self, number: int, rows: Tensor) -> None:
        weights, average, seen = self.tables[number].detach(), self._table_average[number], self._seen[number]
        kept = torch.exp(self._log_decay - seen[rows]).to(average.dtype)[:, None]
        average[rows] = weights[rows] + kept * (average[rows] - weights[rows])
        seen[rows] = self._log_decay
