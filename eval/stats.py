"""Intervals and tests for paired episodes and several training seeds. Every interval here is a 95% one."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 4_000
FEW_TRAINING_SEEDS = 5
_CHUNK = 500


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval, over `n` values."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired difference: its clustered interval and the two-sided p of a paired permutation test."""

    difference: Interval
    p: float

    def __str__(self) -> str:
        d = self.difference
        p = f"p = {self.p:.3f}" if self.p >= 0.001 else "p < 0.001"
        return f"{d.mean:+.2f} [{d.low:+.2f}, {d.high:+.2f}], {p}"


def mean_interval(values: ArrayLike, seed: int = 0) -> Interval:
    """Mean of `values` (N,) with a BCa bootstrap interval (Efron, 1987); the percentile one where BCa is degenerate.

    Raises `ValueError` when there are no values or any of them is not finite.
    """
    sample = np.asarray(values, dtype=float)
    if sample.ndim != 1 or not len(sample) or not np.isfinite(sample).all():
        raise ValueError(f"an interval needs one or more finite values in one row, got {sample!r}")
    mean = float(sample.mean())
    if np.ptp(sample) == 0:
        return Interval(mean, mean, mean, len(sample))
    low, high = _bootstrap(sample, "BCa", seed)
    if not np.isfinite([low, high]).all():
        low, high = _bootstrap(sample, "percentile", seed)
    return Interval(mean, low, high, len(sample))


def _bootstrap(sample: NDArray[np.float64], method: str, seed: int) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=stats.DegenerateDataWarning)
        interval = stats.bootstrap(
            (sample,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method=method,
            batch=_CHUNK,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return float(interval.low), float(interval.high)


def clustered_interval(values: ArrayLike, seed: int = 0) -> Interval:
    """Mean of `values` (training seeds, episodes) with a two-level percentile bootstrap interval.

    Column j is the same episode seed for every training seed, so training seeds and episodes are crossed: each
    replicate draws rows and columns with replacement and averages the resulting table (the pigeonhole bootstrap; Owen,
    "The pigeonhole bootstrap", Ann. Appl. Stat. 1(2), 2007). Drawing the episodes anew in every row would be too
    narrow, since the rows share them. With one training seed the interval speaks of the episodes only; with few it is
    somewhat too narrow (see `caveat`). Raises `ValueError` unless the table is two-dimensional, not empty and finite.
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ValueError(f"expected a finite table (training seeds, episodes), got shape {table.shape}")
    row_weights, column_weights = _weights(table.shape, seed)
    means = np.einsum("bs,se,be->b", row_weights, table, column_weights, optimize=True)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(table.mean()), float(low), float(high), table.size)


@functools.lru_cache(maxsize=2)
def _weights(shape: tuple[int, int], seed: int) -> tuple[NDArray[np.float64], ...]:
    """How much each row, and each column, counts in each replicate; kept, since tables of one shape come in series."""
    rng = np.random.default_rng(seed)
    return tuple(rng.multinomial(size, np.full(size, 1 / size), RESAMPLES) / size for size in shape)


def compare(treatment: ArrayLike, control: ArrayLike, seed: int = 0) -> Comparison:
    """`treatment` minus `control`, both (training seeds, episodes), paired by training seed and by episode seed.

    The interval is `clustered_interval` of the differences. The p-value permutes the labels within each episode, after
    averaging over the training seeds: it speaks of these trained models on new episodes.
    """
    difference = np.asarray(treatment, dtype=float) - np.asarray(control, dtype=float)
    interval = clustered_interval(difference, seed)
    by_episode = difference.mean(axis=0)
    if not by_episode.any():
        return Comparison(interval, 1.0)
    test = stats.permutation_test(
        (by_episode,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_CHUNK,
        rng=np.random.default_rng(seed),
    )
    return Comparison(interval, float(test.pvalue))


def caveat(training_seeds: Sequence[int]) -> str:
    """One sentence on how far the clustered intervals reach."""
    n = len(training_seeds)
    if n == 1:
        return "One training seed: the intervals say nothing about training again."
    if n < FEW_TRAINING_SEEDS:
        return f"Only {n} training seeds: the intervals are somewhat too narrow, since {n} show little of the spread."
    return f"The intervals cover both new episodes and new training seeds ({n} were drawn)."
