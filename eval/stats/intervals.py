"""What an interval is, the one of a plain mean, and how far the clustered ones reach."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 4_000
BATCH = 500
ENOUGH_TRAINING_SEEDS = 3
"""For which coverage was simulated (eval/results/statistics.md)."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean, or another estimate, with its 95% interval, over `n` values."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def within(self, low: float, high: float) -> Interval:
        """Cut to what the estimated quantity can be at all."""
        return dataclasses.replace(self, low=max(self.low, low), high=min(self.high, high))


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
            batch=BATCH,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return float(interval.low), float(interval.high)


def caveat(training_seeds: Sequence[int]) -> str:
    """One sentence on how far the clustered intervals reach."""
    n = len(training_seeds)
    if n == 1:
        return "One training seed: the intervals say nothing about training again."
    if n < ENOUGH_TRAINING_SEEDS:
        return f"Only {n} training seeds: the intervals may be too narrow, since {n} show so little of the spread."
    return f"The intervals cover both new episodes and new training seeds ({n} were drawn)."
