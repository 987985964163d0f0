"""Labels of demonstrations: optional, checked against their episode and the names, kept by splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autonomy.data.split import split
from autonomy.types import Demonstrations, Episode, UserError

NAMES = ("kettle", "microwave")


def _episode(labels: Any = None, steps: int = 4) -> Episode:
    intents = None if labels is None else np.asarray(labels)
    return Episode(np.zeros((steps, 3), np.float32), np.zeros((steps, 2), np.float32), intents=intents)


def _demonstrations(*episodes: Episode, names: tuple[str, ...] = NAMES) -> Demonstrations:
    return Demonstrations(episodes, ("kettle",), "mine", names)


def test_labels_are_optional_for_all_and_for_some() -> None:
    assert Demonstrations((_episode(),), (), "mine").intents == ()
    some = _demonstrations(_episode([0, 0, 1, -1]), _episode())
    assert some.episodes[1].intents is None


def test_splits_keep_labels_and_names() -> None:
    for part in split(_demonstrations(*[_episode([0, 0, 1, -1])] * 4), 0.5, np.random.default_rng(0)):
        assert part.intents == NAMES
        assert all(episode.intents is not None for episode in part)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1, 1], r"^mine, episode 1: intents have shape \(3,\) .* an episode of 4 steps needs \(4,\) whole numbers"),
        ([[0], [1], [1], [0]], r"^mine, episode 1: intents have shape \(4, 1\)"),
        ([0.0, 0.0, 1.0, 1.0], r"^mine, episode 1: intents have shape \(4,\) and type float64"),
        ([0, 1, 2, 5], r"^mine, episode 1: intent 2 in row 2; the valid ones are -1 \(none of them\), 0 \(kettle\), 1"),
        ([0, -2, 0, 0], r"^mine, episode 1: intent -2 in row 1; the valid ones are -1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        _demonstrations(_episode(), _episode(labels))


def test_labels_need_names_of_their_own() -> None:
    with pytest.raises(UserError, match=r"episode 0: intent 0 in row 0; the valid ones are -1 \(none of them\)$"):
        _demonstrations(_episode([0, 0, 0, 0]), names=())
    with pytest.raises(UserError, match=r"intents are named twice: kettle, kettle; each needs a name of its own"):
        _demonstrations(_episode(), names=("kettle", "kettle"))
