"""Is the difference real: intervals and a test on paired per-target values, and a correction for many tests.

*Interval:* the percentile bootstrap of the mean difference, targets drawn with replacement (Efron and Tibshirani,
1993). *Test:* the paired randomisation test (Fisher; Smucker, Allan and Carterette, CIKM 2007): under the null
hypothesis either model could have given either value, so the sign of each target's difference is a coin. It tests
the very mean that the table shows, and needs no normal distribution, which metrics that are 0 for most targets are far
from; Wilcoxon's test would ask about ranks of differences instead. *Correction:* Holm (1979), over one table.

Seeds are averaged target by target first, and a user's targets are taken together (:func:`per_user`). Interval and test
speak of the users that might have been drawn, not of the seeds; :func:`compare_with_seeds` takes both for drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

FLIPS = 10_000
RESAMPLES = 5_000
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """A model against another one.

    Attributes:
        difference: mean of the first minus mean of the second.
        low, high: 95% interval of the difference.
        p: two-sided p-value of the paired randomisation test.
        users: how many users were compared.
    """

    difference: float
    low: float
    high: float
    p: float
    users: int


def per_user(values: Floats, users: Sequence[str]) -> Floats:
    """What each user has part in the mean over targets: its targets are no draws of their own.

    Args:
        values: (..., R) of every target.
        users: (R,) whose each is.

    Returns:
        (..., U) whose mean is that of ``values``; ``values`` themselves where no user has two targets.
    """
    number: dict[str, int] = {}
    of = np.array([number.setdefault(user, len(number)) for user in users])
    if len(number) == len(of):
        return values
    first = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[first], np.arange(len(number)))
    sums: Floats = np.add.reduceat(values[..., first], starts, axis=-1)
    return sums * (len(number) / len(of))


def compare(first: Floats, second: Floats, seed: int = 0) -> Comparison:
    """Compare two models on the same targets.

    Args:
        first: (U,) values of one model, one a user, see :func:`per_user`.
        second: (U,) values of the other, in the same order.
        seed: of the drawn samples; the same gives the same figures.

    Raises:
        ValueError: the arrays differ in length or hold nothing.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"values of {first.shape} and {second.shape} targets cannot be paired.")
    difference = first - second
    low, high = bootstrap_interval(difference, seed=seed)
    return Comparison(float(difference.mean()), low, high, randomisation_test(difference, seed=seed), len(difference))


def compare_with_seeds(first: Floats, second: Floats) -> Comparison | None:
    """Compare two models where the targets are drawn and so are the seeds.

    The variance of the difference is the sum of three: of the targets' mean paired difference, and of each model's
    mean over its seeds. Chance of one target at one seed is in all of them, so the seeds' are taken without it, as an
    analysis of variance with two random factors does, and are 0 at the least. Interval and p are Student's, with
    Welch's and Satterthwaite's degrees of freedom, of the variances as they were measured: a few seeds tell little of
    how far seeds spread.

    Args:
        first: (S, R) values of one model at S seeds.
        second: (S', R) values of the other, with the targets in the same order.

    Returns:
        The comparison; None where a side has one seed alone, which tells nothing of its spread.
    """
    if min(len(first), len(second)) < 2:
        return None
    difference = first.mean(axis=0) - second.mean(axis=0)
    targets = float(np.var(difference, ddof=1)) / len(difference)
    measured, variance = [(targets, len(difference) - 1)], targets
    for values in (first, second):
        seeds = float(np.var(values.mean(axis=1), ddof=1)) / len(values)
        measured.append((seeds, len(values) - 1))
        variance += max(0.0, seeds - _chance(values))
    mean = float(difference.mean())
    if variance == 0:
        return Comparison(mean, mean, mean, float(mean == 0), len(difference))
    freedom = variance**2 / sum(part**2 / count for part, count in measured)
    reach = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * variance**0.5
    p = float(2 * stats.t.sf(abs(mean) / variance**0.5, freedom))
    return Comparison(mean, mean - reach, mean + reach, p, len(difference))


def compare_runs(first: Floats, second: Floats, users: Sequence[str]) -> tuple[Comparison, Comparison | None]:
    """Two runs by :func:`compare`, seeds averaged target by target, and by :func:`compare_with_seeds`.

    Args:
        first: (S, R) values of one run at S seeds.
        second: (S', R) values of the other.
        users: (R,) whose each target is.
    """
    narrow = compare(per_user(first.mean(axis=0), users), per_user(second.mean(axis=0), users))
    return narrow, compare_with_seeds(per_user(first, users), per_user(second, users))


def _chance(values: Floats) -> float:
    """What is left of the variance of the mean of (S, R) values where each seed and each target had its own mean."""
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    seeds, targets = values.shape
    chance: float = np.square(rest).sum() / max(1, (seeds - 1) * (targets - 1)) / values.size
    return chance


def bootstrap_interval(
    difference: Floats, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean.

    Args:
        difference: (R,) paired differences.
        level: share of resamples outside of the interval.
        resamples: how many to draw.
        seed: of the draws.
    """
    # A resample of R values out of U distinct ones is a draw of U counts: the same distribution, far fewer numbers.
    values, counts = np.unique(difference, return_counts=True)
    # The legacy generator's stream is frozen over numpy's versions, so committed tables stay current.
    draws = np.random.RandomState(seed).multinomial(len(difference), counts / len(difference), size=resamples)
    means = draws @ values / len(difference)
    low, high = np.quantile(means, [level / 2, 1 - level / 2])
    return float(low), float(high)


def randomisation_test(difference: Floats, flips: int = FLIPS, seed: int = 0) -> float:
    """Two-sided p-value of the hypothesis that the signs of paired differences are coins.

    Args:
        difference: (R,) paired differences.
        flips: random sign patterns beside the observed one; p is at least 1 / (flips + 1).
        seed: of the patterns.
    """
    # Equal values keep their sum under any sign. Of equal sizes only the number of plus signs counts.
    sizes, counts = np.unique(np.abs(difference[difference != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    random = np.random.RandomState(seed)
    sums = np.zeros(flips)
    for size, count in zip(sizes, counts, strict=True):
        sums += size * (2.0 * random.binomial(int(count), 0.5, size=flips) - count)
    # Sums that are equal on paper may differ in the last digit.
    extreme = int((np.abs(sums) >= abs(float(difference.sum())) * (1 - 1e-9) - 1e-12).sum())
    return (extreme + 1) / (flips + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values, in the order given.

    Args:
        p_values: one a test.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * float(p_values[index])))
        adjusted[index] = highest
    return [float(value) for value in adjusted]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None for a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
