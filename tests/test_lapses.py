"""Lapses: whose command is executed, when, and on which dimensions."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401  (registers the ids)
from autonomy.types import UserError
from envs.kitchen.expert.lapses import Lapses

INTENT = np.linspace(-0.5, 0.5, 9).astype(np.float32)


@pytest.fixture(scope="module")
def simulator():
    env = gymnasium.make("autonomy/kitchen-v1", disable_env_checker=True)
    env.reset(seed=0)
    return env.unwrapped


def executed(law, simulator, steps, seed=0):
    faults = law.begin(np.random.default_rng(seed))
    return np.array([faults.executed(INTENT, simulator) for _ in range(steps)])


def test_no_lapses_at_rate_zero(simulator):
    assert (executed(Lapses(rate=0.0), simulator, 50) == INTENT).all()


def test_an_offset_is_constant_for_as_long_as_the_law_says(simulator):
    offsets = executed(Lapses(rate=1.0, steps=(3, 12), distracted=0.0), simulator, 3000) - INTENT
    changes = np.flatnonzero((np.diff(offsets, axis=0) != 0).any(axis=1)) + 1
    lengths = np.diff(np.r_[0, changes])
    assert lengths.min() == 3
    assert lengths.max() >= 12
    on = np.abs(offsets) > 1e-9
    assert offsets[:, :7][on[:, :7]].std() == pytest.approx(0.25, rel=0.15)
    assert offsets[:, 7:][on[:, 7:]].std() == pytest.approx(0.75, rel=0.2)


def test_the_rate_is_a_rate(simulator):
    law = Lapses(rate=0.05, steps=(1, 1), distracted=0.0)
    share = (executed(law, simulator, 8000) != INTENT).any(axis=1).mean()
    assert share == pytest.approx(0.05, abs=0.01)


def test_a_distracted_lapse_follows_another_expert_on_a_part_of_the_dims(simulator):
    actions = executed(Lapses(rate=1.0, steps=(1, 1), distracted=1.0), simulator, 60)
    wrong = np.abs(actions - INTENT) > 1e-6
    assert 0.2 < wrong.mean() < 0.8
    assert np.abs(actions).max() <= 1.0
    assert len(np.unique(np.round(actions[:, 5], 3))) >= 4  # the intent, and the commands of several tasks


def test_the_same_seed_gives_the_same_lapses(simulator):
    first, second = (executed(Lapses(rate=0.5), simulator, 40, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("options", [{"rate": 1.5}, {"distracted": -0.1}, {"offset": -1.0}, {"steps": [3, 2]}])
def test_unusable_lapses(options):
    with pytest.raises(UserError):
        Lapses(**options)
