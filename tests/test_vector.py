"""Many kitchens behave as each one alone."""

from __future__ import annotations

import numpy as np
import pytest

from autonomy.types import UserError
from envs.vector import make_kitchens


def test_shapes_and_options_reach_every_kitchen():
    kitchens = make_kitchens(2, task_set="partial", obs="full", max_episode_steps=2)
    assert kitchens.reset().shape == (2, 59)
    assert all("slide cabinet" in env.unwrapped.tasks for env in kitchens.envs)
    for done in (False, True):
        _, rewards, dones, infos = kitchens.step(np.zeros((2, 9), np.float32))
        assert rewards.shape == (2,)
        assert list(dones) == [done, done]
    assert all(info["TimeLimit.truncated"] and info["terminal_observation"].shape == (59,) for info in infos)


def test_any_tasks():
    assert make_kitchens(1, task_set=None, tasks=["kettle"]).envs[0].unwrapped.tasks == ("kettle",)


def test_an_environment_does_not_depend_on_how_many_there_are():
    actions = np.random.default_rng(0).uniform(-1, 1, (3, 9)).astype(np.float32)

    def last_of_first(n):
        kitchens = make_kitchens(n, perturbed_start=True)
        kitchens.seed(4)
        kitchens.reset()
        for action in actions:
            observations, *_ = kitchens.step(np.tile(action, (n, 1)))
        return observations

    one, three = last_of_first(1), last_of_first(3)
    np.testing.assert_array_equal(one[0], three[0])
    assert not np.array_equal(three[0], three[1])


def test_every_episode_has_a_seed_of_its_own():
    kitchens = make_kitchens(2)
    kitchens.seed(0)
    kitchens.reset()
    first = [info["seed"] for info in kitchens.reset_infos]
    kitchens.reset()
    second = [info["seed"] for info in kitchens.reset_infos]
    assert first == [0, 1]
    assert len({*first, *second}) == 4


def test_mistakes_are_named():
    with pytest.raises(UserError, match="mixed, partial, complete"):
        make_kitchens(1, task_set="medium")
    with pytest.raises(UserError, match="at least 1"):
        make_kitchens(0)
