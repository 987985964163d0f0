"""Statistics on simulated data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from eval.stats import caveat, clustered_interval, compare, mean_interval


def _table(rng: np.random.Generator, mean: float = 0.0, seeds: int = 3, episodes: int = 40) -> np.ndarray:
    """Crossed effects: training seed (sd 0.3), episode (sd 0.5) and noise (sd 1)."""
    rows, columns = rng.normal(0, 0.3, (seeds, 1)), rng.normal(0, 0.5, (1, episodes))
    return mean + rows + columns + rng.normal(0, 1, (seeds, episodes))


def test_mean_interval_agrees_with_the_normal_theory() -> None:
    sample = np.random.default_rng(0).normal(2.0, 1.0, 400)
    interval = mean_interval(sample)
    half_width = 1.96 * sample.std(ddof=1) / 20
    assert interval.mean == pytest.approx(sample.mean())
    assert interval.low == pytest.approx(sample.mean() - half_width, abs=0.015)
    assert interval.high == pytest.approx(sample.mean() + half_width, abs=0.015)
    assert interval.n == 400


def test_mean_interval_covers_a_skewed_mean_about_95_percent_of_the_time() -> None:
    rng = np.random.default_rng(1)
    intervals = [mean_interval(rng.exponential(1.0, 40)) for _ in range(100)]
    assert 0.87 <= np.mean([i.low <= 1.0 <= i.high for i in intervals]) <= 1.0


@pytest.mark.parametrize("values", [[3.0], [4.0] * 20, [0.0, 0.0, 0.0, 1.0], [0.0, 4.0]])
def test_mean_interval_survives_degenerate_samples(values: list[float]) -> None:
    interval = mean_interval(values)
    assert np.isfinite([interval.low, interval.high]).all()
    assert interval.low <= interval.mean <= interval.high


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0]]])
def test_mean_interval_refuses_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        mean_interval(values)


def test_clustered_interval_covers_the_truth_and_is_wider_than_the_naive_one() -> None:
    rng = np.random.default_rng(2)
    tables = [_table(rng) for _ in range(100)]
    clustered = [clustered_interval(table) for table in tables]
    assert np.mean([i.low <= 0 <= i.high for i in clustered]) >= 0.85
    naive = mean_interval(tables[0].ravel())
    assert clustered[0].high - clustered[0].low > naive.high - naive.low


def test_clustered_interval_of_one_training_seed_is_the_bootstrap_over_episodes() -> None:
    row = np.random.default_rng(3).normal(size=200)
    clustered, plain = clustered_interval(row[None]), mean_interval(row)
    assert clustered.low == pytest.approx(plain.low, abs=0.02)
    assert clustered.high == pytest.approx(plain.high, abs=0.02)


def test_clustered_interval_is_deterministic_and_ignores_the_order_of_training_seeds() -> None:
    table = _table(np.random.default_rng(4))
    assert clustered_interval(table) == clustered_interval(table.copy())
    swapped = clustered_interval(table[::-1])
    assert swapped.mean == pytest.approx(table.mean())
    assert swapped.low == pytest.approx(clustered_interval(table).low, abs=0.05)


def test_compare_finds_a_real_difference_and_uses_the_pairing() -> None:
    rng = np.random.default_rng(5)
    control = rng.normal(0, 3, (3, 40))
    comparison = compare(control + 0.5 + rng.normal(0, 0.2, (3, 40)), control)
    assert comparison.difference.low > 0.3
    assert comparison.p < 0.01
    assert str(comparison).startswith("+0.5")


def test_compare_rejects_equal_arms_about_5_percent_of_the_time() -> None:
    rng = np.random.default_rng(6)
    p = [compare(rng.normal(size=(3, 30)), rng.normal(size=(3, 30))).p for _ in range(60)]
    assert np.mean(np.array(p) < 0.05) <= 0.17
    assert 0.3 < np.mean(p) < 0.7


def test_compare_of_identical_arms_has_p_1() -> None:
    table = np.ones((2, 5))
    assert compare(table, table).p == 1.0


def test_unpaired_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        compare(np.ones((3, 4)), np.ones((3, 5)))


def test_caveat_names_the_number_of_training_seeds() -> None:
    assert "One training seed" in caveat([0])
    assert "Only 3" in caveat([0, 1, 2])
    assert "5 were drawn" in caveat(range(5))
