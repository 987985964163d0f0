"""Statistics on simulated data whose truth is known."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eval.stats import Interval, caveat, clustered_interval, interquartile_mean, mean_interval
from eval.stats.clustered import studentised, weighted_iqm, weighted_mean
from eval.stats.simulate import PAIRED, SINGLE, Scenario, coverage, percentile_interval
from tests.conftest import Program


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


COVERED = {scenario.name: scenario for scenario in SINGLE if scenario.name != "rewards, 80% 0: mostly seeds"}


@pytest.mark.parametrize("design", [(3, 20), (3, 40), (6, 60), (10, 40)])
@pytest.mark.parametrize("name", COVERED)
def test_clustered_interval_covers_the_truth_90_to_99_percent_of_the_time(name: str, design: tuple[int, int]) -> None:
    tables = COVERED[name].draw(1, 200, design, np.random.default_rng(2))[0]
    share = coverage([clustered_interval(table) for table in tables], COVERED[name].truth(weighted_mean))
    assert 0.9 <= share <= 0.99


def test_three_seeds_alone_need_the_t_interval_of_three_numbers() -> None:
    by_seed = np.array([1.0, 2.0, 4.5])
    interval = clustered_interval(np.tile(by_seed[:, None], 40))
    exact = stats.t.interval(0.95, 2, by_seed.mean(), stats.sem(by_seed))
    assert (interval.low, interval.high) == pytest.approx(exact, rel=0.05)
    plain = percentile_interval(np.tile(by_seed[:, None], 40))
    assert (plain.low, plain.high) == pytest.approx((1.0, 4.5))


def test_where_seeds_do_not_differ_the_interval_is_that_of_the_episodes() -> None:
    by_episode = np.random.default_rng(3).normal(size=40)
    interval = clustered_interval(np.tile(by_episode, (3, 1)))
    exact = stats.t.interval(0.95, 39, by_episode.mean(), stats.sem(by_episode))
    assert interval.high - interval.low == pytest.approx(exact[1] - exact[0], rel=0.05)


def test_the_standard_error_is_that_of_the_crossed_analysis_of_variance() -> None:
    table = _table(np.random.default_rng(4), seeds=6, episodes=30) + np.arange(6)[:, None]
    rows, columns = table.mean(1), table.mean(0)
    rest = ((table - rows[:, None] - columns + table.mean()) ** 2).sum() / (5 * 29)
    a, b, c = rows.var(ddof=1) / 6, columns.var(ddof=1) / 30, rest / 180
    result = studentised(table)
    assert result.error == pytest.approx((a + b - c) ** 0.5, rel=0.05)
    assert result.degrees == pytest.approx((a + b - c) ** 2 / (a**2 / 5 + b**2 / 29 + c**2 / 145), rel=0.1)
    assert result.skewness == pytest.approx(((columns - columns.mean()) ** 3).sum() / 30**3 / result.error**3)


def test_the_longer_arm_is_on_the_side_of_the_rare_values() -> None:
    interval = clustered_interval(np.tile([0.0] * 35 + [4.0] * 5, (3, 1)))
    assert 1.2 < (interval.high - interval.mean) / (interval.mean - interval.low) < 2.5


@pytest.mark.parametrize("estimate", [clustered_interval, interquartile_mean])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 7), (3, 40)])
def test_equal_values_have_an_interval_of_no_width(
    estimate: Callable[[np.ndarray], Interval], shape: tuple[int, int]
) -> None:
    interval = estimate(np.full(shape, 0.7))
    assert interval.low == interval.mean == interval.high == pytest.approx(0.7)
    assert interval.n == shape[0] * shape[1]


@pytest.mark.parametrize("values", [[1.0, 2.0], np.empty((0, 3)), [[1.0, float("inf")]]])
@pytest.mark.parametrize("estimate", [clustered_interval, interquartile_mean])
def test_what_is_no_finite_table_is_refused(estimate: Callable[[object], Interval], values: object) -> None:
    with pytest.raises(ValueError, match=r"finite table \(training seeds, episodes\)"):
        estimate(values)


def test_clustered_interval_of_one_training_seed_is_the_bootstrap_over_episodes() -> None:
    row = np.random.default_rng(3).normal(size=200)
    clustered, plain = clustered_interval(row[None]), mean_interval(row)
    assert clustered.low == pytest.approx(plain.low, abs=0.03)
    assert clustered.high == pytest.approx(plain.high, abs=0.03)


def test_clustered_interval_is_deterministic_and_ignores_the_order_of_training_seeds() -> None:
    table = _table(np.random.default_rng(4))
    assert clustered_interval(table) == clustered_interval(table.copy())
    swapped = clustered_interval(table[::-1])
    assert swapped.mean == pytest.approx(table.mean())
    assert swapped.low == pytest.approx(clustered_interval(table).low, abs=0.05)


def test_interquartile_mean_is_the_mean_of_the_middle_half() -> None:
    table = np.random.default_rng(10).permutation([*range(12), 100.0, 200.0, 300.0, 400.0]).reshape(4, 4)
    assert interquartile_mean(table).mean == pytest.approx(np.arange(4, 12).mean())
    assert interquartile_mean([[0.0, 1.0, 5.0]]).mean == pytest.approx((0.25 * 0 + 1 + 0.25 * 5) / 1.5)
    table = np.random.default_rng(11).normal(size=(3, 40))
    assert interquartile_mean(table).mean == pytest.approx(stats.trim_mean(table.ravel(), 0.25))


def test_interquartile_mean_covers_its_truth() -> None:
    scenario = SINGLE[6]
    tables = scenario.draw(1, 100, (3, 40), np.random.default_rng(12))[0]
    truth = scenario.truth(weighted_iqm)
    assert truth == pytest.approx((0.25 * 0 + 0.2 * 1 + 0.05 * 2) / 0.5)
    assert 0.85 < coverage([interquartile_mean(table) for table in tables], truth) <= 1.0


def test_caveat_names_the_number_of_training_seeds() -> None:
    assert "One training seed" in caveat([0])
    assert "Only 2" in caveat([0, 1])
    assert "3 were drawn" in caveat(range(3))


def test_simulated_tables_have_the_variances_and_rewards_of_their_scenario() -> None:
    first, second = Scenario("", 0.2, 0.6, 0.4).draw(2, 2000, (4, 3), np.random.default_rng(16))
    cells = first.reshape(2000, 12)
    covariance = cells.T @ cells / 2000
    assert covariance[0, [0, 1, 3, 4]] == pytest.approx([1.2, 0.2, 0.6, 0.0], abs=0.12)
    assert np.mean(first[:, 0, 0] * second[:, 0, 0]) == pytest.approx(0.3, abs=0.12)
    rewards = SINGLE[6].draw(1, 2000, (4, 3), np.random.default_rng(17))
    assert np.bincount(rewards.astype(int).ravel()) / rewards.size == pytest.approx(
        [0.5, 0.2, 0.15, 0.1, 0.05], abs=0.03
    )
    assert rewards.mean() == pytest.approx(SINGLE[6].truth(weighted_mean), abs=0.05)


def test_the_program_prints_coverage_and_rejections(program: Program, tmp_path: Path) -> None:
    out = tmp_path / "new" / "statistics.md"
    done = program("eval.stats", "designs=[[3,5]]", "replicates=3", "slow_replicates=2", f"out={out}")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^\| .* \| 3 x 5 \|( \d+\.\d%? \|)", done.stdout, re.MULTILINE)) == len(SINGLE) + len(PAIRED)
    assert out.read_text().strip() == done.stdout.strip()


def test_a_design_that_is_no_pair_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["eval.stats", "designs=[3,40]"])
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("eval.stats.__main__").run()
    assert stopped.value.code == 2
    assert "designs must be pairs [training seeds, episodes], got 3" in capsys.readouterr().err
