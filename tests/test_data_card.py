"""The data card: counts, shares and a hash that follows the content and nothing else."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from autonomy.data.card import Card, content_hash
from autonomy.data.d4rl import D4RLSource
from autonomy.types import Demonstrations, Episode
from tests.data_files import HUMAN

TASKS = ("microwave", "kettle", "bottom burner", "light switch")


def _episode(steps: int, *completed: str, action: float = 0.0) -> Episode:
    return Episode(np.ones((steps, 30), np.float32), np.full((steps, 2), action, np.float32), completed)


@pytest.fixture
def demonstrations() -> Demonstrations:
    episodes = (
        _episode(2, "kettle", "hinge cabinet", action=-0.999),
        _episode(3, "microwave"),
        _episode(5, "kettle", "hinge cabinet"),
        _episode(10, action=0.998),
    )
    return Demonstrations(episodes, TASKS, "a test")


def test_the_card_counts(demonstrations: Demonstrations) -> None:
    card = Card.of(demonstrations)
    assert (card.episodes, card.steps, card.lengths, card.state_dim) == (4, 20, (2, 4.0, 10), 30)
    assert card.completions == {
        "microwave": 1,
        "kettle": 2,
        "bottom burner": 0,
        "light switch": 0,
        "hinge cabinet": 2,
    }
    assert card.orders == ((("kettle", "hinge cabinet"), 2), ((), 1), (("microwave",), 1))
    assert card.reward == 0.75  # the hinge cabinet is none of the environment's tasks
    assert card.saturated == (0.1, 0.1)


def test_the_text_says_it_all(demonstrations: Demonstrations) -> None:
    card = Card.of(demonstrations)
    text = card.text(top=2)
    for line in ("a test", "2 to 10, median 4", "kettle, hinge cabinet", "0: 10.0%", "and 1 more", card.content_hash):
        assert line in text
    assert "nothing" in card.text()


def test_the_dict_survives_json(demonstrations: Demonstrations) -> None:
    fields = Card.of(demonstrations).as_dict()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["lengths"] == {"min": 2, "median": 4.0, "max": 10}
    assert fields["orders"][0] == {"order": ["kettle", "hinge cabinet"], "episodes": 2}


def test_the_hash_follows_the_content(demonstrations: Demonstrations) -> None:
    before = content_hash(demonstrations)
    assert content_hash(dataclasses.replace(demonstrations, source="elsewhere")) == before
    assert content_hash(dataclasses.replace(demonstrations, episodes=demonstrations.episodes[::-1])) != before
    first, *others = demonstrations.episodes
    for field in ("states", "actions"):
        changed = getattr(first, field).copy()
        changed[0, 0] += 1e-6
        episodes = (dataclasses.replace(first, **{field: changed}), *others)
        assert content_hash(dataclasses.replace(demonstrations, episodes=episodes)) != before


def test_the_hash_sees_where_episodes_end() -> None:
    one = Demonstrations((_episode(4),), TASKS, "")
    two = Demonstrations((_episode(2), _episode(2)), TASKS, "")
    assert content_hash(one) != content_hash(two)


@pytest.mark.skipif(not HUMAN.is_dir(), reason="the human demonstrations (../shared/data/kitchen) are not there")
def test_the_card_of_the_human_demonstrations() -> None:
    names = ("kettle_bottomburner_light_hinge.hdf5", "microwave_kettle_topburner_light.hdf5")
    card = Card.of(D4RLSource([str(HUMAN / name) for name in names], TASKS).load())
    assert (card.episodes, card.steps) == (44, 9876)
    assert card.completions == {
        "microwave": 22,
        "kettle": 44,
        "bottom burner": 22,
        "light switch": 44,
        "hinge cabinet": 22,
        "top burner": 22,
    }
    assert dict(card.orders) == {
        ("kettle", "bottom burner", "light switch", "hinge cabinet"): 22,
        ("microwave", "kettle", "top burner", "light switch"): 22,
    }
    assert card.reward == 3.0
    assert card.content_hash == "6e7365bb033df43f0fa4c736c5cea664176388c02efe3935f589cac2e4042dab"
