"""Intervals and tests for paired episodes and several training seeds. Every interval here is a 95% one."""

from eval.stats.clustered import clustered_interval, interquartile_mean
from eval.stats.comparison import LEVEL, Comparison, compare, holm, probability_of_improvement
from eval.stats.intervals import Interval, caveat, mean_interval

__all__ = [
    "LEVEL",
    "Comparison",
    "Interval",
    "caveat",
    "clustered_interval",
    "compare",
    "holm",
    "interquartile_mean",
    "mean_interval",
    "probability_of_improvement",
]
