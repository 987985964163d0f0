"""Comparisons of two arms on simulated data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from eval.stats import compare, holm, probability_of_improvement
from eval.stats.clustered import studentised
from eval.stats.simulate import PAIRED, Scenario, coverage


def test_compare_finds_a_real_difference_and_uses_the_pairing() -> None:
    rng = np.random.default_rng(5)
    control = rng.normal(0, 3, (3, 40))
    comparison = compare(control + 0.5 + rng.normal(0, 0.2, (3, 40)), control)
    assert comparison.difference.low > 0.3
    assert comparison.p < 0.01
    assert str(comparison).startswith("+0.5")


def test_p_is_uniform_for_these_trained_models() -> None:
    rng = np.random.default_rng(6)
    effects = rng.normal(0, 0.5, (3, 1))
    arms = rng.normal(size=(300, 2, 3, 12)) + effects
    p = [compare(*pair).p for pair in arms]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("scenario", PAIRED, ids=lambda scenario: scenario.name)
def test_p_seeds_keeps_its_level_for_models_trained_again(scenario: Scenario) -> None:
    pairs = scenario.draw(2, 400, (3, 40), np.random.default_rng(7))
    p = np.array([studentised(first - second).p() for first, second in zip(*pairs, strict=True)])
    bound = 3 * (0.05 * 0.95 / 400) ** 0.5
    assert 0.02 - 0.01 <= np.mean(p < 0.05) <= 0.05 + bound


def test_p_rejects_too_often_where_seeds_differ_and_p_seeds_does_not() -> None:
    first, second = Scenario("seeds", 0.3, 0.3, 0.4).draw(2, 100, (3, 40), np.random.default_rng(18))
    results = [compare(*pair) for pair in zip(first, second, strict=True)]
    assert np.mean([result.p < 0.05 for result in results]) > 0.25
    assert np.mean([result.p_seeds < 0.05 for result in results]) <= 0.12


def test_p_seeds_and_the_interval_say_the_same() -> None:
    first, second = PAIRED[2].draw(2, 100, (3, 40), np.random.default_rng(9))
    results = [compare(*pair) for pair in zip(first + 0.4, second, strict=True)]
    outside = [not result.difference.low <= 0 <= result.difference.high for result in results]
    assert outside == [result.significant for result in results]
    assert 5 < sum(outside) < 95


def test_compare_of_identical_arms_has_p_1() -> None:
    table = np.ones((2, 5))
    comparison = compare(table, table)
    assert (comparison.p, comparison.p_seeds) == (1.0, 1.0)
    assert not comparison.significant


def test_equal_differences_are_judged_by_the_number_of_episodes() -> None:
    assert compare(np.ones((3, 8)), np.zeros((3, 8))).p_seeds == pytest.approx(2 / 2**8)
    assert compare(np.ones((3, 1)), np.zeros((3, 1))).p_seeds == 1.0


def test_probability_of_improvement_compares_all_pairs_of_trainings_within_an_episode() -> None:
    treatment, control = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[2.0, 5.0], [0.0, 9.0]])
    # Episode 0: 1 < 2, 1 > 0, 3 > 2, 3 > 0. Episode 1: two ties with 5, two losses to 9.
    assert probability_of_improvement(treatment, control).mean == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert probability_of_improvement(control, treatment).mean == pytest.approx(1 / 2)


def test_probability_of_improvement_agrees_with_the_u_statistic_and_stays_within_0_and_1() -> None:
    rng = np.random.default_rng(13)
    x, y = rng.integers(0, 5, (2, 4, 30))
    u = [stats.mannwhitneyu(x[:, e], y[:, e]).statistic / 16 for e in range(30)]
    interval = probability_of_improvement(x, y)
    assert interval.mean == pytest.approx(np.mean(u))
    assert interval.low < 0.5 < interval.high
    sure = probability_of_improvement(x + 5, y)
    assert (sure.low, sure.mean, sure.high) == pytest.approx((1.0, 1.0, 1.0))
    assert probability_of_improvement(x + 3, y).high <= 1.0


def test_probability_of_improvement_covers_the_normal_law() -> None:
    shift, rng = 0.5, np.random.default_rng(14)
    truth = stats.norm.cdf(shift / (2 * (0.3**2 + 1)) ** 0.5)
    arms = rng.normal(0, 0.3, (2, 150, 3, 1)) + rng.normal(0, 1, (2, 150, 3, 40)) + rng.normal(0, 1, (150, 1, 40))
    intervals = [probability_of_improvement(x + shift, y) for x, y in zip(*arms, strict=True)]
    assert 0.88 < coverage(intervals, truth) <= 1.0


def test_probability_of_improvement_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="finite tables"):
        probability_of_improvement([[float("nan")]], [[1.0]])


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x 0.01; 2 x 0.03; max(0.06, 0.04)
        ([0.01, 0.02, 0.022, 0.09], [0.04, 0.06, 0.06, 0.09]),  # 3 x 0.02 > 2 x 0.022: monotone
        ([0.7, 0.6], [1.0, 1.0]),
        ([0.05, 0.05], [0.1, 0.1]),
    ],
)
def test_holm_by_hand(p: list[float], adjusted: list[float]) -> None:
    assert holm(p) == pytest.approx(adjusted)


def test_holm_makes_false_claims_about_5_percent_of_the_time_and_is_kinder_than_bonferroni() -> None:
    p = np.random.default_rng(15).uniform(size=(2000, 4))
    assert 0.03 < np.mean([min(holm(list(row))) < 0.05 for row in p]) < 0.065
    assert all(np.all(np.array(holm(list(row))) <= np.minimum(4 * row, 1)) for row in p[:50])


@pytest.mark.parametrize("p", [[1.1], [-0.1], [float("nan")], [[0.1]]])
def test_holm_refuses_what_is_no_probability(p: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm(p)


def test_unpaired_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        compare(np.ones((3, 4)), np.ones((3, 5)))
