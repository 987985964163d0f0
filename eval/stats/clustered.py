"""Estimates from tables (training seeds, episodes) with clustered intervals: both margins are random."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from eval.stats.intervals import CONFIDENCE, RESAMPLES, Interval

Table = NDArray[np.float64]
Statistic = Callable[[Table, Table, Table], Table]
"""Of a table (S, E) in which row s counts rows[b, s] and column e columns[b, e] (each sums to one; B or 1 of them)."""
_TRIM = 0.25
_LARGEST_SHIFT = 0.8
"""Of skewness times the t quantile: a longer arm is at most 1.6 times the one without skewness."""
_ROUNDING = 1e-9


def weighted_mean(table: Table, rows: Table, columns: Table) -> Table:
    """The mean of each of the B reweighted tables."""
    means: Table = np.einsum("be,be->b", rows @ table, columns)
    return means


def weighted_iqm(table: Table, rows: Table, columns: Table) -> Table:
    """The interquartile mean of each: what lies between the quartiles of its weight, fractions of a value included."""
    order = table.ravel().argsort()
    values, (row, column) = table.ravel()[order], np.unravel_index(order, table.shape)
    below = (rows.T[row] * columns.T[column]).cumsum(axis=0).clip(_TRIM, 1 - _TRIM)  # (N, B), summed by parts
    middle: Table = below[-1] * values[-1] - _TRIM * values[0] - np.diff(values) @ below[:-1]
    return middle / (1 - 2 * _TRIM)


def clustered_interval(values: ArrayLike, seed: int = 0, statistic: Statistic = weighted_mean) -> Interval:
    """`statistic` of `values` (training seeds, episodes), by default the mean, with the interval of `studentised`.

    Column j is the same episode seed for every training seed, so training seeds and episodes are crossed: drawing the
    episodes anew in every row would be too narrow, since the rows share them. With one training seed the interval
    speaks of the episodes only. Raises `ValueError` unless the table is two-dimensional, not empty and finite.
    """
    return studentised(values, seed, statistic).interval()


def interquartile_mean(values: ArrayLike, seed: int = 0) -> Interval:
    """Mean of the middle half of all `values` (training seeds, episodes) with a clustered interval.

    The 25% trimmed mean over runs and episodes together (Agarwal et al., "Deep reinforcement learning at the edge of
    the statistical precipice", NeurIPS 2021); less at the mercy of outliers than the mean.
    """
    return clustered_interval(values, seed, weighted_iqm)


@dataclasses.dataclass(frozen=True)
class Studentised:
    """An estimate over `n` values, its standard error with its degrees of freedom, and its skewness."""

    estimate: float
    error: float
    degrees: float
    skewness: float
    n: int

    def interval(self) -> Interval:
        """All theta with |g((estimate - theta) / error)| <= the t quantile, g being Hall's transformation."""
        reach = stdtrit(self.degrees, (1 + CONFIDENCE) / 2)
        low, high = (self.estimate - self.error * self._inverse(side * reach) for side in (1, -1))
        return Interval(self.estimate, float(low), float(high), self.n)

    def p(self) -> float:
        """Two-sided, that the estimated quantity is zero: < 0.05 exactly when the interval excludes zero.

        A standard error of zero leaves nothing to judge by: nan, and 1 for an estimate of zero.
        """
        if not self.error:
            return float("nan") if self.estimate else 1.0
        u, k = self.estimate / self.error, self.skewness
        g = u + k * u**2 / 3 + k**2 * u**3 / 27 + k / 6
        return float(2 * stdtr(self.degrees, -abs(g)))

    def _inverse(self, y: float) -> float:
        k = self.skewness
        return float(3 * (np.cbrt(1 + k * (y - k / 6)) - 1) / k) if abs(k) > _ROUNDING else y


def studentised(values: ArrayLike, seed: int = 0, statistic: Statistic = weighted_mean) -> Studentised:
    """What the two-level bootstrap says about the error of `statistic`.

    Each replicate draws the S rows and the E columns with replacement (the pigeonhole bootstrap; Owen, Ann. Appl.
    Stat. 1(2), 2007). Its percentiles cover too rarely with few rows, and its variance counts the interaction three
    times (no resampling is exact here; McCullagh, Bernoulli 6(2), 2000). So its deviations from the estimate are split
    into those with rows alone redrawn, columns alone, and the rest; their variances, times n / (n - 1) a margin, are
    for the mean the mean squares of the crossed analysis of variance (up to the number of replicates),
    A = MS_rows / SE, B = MS_columns / SE and C = MS_interaction / SE, and the squared standard error is

        V = max(A + B - C, A, B),   degrees of freedom  V^2 / (A^2/(S-1) + B^2/(E-1) + C^2/((S-1)(E-1)))

    (two-way clustering, Cameron, Gelbach, Miller, J. Bus. Econ. Stat. 29(2), 2011; Satterthwaite, Biometrics 2(6),
    1946). A + B - C is unbiased for a crossed table and the floor keeps it from vanishing where seeds hardly differ.
    The episodes' third moment over V^1.5 is the skewness k in Hall's transformation (J. R. Stat. Soc. B 54(1), 1992)
    g(u) = u + k u^2 / 3 + k^2 u^3 / 27 + k / 6, cut where arms would grow absurd; seeds are too few to show theirs.
    Coverage by design: eval/results/statistics.md. With a single row (column) only columns (rows) are redrawn.
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError(f"expected a finite table (training seeds, episodes), got shape {table.shape}")
    even = [np.full((1, size), 1 / size) for size in table.shape]
    estimate = float(statistic(table, *even)[0])
    rows, columns = pigeonhole(table.shape, seed)
    by_row, by_column = (statistic(table, *pair) - estimate for pair in ((rows, even[1]), (even[0], columns)))
    rest = statistic(table, rows, columns) - estimate - by_row - by_column
    free = np.array([size - 1 for size in table.shape])
    scales = (free + 1) / np.maximum(free, 1)
    a, b, c = np.var([by_row, by_column, rest], axis=1) * [*scales, scales.prod()]
    variance = max(a + b - c, a, b)
    if variance**0.5 <= _ROUNDING * np.abs(table).max():
        return Studentised(estimate, 0.0, 1.0, 0.0, table.size)
    degrees = variance**2 / (np.array([a, b, c]) ** 2 / np.maximum([*free, free.prod()], 1)).sum()
    limit = _LARGEST_SHIFT / stdtrit(degrees, (1 + CONFIDENCE) / 2)
    skewness = float(np.clip(_third_moment(table, statistic, even[0]) / variance**1.5, -limit, limit))
    return Studentised(estimate, float(variance**0.5), float(degrees), skewness, table.size)


def _third_moment(table: Table, statistic: Statistic, rows: Table) -> float:
    """Of the statistic as the columns vary, by leaving out one after the other (as the acceleration of BCa; Efron)."""
    count = table.shape[1]
    if count == 1:
        return 0.0
    without = np.empty(count)
    for part in np.array_split(np.arange(count), -(-count // RESAMPLES)):
        columns = np.full((len(part), count), 1 / (count - 1))
        columns[np.arange(len(part)), part] = 0
        without[part] = statistic(table, rows, columns)
    return float((((count - 1) * (without.mean() - without)) ** 3).sum() / count**3)


@functools.lru_cache(maxsize=2)
def pigeonhole(shape: tuple[int, int], seed: int) -> tuple[Table, ...]:
    """How much each row, and each column, counts in each replicate; kept, since tables of one shape come in series."""
    rng = np.random.default_rng(seed)
    return tuple(rng.multinomial(size, np.full(size, 1 / size), RESAMPLES) / size for size in shape)
