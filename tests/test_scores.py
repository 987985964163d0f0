"""What a reward is, in words and on axes, where it counts tasks and where it does not."""

from __future__ import annotations

import math

import pytest

from envs.world import Score
from eval.scores import amount, axis, bounded, score_in, score_of, title
from eval.stats import Interval

FOUR, RETURN, RATE = Score("tasks", 0.0, 4.0), Score(), Score("success", 0.0, 1.0)


def test_a_configuration_says_its_score_or_its_tasks() -> None:
    assert score_of({"tasks": ["a", "b", "c", "d"]}) == FOUR
    assert score_of({"tasks": []}) == RETURN
    assert score_of({"tasks": [], "score": {"name": "success", "low": 0.0, "high": 1.0}}) == RATE
    assert score_in({"tasks": dict.fromkeys("abcd", 0.5)}) == FOUR
    assert score_in({"tasks": {}, "score": {"name": "return", "low": None, "high": None}}) == RETURN


def test_intervals_are_cut_only_at_ends_that_there_are() -> None:
    wide = Interval(1.0, -2.0, 9.0, 8)
    assert bounded(wide, FOUR) == Interval(1.0, 0.0, 4.0, 8)
    assert bounded(wide, RETURN) == wide


@pytest.mark.parametrize(
    ("score", "values", "ends"),
    [(FOUR, [1, 2], (0, 4)), (RETURN, [-30, math.nan, 7], (-30, 7)), (RETURN, [5], (5, 6)), (RETURN, [], (0, 1))],
)
def test_axes_hold_the_score(score: Score, values: list[float], ends: tuple[float, float]) -> None:
    assert axis(score, values) == ends


def test_words() -> None:
    assert amount(FOUR) == "of 4 tasks an episode"
    assert amount(RETURN) == "as return of an episode"
    assert (title(FOUR), title(RATE)) == ("tasks done", "success")
