"""The data card: counts, shares and a hash that follows the content and nothing else."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from autonomy.data.card import Card, content_hash
from autonomy.data.hdf5 import HDF5Source
from autonomy.types import Demonstrations, Episode
from envs.kitchen.recordings import KitchenReading
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


def _labelled() -> Demonstrations:
    """20 steps, 14 of them with an intent; one episode has no labels."""
    labels = ([0, 0, 0, 1, 1, -1, 0, 0], [1, 1, 1, 1, 1, -1, -1, 0, 1])
    episodes = [dataclasses.replace(_episode(len(own)), intents=np.array(own)) for own in labels]
    return Demonstrations((*episodes, _episode(3)), TASKS, "a test", ("kettle", "microwave", "never"))


def test_the_card_says_what_labels_say() -> None:
    facts = Card.of(_labelled()).intents
    assert facts is not None
    assert (facts.share, facts.unlabelled) == (14 / 20, 1)
    assert facts.lengths == {"kettle": (3, 2.0), "microwave": (3, 2.0), "never": (0, 0.0)}
    assert facts.follows == (("kettle", "microwave", 2), ("microwave", "kettle", 2))


def test_labels_are_in_the_text_and_in_the_dict() -> None:
    card = Card.of(_labelled())
    text = card.text(top=1)
    for line in (
        "intents       70.0% of the steps have one, 1 episodes have no labels",
        "  kettle            3  2",
        "      2  kettle -> microwave",
        "         and 1 more",
    ):
        assert line in text.splitlines()
    fields = card.as_dict()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["intents"]["lengths"]["microwave"] == {"stretches": 3, "median": 2.0}
    assert fields["intents"]["follows"][0] == {"intent": "kettle", "next": "microwave", "times": 2}


def test_without_labels_the_card_says_what_they_would_add(demonstrations: Demonstrations) -> None:
    card = Card.of(demonstrations)
    assert card.intents is None
    assert card.as_dict()["intents"] is None
    assert "intents       none: with labels of what each step is for, an assistant can work out" in card.text()


def test_labels_do_not_change_the_hash() -> None:
    plain = tuple(dataclasses.replace(episode, intents=None) for episode in _labelled())
    assert content_hash(Demonstrations(plain, TASKS, "a test")) == content_hash(_labelled())


def test_action_steps_stay_within_episodes() -> None:
    actions = np.zeros((2001, 2), np.float32)
    actions[:, 1] = np.resize([0.0, 0.5], 2001)
    actions[1000, 0] = 0.9  # there and back: two of 2,003 steps, less than 0.1%
    far = np.ones((4, 2), np.float32)  # a jump from one episode to the next is no step
    episodes = tuple(Episode(np.zeros((len(a), 3), np.float32), a) for a in (actions, far))
    assert Card.of(Demonstrations(episodes, TASKS, "a test")).action_steps == (0.0, 0.5)


def test_action_steps_of_single_steps_are_the_whole_range() -> None:
    assert Card.of(Demonstrations((_episode(1), _episode(1)), TASKS, "a test")).action_steps == (2.0, 2.0)


def test_the_hash_sees_where_episodes_end() -> None:
    one = Demonstrations((_episode(4),), TASKS, "")
    two = Demonstrations((_episode(2), _episode(2)), TASKS, "")
    assert content_hash(one) != content_hash(two)


@pytest.mark.skipif(not HUMAN.is_dir(), reason="the human demonstrations (../shared/data/kitchen) are not there")
def test_the_card_of_the_human_demonstrations() -> None:
    names = ("kettle_bottomburner_light_hinge.hdf5", "microwave_kettle_topburner_light.hdf5")
    card = Card.of(HDF5Source([str(HUMAN / name) for name in names], reading=KitchenReading(TASKS)).load())
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
    assert card.intents is not None
    assert {name: count for name, (count, _) in card.intents.lengths.items()} == card.completions
    assert {(a, b): n for a, b, n in card.intents.follows}[("kettle", "bottom burner")] == 22
    assert card.intents.share > 0.9
    assert card.content_hash == "6e7365bb033df43f0fa4c736c5cea664176388c02efe3935f589cac2e4042dab"
