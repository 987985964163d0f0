"""Crossed tables whose truth is known, and how often intervals and tests are right about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from eval.stats.clustered import Statistic, Table, pigeonhole, weighted_mean
from eval.stats.intervals import CONFIDENCE, Interval

Design = tuple[int, int]
"""Training seeds and episodes."""
MOSTLY_ZEROS, HALF_ZEROS = (0.8, 0.9, 0.95, 0.98), (0.5, 0.7, 0.85, 0.95)
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Variances of training seeds, of episodes and of the rest (interaction and noise) of a normal table.

    With `cuts`, the chances of a reward of at most 0, 1, 2, ..., the normal table is cut into rewards.
    """

    name: str
    seeds: float
    episodes: float
    rest: float
    cuts: tuple[float, ...] = ()

    def draw(self, arms: int, count: int, design: Design, rng: np.random.Generator) -> Table:
        """Tables (arms, count, training seeds, episodes). Arms are alike and share half of the episodes' variance."""
        s, e = design
        parts = (
            (self.seeds, (arms, count, s, 1)),
            (self.episodes / 2, (1, count, 1, e)),
            (self.episodes / 2, (arms, count, 1, e)),
            (self.rest, (arms, count, s, e)),
        )
        table = np.zeros((arms, count, s, e))
        for variance, shape in parts:
            table += rng.normal(0, variance**0.5, shape)
        spread = (self.seeds + self.episodes + self.rest) ** 0.5
        return np.searchsorted(norm.ppf(self.cuts) * spread, table).astype(float) if self.cuts else table

    def truth(self, statistic: Statistic) -> float:
        """`statistic` of the law of a single value; a normal one is symmetric about zero."""
        if not self.cuts:
            return 0.0
        chances = np.diff([0.0, *self.cuts, 1.0])[None]
        return float(statistic(np.arange(chances.size, dtype=float)[None], np.ones((1, 1)), chances)[0])


SINGLE = (
    Scenario("seeds alone", 1, 0, 0),
    Scenario("episodes alone", 0, 1, 0),
    Scenario("noise alone", 0, 0, 1),
    Scenario("seeds, episodes", 0.1, 0.9, 0),
    Scenario("seeds, episodes, noise", 0.1, 0.25, 1),
    Scenario("episodes, noise", 0, 0.5, 0.5),
    Scenario("rewards, half 0: seeds, episodes, noise", 0.1, 0.4, 0.5, HALF_ZEROS),
    Scenario("rewards, half 0: episodes, noise", 0, 0.5, 0.5, HALF_ZEROS),
    Scenario("rewards, 80% 0: seeds, episodes, noise", 0.1, 0.4, 0.5, MOSTLY_ZEROS),
    Scenario("rewards, 80% 0: episodes, noise", 0, 0.5, 0.5, MOSTLY_ZEROS),
    Scenario("rewards, 80% 0: mostly seeds", 0.6, 0.2, 0.2, MOSTLY_ZEROS),
)
PAIRED = (SINGLE[4], SINGLE[5], SINGLE[6], SINGLE[7])


def percentile_interval(table: Table, seed: int = 0) -> Interval:
    """The percentiles of the pigeonhole bootstrap of the mean, nothing corrected: what to compare with."""
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = np.quantile(weighted_mean(table, *pigeonhole(table.shape, seed)), tails)
    return Interval(float(table.mean()), float(low), float(high), table.size)


def coverage(intervals: Sequence[Interval], truth: float) -> float:
    """The share that contains `truth`."""
    return float(np.mean([i.low - _ROUNDING <= truth <= i.high + _ROUNDING for i in intervals]))


def relative_width(intervals: Sequence[Interval]) -> float:
    """Median width over that of the normal interval with the standard error known."""
    known = 2 * norm.ppf((1 + CONFIDENCE) / 2) * np.std([i.mean for i in intervals])
    return float(np.median([i.high - i.low for i in intervals]) / known)
