"""The first assistant against each other one: paired differences of the reward, row by row and over rows together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eval.benchmark.summary import UNTRAINED, Cells, table_of
from eval.stats import Comparison, Interval, compare, holm, probability_of_improvement

LEVEL = 0.05
BETTER, WORSE, UNDECIDED = "better", "worse", "not distinguishable"


@dataclasses.dataclass(frozen=True)
class Contrast:
    """The first assistant minus `other` in `rows`, paired by training seed and by episode.

    `p_holm` is the p-value over training seeds after Holm's correction over all contrasts made together;
    `improvement` the probability that the first assistant does better.
    """

    rows: tuple[str, ...]
    other: str
    comparison: Comparison
    improvement: Interval
    training_seeds: int
    p_holm: float = 1.0

    @property
    def verdict(self) -> str:
        """Better, worse or not distinguishable, at a level of 5% after the correction."""
        if not self.p_holm < LEVEL:
            return UNDECIDED
        return BETTER if self.comparison.difference.mean > 0 else WORSE


def contrasts(cells: Cells, rows: Sequence[str], first: str, others: Sequence[str]) -> list[Contrast]:
    """`first` against each of `others` in each row that both played."""
    return _corrected([_contrast(cells, [row], first, other) for row in rows for other in others])


def pooled_contrasts(cells: Cells, rows: Sequence[str], first: str, others: Sequence[str]) -> list[Contrast]:
    """`first` against each of `others` over all of `rows` that both played, every row with equal weight."""
    shared = {other: [row for row in rows if {(row, first), (row, other)} <= set(cells)] for other in others}
    return _corrected([_contrast(cells, shared[other], first, other) for other in others])


def pooled_table(cells: Cells, rows: Sequence[str], assistant: str) -> pd.DataFrame | None:
    """The mean reward over `rows`, (training seeds, episode seeds); None unless all of them were played."""
    tables = [table_of(cells, row, assistant, "reward") for row in rows]
    found = [table for table in tables if table is not None]
    if not found or len(found) < len(rows):
        return None
    mean = (reduce(lambda a, b: a + b, found) / len(found)).dropna(how="all").dropna(axis=1)
    return None if mean.empty else mean


def _contrast(cells: Cells, rows: Sequence[str], first: str, other: str) -> Contrast | None:
    ours, theirs = (pooled_table(cells, rows, name) for name in (first, other))
    pair = None if ours is None or theirs is None else aligned(ours, theirs)
    if pair is None:
        return None
    return Contrast(tuple(rows), other, compare(*pair), probability_of_improvement(*pair), len(pair[0]))


def aligned(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Both as arrays (training seeds, episodes) of the seeds that they share; None when they share none.

    What was never trained is the same beside every training seed.
    """
    episodes = ours.columns.intersection(theirs.columns)
    trained = [table.index for table in (ours, theirs) if table.index[0] != UNTRAINED]
    seeds = reduce(lambda a, b: a.intersection(b), trained) if trained else ours.index
    if not len(seeds) or not len(episodes):
        return None
    left, right = (
        np.repeat(table[episodes].to_numpy(), len(seeds), axis=0)
        if table.index[0] == UNTRAINED and trained
        else table.loc[seeds, episodes].to_numpy()
        for table in (ours, theirs)
    )
    return left, right


def _corrected(found: Sequence[Contrast | None]) -> list[Contrast]:
    made = [contrast for contrast in found if contrast is not None]
    adjusted = holm([contrast.comparison.p_seeds for contrast in made])
    return [dataclasses.replace(contrast, p_holm=p) for contrast, p in zip(made, adjusted, strict=True)]


def as_frame(found: Sequence[Contrast]) -> pd.DataFrame:
    """A row a contrast, in numbers."""
    return pd.DataFrame(
        [
            {
                "row": ", ".join(contrast.rows),
                "other": contrast.other,
                "n": contrast.comparison.difference.n,
                "training_seeds": contrast.training_seeds,
                **_bounds("difference", contrast.comparison.difference),
                "p_episodes": contrast.comparison.p,
                "p_seeds": contrast.comparison.p_seeds,
                "p_holm": contrast.p_holm,
                **_bounds("improvement", contrast.improvement),
                "verdict": contrast.verdict,
            }
            for contrast in found
        ]
    )


def _bounds(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
