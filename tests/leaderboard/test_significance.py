"""The statistics against scipy's on known arrays, and what they must say of cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recbole_attnseq.leaderboard.measures import per_target
from recbole_attnseq.leaderboard.significance import (
    bootstrap_interval,
    compare,
    compare_with_seeds,
    holm,
    mean_and_deviation,
    per_user,
    randomisation_test,
)


def _ndcg(seed: int, users: int, shift: int = 0) -> np.ndarray:
    """Values as a table has them: 0 for most users."""
    rank = np.random.default_rng(seed).geometric(0.02, size=users) + shift
    return per_target("ndcg@10", rank)


def _mean_difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(first - second, axis=axis)


def test_randomisation_test_is_exact_on_few_users() -> None:
    """Scipy goes through all 2^10 sign patterns; ours draws some of them."""
    first = np.array([0.9, 0.4, 0.7, 0.3, 0.8, 0.6, 0.5, 0.2, 0.65, 0.31])
    second = np.array([0.5, 0.5, 0.2, 0.1, 0.3, 0.7, 0.1, 0.3, 0.1, 0.3])
    exact = stats.permutation_test(
        (first, second), _mean_difference, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert 0.01 < exact < 0.2
    assert randomisation_test(first - second, flips=100_000) == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_randomisation_test_agrees_with_scipy_and_with_t_on_many_users(shift: int) -> None:
    first, second = _ndcg(1, 1500), _ndcg(2, 1500, shift)
    ours = randomisation_test(first - second)
    scipys = stats.permutation_test(
        (first, second), _mean_difference, permutation_type="samples", n_resamples=4000, rng=np.random.default_rng(0),
        vectorized=True, batch=500,
    ).pvalue  # fmt: skip
    assert ours == pytest.approx(scipys, abs=0.03)
    assert ours == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=0.03)


def test_with_equal_seeds_only_the_users_vary() -> None:
    first, second = _ndcg(1, 900), _ndcg(2, 900, 3)
    ours = compare_with_seeds(np.stack([first] * 3), np.stack([second] * 2))
    theirs = stats.ttest_rel(first, second)
    assert ours is not None
    assert ours.p == pytest.approx(theirs.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval()))


def test_with_users_that_differ_equally_only_the_seeds_vary() -> None:
    users = _ndcg(3, 50)
    first, second = np.array([0.11, 0.14, 0.1]), np.array([0.05, 0.09, 0.06, 0.1])
    ours = compare_with_seeds(users + first[:, None], users + second[:, None])
    theirs = stats.ttest_ind(first, second, equal_var=False)
    assert ours is not None
    assert ours.p == pytest.approx(theirs.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval()))


def test_seeds_widen_an_interval_and_one_seed_tells_nothing_of_them() -> None:
    first = np.stack([_ndcg(seed, 900) for seed in (1, 2, 3)])
    second = np.stack([_ndcg(seed, 900, 3) for seed in (4, 5, 6)])
    wide, narrow = compare_with_seeds(first, second), compare(first.mean(axis=0), second.mean(axis=0))
    assert wide is not None
    assert wide.difference == pytest.approx(narrow.difference)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert compare_with_seeds(first[:1], second) is None
    same = compare_with_seeds(first[[0, 0]], first[[0, 0]])
    assert same is not None
    assert (same.low, same.high, same.p) == (0, 0, 1)


@pytest.mark.parametrize(("spread", "chance"), [(0.0, 0.1), (0.004, 0.1), (0.01, 0.02)])
def test_models_that_differ_by_chance_are_told_apart_as_often_as_said(spread: float, chance: float) -> None:
    """Of equal models that users, seeds, and users at seeds move, one in twenty comes out significant; not two."""
    draw = np.random.default_rng(0)
    found = 0
    for _ in range(800):
        first, second = (
            draw.normal(0, spread, (4, 1)) + draw.normal(0, chance, (4, 300)) + user
            for user in draw.normal(0, 0.1, (2, 300))
        )
        result = compare_with_seeds(first, second)
        assert result is not None
        found += result.p < 0.05
    assert 0.025 < found / 800 < 0.075


def test_chance_of_a_user_at_a_seed_counts_once() -> None:
    """Without any spread of seeds the interval is that of the users' mean difference, but for degrees of freedom."""
    draw = np.random.default_rng(1)
    widths = []
    for _ in range(200):
        first, second = draw.normal(0, 1, (2, 8, 400))
        wide, narrow = compare_with_seeds(first, second), stats.ttest_rel(first.mean(axis=0), second.mean(axis=0))
        assert wide is not None
        widths.append((wide.high - wide.low) / (narrow.confidence_interval().high - narrow.confidence_interval().low))
    assert min(widths) >= 1
    assert np.median(widths) < 1.2  # counted twice it would be 1.4


def test_bootstrap_interval_agrees_with_scipy() -> None:
    difference = _ndcg(3, 900) - _ndcg(4, 900, 2)
    low, high = bootstrap_interval(difference)
    theirs = stats.bootstrap(
        (difference,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(0), batch=500
    ).confidence_interval
    spread = high - low
    assert low == pytest.approx(theirs.low, abs=0.05 * spread)
    assert high == pytest.approx(theirs.high, abs=0.05 * spread)


def test_holm_by_hand() -> None:
    """Holm (1979): 4 x 0.01, 3 x 0.02, then never less than before, never more than 1."""
    assert holm([0.02, 0.01, 0.9, 0.03]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_models_do_not_differ() -> None:
    values = _ndcg(5, 400)
    result = compare(values, values)
    assert (result.difference, result.low, result.high, result.p, result.users) == (0.0, 0.0, 0.0, 1.0, 400)


def test_a_clear_winner_is_significant_and_its_interval_leaves_out_zero() -> None:
    result = compare(_ndcg(6, 2000), _ndcg(7, 2000, 6))
    assert result.difference > 0
    assert result.low > 0
    assert result.p < 0.001
    swapped = compare(_ndcg(7, 2000, 6), _ndcg(6, 2000))
    assert swapped.difference == -result.difference
    assert swapped.p == pytest.approx(result.p, abs=1e-3)


def test_false_alarms_are_as_rare_as_they_claim() -> None:
    """Two models of one quality: p below 0.05 in about a twentieth of the cases."""
    alarms = sum(
        randomisation_test(_ndcg(seed, 300) - _ndcg(1000 + seed, 300), flips=500) < 0.05 for seed in range(300)
    )
    assert 5 <= alarms <= 27  # binomial with 300 and 0.05: outside of this once in a thousand


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="paired"):
        compare(np.zeros(3), np.zeros(4))


def test_mean_and_deviation() -> None:
    assert mean_and_deviation([1.0]) == (1.0, None)
    mean, deviation = mean_and_deviation([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    assert deviation == pytest.approx(stats.tstd([1.0, 2.0, 4.0]))


def test_a_users_targets_are_taken_together() -> None:
    """The mean stays; a user with three equal targets is one draw, not three."""
    users = ["b", "a", "b", "c", "b"]
    values = np.array([[1.0, 0.5, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0]])
    each = per_user(values, users)
    assert each.shape == (2, 3)
    np.testing.assert_allclose(each, np.array([[3.0, 0.5, 0.0], [0.0, 1.0, 1.0]]) * 3 / 5)
    np.testing.assert_allclose(each.mean(axis=1), values.mean(axis=1))
    np.testing.assert_allclose(per_user(values[0], users), each[0])
    assert per_user(values, list("abcde")) is values


def test_many_targets_of_few_users_make_no_small_p() -> None:
    """Five users of forty targets each, whose differences are the users': by targets certain, by users chance."""
    random = np.random.default_rng(0)
    users = [f"u{user}" for user in range(5) for _ in range(40)]
    difference = np.repeat([0.3, 0.2, -0.05, 0.1, -0.1], 40) + random.normal(0, 0.01, 200)
    none = np.zeros(200)
    assert compare(difference, none).p < 0.001
    assert compare(per_user(difference, users), per_user(none, users)).p > 0.1
