"""A progress bar over a study, whoever runs its trials: how many are done, the best value, the time left."""

from __future__ import annotations

import sys
import time
from typing import Any

import optuna
from optuna.trial import TrialState
from tqdm import tqdm

from recbole_attnseq.tuning.bookkeeping import tally


class Progress:
    """tqdm's bar, fed from the study.

    Args:
        study: the study to watch.
        trials: planned trials, or None.
        deadline: ``time.monotonic()`` at which the search ends, or None.
        retries: see :func:`tally`.
        label: what the bar is about.
        shown: False for none.
    """

    def __init__(
        self, study: Any, trials: int | None, deadline: float | None, retries: int, label: str, shown: bool = True
    ) -> None:
        self.study, self.deadline, self.retries = study, deadline, retries
        done = tally(study.get_trials(deepcopy=False), retries).done
        self.bar = tqdm(
            total=trials, initial=done, desc=label, unit="trial", disable=not shown, file=sys.stderr, dynamic_ncols=True
        )
        self._note, self._best = "", "no value yet"
        # A log file has no line to redraw: one a minute is enough there.
        self._pause = 0.1 if sys.stderr.isatty() else 60.0
        self._drawn = -self._pause

    def refresh(self) -> None:
        """Look at the study and redraw."""
        trials = self.study.get_trials(deepcopy=False)
        self.bar.n = tally(trials, self.retries).done
        self._draw(best_value(self.study, trials))

    def note(self, text: str) -> None:
        """Show what is going on; no look at the study."""
        self._note = text
        self._draw(None)

    def _draw(self, best: float | None) -> None:
        if best is not None:
            self._best = f"best {best:.4f}"
        if time.monotonic() - self._drawn < self._pause:
            return
        self._drawn = time.monotonic()
        parts = [self._best, self._note]
        if self.deadline is not None:
            parts.append(f"{max(0.0, self.deadline - time.monotonic()) / 60:.0f} min left")
        self.bar.set_postfix_str(", ".join(filter(None, parts)))

    def close(self) -> None:
        """Draw a last time and leave the bar as it is."""
        self._drawn = -self._pause
        self._draw(None)
        self.bar.close()


def best_value(study: Any, trials: list[Any]) -> float | None:
    """The best value of the complete trials, or None."""
    values: list[float] = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
    if not values:
        return None
    return max(values) if study.direction == optuna.study.StudyDirection.MAXIMIZE else min(values)
