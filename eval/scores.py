"""What an episode's reward is, in words and on axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envs.world import Score
from eval.stats import Interval

TASKS = "tasks"
"""What a score is called that counts tasks."""


def of_tasks(tasks: Sequence[str]) -> Score:
    """The score of an environment that says no more than its tasks: how many are done, or else the sum of rewards."""
    return Score(TASKS, 0.0, float(len(tasks))) if tasks else Score()


def score_of(env: Mapping[str, Any]) -> Score:
    """The score of a configuration of the group `env`."""
    given = env.get("score")
    return Score(**given) if given else of_tasks(env["tasks"])


def score_in(summary: Mapping[str, Any]) -> Score:
    """The score that a summary of episodes is about; those of older versions say only its tasks."""
    return Score(**summary["score"]) if "score" in summary else of_tasks(list(summary["tasks"]))


def bounded(interval: Interval, score: Score) -> Interval:
    """The interval of a mean score, cut to what the score can be at all."""
    return interval.within(*_ends(score, -math.inf, math.inf))


def axis(score: Score, values: Iterable[float]) -> tuple[float, float]:
    """The ends of an axis for these scores, not all of one value: those of the score where it has them."""
    shown = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = _ends(score, min(shown), max(shown))
    return (low, high) if high > low else (low, low + 1.0)


def amount(score: Score) -> str:
    """What follows a mean score in a sentence: of how many tasks, or what it is."""
    if score.name == TASKS and score.high is not None:
        return f"of {score.high:g} tasks an episode"
    return f"as {score.name} of an episode"


def title(score: Score) -> str:
    """What an axis or a note calls the score of an episode."""
    return "tasks done" if score.name == TASKS else score.name


def _ends(score: Score, low: float, high: float) -> tuple[float, float]:
    """The ends of the score, or these where it has none."""
    return low if score.low is None else score.low, high if score.high is None else score.high
