"""Two arms on the same episodes: difference, probability of improvement, p-values and their adjustment."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from eval.stats.clustered import Table, clustered_interval, studentised
from eval.stats.intervals import BATCH, RESAMPLES, Interval

LEVEL = 0.05
"""Of significance: one minus the intervals' confidence."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired difference with its clustered interval and two two-sided p-values.

    `p`: for these trained models on new episodes. `p_seeds`: for models trained again on new episodes as well; it is
    the interval's, so it is below 0.05 exactly when the interval excludes zero. With one training seed it speaks of
    new episodes only, like the interval.
    """

    difference: Interval
    p: float
    p_seeds: float

    @property
    def significant(self) -> bool:
        """Is zero outside the interval? Of several comparisons, judge by `holm` of their `p_seeds`."""
        return self.p_seeds < LEVEL

    def __str__(self) -> str:
        d = self.difference
        return f"{d.mean:+.2f} [{d.low:+.2f}, {d.high:+.2f}], p {_text(self.p)}, p_seeds {_text(self.p_seeds)}"


def _text(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def compare(treatment: ArrayLike, control: ArrayLike, seed: int = 0) -> Comparison:
    """`treatment` minus `control`, both (training seeds, episodes), paired by training seed and by episode seed.

    The interval is `clustered_interval` of the differences, and `p_seeds` inverts it. `p` permutes the labels within
    each episode, after averaging over the training seeds: a shared flip of all of an episode's differences. Where all
    differences are equal and not zero there is no spread to judge by, and `p_seeds` is `p`.
    """
    difference = np.asarray(treatment, dtype=float) - np.asarray(control, dtype=float)
    result = studentised(difference, seed)
    p, p_seeds = _permutation_p(difference.mean(axis=0), seed), result.p()
    return Comparison(result.interval(), p, p if math.isnan(p_seeds) else p_seeds)


def _permutation_p(by_episode: Table, seed: int) -> float:
    if len(by_episode) == 1 or not by_episode.any():
        return 1.0
    test = stats.permutation_test(
        (by_episode,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def probability_of_improvement(treatment: ArrayLike, control: ArrayLike, seed: int = 0) -> Interval:
    """P(X > Y) + P(X = Y) / 2 of two models trained independently, X by `treatment`, Y by `control`, on one episode.

    Both (training seeds, episodes); column e is the same episode in both. As in Agarwal et al. (NeurIPS 2021) runs are
    compared in all pairs and only within a task, here an episode: the mean over e, s, s' of
    h(x_se, y_s'e) = [x_se > y_s'e] + [x_se = y_s'e] / 2. The clustered interval is that of a table with the same mean,
    the first-order projection (Hoeffding, 1948) on what training seed s does as x and as y:
    z_se = mean_s' h(x_se, y_s'e) + mean_s' h(x_s'e, y_se) - mean_s's'' h(x_s'e, y_s''e).
    """
    x, y = np.broadcast_arrays(np.asarray(treatment, dtype=float), np.asarray(control, dtype=float))
    if x.ndim != 2 or not np.isfinite([x, y]).all():
        raise ValueError(f"expected finite tables (training seeds, episodes), got shape {x.shape}")
    wins = (np.sign(x[:, None] - y[None, :]) + 1) / 2
    as_x, as_y = wins.mean(axis=1), wins.mean(axis=0)
    return clustered_interval(as_x + as_y - as_x.mean(axis=0), seed).within(0.0, 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: those below alpha keep the chance of any false claim below alpha.

    The i-th smallest of m becomes the largest of (m - j + 1) p_(j) over j <= i, and at most 1 (Holm, "A simple
    sequentially rejective multiple test procedure", Scand. J. Stat. 6(2), 1979). Raises `ValueError` outside [0, 1].
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are numbers from 0 to 1 in one row, got {p_values!r}")
    order = p.argsort(kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return [float(value) for value in adjusted]
