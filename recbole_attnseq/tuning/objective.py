"""The two objectives: a trial of the search, scored on validation; and a run of the winner, scored on test."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna

from recbole_attnseq.tuning.bookkeeping import DUPLICATE
from recbole_attnseq.tuning.problem import Problem
from recbole_attnseq.tuning.search_data import FinalData
from recbole_attnseq.tuning.training import train_once

Note = Callable[[str], None]


class SearchObjective:
    """Train one setting and return its best validation score; there is no test data here to look at.

    With an epoch pruner the first seed's validation curve decides. With a pruner over seeds every seed is trained
    and its best score reported under the seed's number; the value is the mean.

    Args:
        problem: what is tuned.
        seeds: of a trial's runs.
        over_seeds: report a value a seed rather than a value an epoch.
        note: told what goes on, for the progress bar.
    """

    def __init__(
        self, problem: Problem, seeds: Sequence[int], over_seeds: bool = False, note: Note | None = None
    ) -> None:
        self.problem = problem
        self.seeds = list(seeds)
        self.over_seeds = over_seeds
        self.note = note or (lambda text: None)

    def __call__(self, trial: Any) -> float:
        """Optuna's objective."""
        drawn = self.problem.space.sample(trial, self.problem.defaults, trial.user_attrs.get("preset"))
        trial.set_user_attr("settings", drawn)
        scores: list[float] = []
        for index, seed in enumerate(self.seeds):
            score = self._run(trial, {**drawn, "seed": seed}, seed, by_epoch=index == 0 and not self.over_seeds)
            scores.append(score)
            if self.over_seeds:
                trial.report(score, index)
                if trial.should_prune() and index + 1 < len(self.seeds):
                    raise optuna.TrialPruned(f"worse than the best after {index + 1} of {len(self.seeds)} seeds")
        return statistics.fmean(scores)

    def _run(self, trial: Any, settings: Mapping[str, Any], seed: int, by_epoch: bool) -> float:
        curve: list[float] = []

        def on_epoch(epoch: int, score: float) -> None:
            curve.append(score)
            self.note(f"trial {trial.number} epoch {epoch} {score:.4f}")
            if by_epoch:
                trial.report(score, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned(f"behind at epoch {epoch}")

        config = self.problem.config(settings)
        loaders = self.problem.data.loaders(config)
        outcome = train_once(config, loaders, on_epoch, lambda figures: store(trial, figures), self.problem.shortcuts)
        trial.set_user_attr("valid", outcome.valid)
        if not by_epoch:
            trial.set_user_attr(f"curve of seed {seed}", curve)
        return outcome.score


class FinalObjective:
    """Train the winner with one seed and score it on the test data, once.

    Args:
        problem: what was tuned.
        winner: the winning trial's settings.
        note: told what goes on, for the progress bar.
    """

    def __init__(self, problem: Problem, winner: Mapping[str, Any], note: Note | None = None) -> None:
        self.problem = problem
        self.winner = dict(winner)
        self.note = note or (lambda text: None)

    def __call__(self, trial: Any) -> float:
        """Optuna's objective; the value is the validation score, the test scores are kept beside it."""
        preset = trial.user_attrs.get("preset")
        if preset is None:
            raise Surplus("two workers asked at once; no seed is left for this trial")
        seed = trial.suggest_int("seed", 0, 2**32 - 1)
        config = self.problem.config({**self.winner, "seed": seed})
        loaders = FinalData(self.problem.seed).loaders(config)
        self.note(f"final seed {seed}")

        def on_epoch(epoch: int, score: float) -> None:
            trial.report(score, epoch)
            self.note(f"final seed {seed} epoch {epoch} {score:.4f}")

        outcome = train_once(config, loaders, on_epoch, lambda figures: store(trial, figures), self.problem.shortcuts)
        trial.set_user_attr("valid", outcome.valid)
        trial.set_user_attr("test", outcome.test)
        trial.set_user_attr("split_hash", config["split_hash"])
        return outcome.score


class Surplus(Exception):
    """A trial that nobody needs."""

    reason = DUPLICATE


def store(trial: Any, figures: Mapping[str, float | None]) -> None:
    """Keep what a run cost with its trial: the largest memory and the latest times of its runs."""
    before = trial.user_attrs
    for key, value in figures.items():
        old = before.get(key)
        if key.endswith("_mib") and isinstance(old, (int, float)) and value is not None:
            value = max(old, value)
        elif key == "seconds" and isinstance(old, (int, float)) and value is not None:
            value += old
        trial.set_user_attr(key, value)
