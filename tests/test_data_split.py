"""Splits are by episode, complete, disjoint and reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from autonomy.data.split import split
from autonomy.types import Demonstrations, Episode, UserError


def _demonstrations(n: int) -> Demonstrations:
    """Episode i has i + 1 steps, all of its states are i."""
    episodes = (Episode(np.full((i + 1, 2), i, np.float32), np.zeros((i + 1, 3), np.float32)) for i in range(n))
    return Demonstrations(tuple(episodes), ("kettle",), "test")


def _numbers(demonstrations: Demonstrations) -> list[int]:
    return [int(episode.states[0, 0]) for episode in demonstrations]


@pytest.mark.parametrize(("n", "fraction", "expected"), [(20, 0.1, 2), (150, 0.1, 15), (5, 0.01, 1), (5, 0.99, 4)])
def test_every_episode_goes_to_one_side(n: int, fraction: float, expected: int) -> None:
    demonstrations = _demonstrations(n)
    train, validation = split(demonstrations, fraction, np.random.default_rng(0))
    assert len(validation) == expected
    assert sorted(_numbers(train) + _numbers(validation)) == list(range(n))
    assert _numbers(train) == sorted(_numbers(train))
    assert (train.tasks, train.source) == (validation.tasks, validation.source) == (("kettle",), "test")


def test_the_generator_decides() -> None:
    demonstrations = _demonstrations(30)
    first, again, other = (_numbers(split(demonstrations, 0.3, np.random.default_rng(s))[1]) for s in (1, 1, 2))
    assert first == again != other


def test_each_episode_is_held_back_equally_often() -> None:
    demonstrations, rng = _demonstrations(10), np.random.default_rng(0)
    held_back = [number for _ in range(2000) for number in _numbers(split(demonstrations, 0.3, rng)[1])]
    shares = np.bincount(held_back, minlength=10) / 2000
    np.testing.assert_allclose(shares, 0.3, atol=0.05)  # five standard errors


@pytest.mark.parametrize(
    ("n", "fraction"), [(5, 0.0), (5, 1.0), (5, 1.5), (5, -0.1), (5, float("nan")), (1, 0.5), (0, 0.5)]
)
def test_splits_that_cannot_be_are_refused(n: int, fraction: float) -> None:
    with pytest.raises(UserError, match=r"validation_fraction"):
        split(_demonstrations(n), fraction, np.random.default_rng(0))
