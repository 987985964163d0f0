"""Many kitchens behave as each one alone, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

import envs  # noqa: F401
from autonomy.types import UserError
from envs.kitchen.world import make_kitchens


def test_shapes_and_options_reach_every_kitchen():
    kitchens = make_kitchens(2, task_set="partial", obs="full", max_episode_steps=2)
    assert kitchens.reset().shape == (2, 59)
    assert all("slide cabinet" in simulator.tasks for simulator in kitchens.simulators)
    for done in (False, True):
        _, rewards, dones, infos = kitchens.step(np.zeros((2, 9), np.float32))
        assert rewards.shape == (2,)
        assert list(dones) == [done, done]
    assert all(info["TimeLimit.truncated"] and info["terminal_observation"].shape == (59,) for info in infos)


def test_any_tasks():
    assert make_kitchens(1, task_set=None, tasks=["kettle"]).simulators[0].tasks == ("kettle",)


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


def _said(infos: Sequence[Any]) -> list[Any]:
    """What infos say beside the period, which single kitchens do not tell."""
    return [{key: value for key, value in info.items() if key != "period"} for info in infos]


def play(kitchens: VecEnv, steps: int) -> list[Any]:
    """Everything that a few steps return, and a reset after them."""
    kitchens.seed(7)
    story: list[Any] = [kitchens.reset(), _said(kitchens.reset_infos)]
    actions = np.random.default_rng(1).uniform(-1.2, 1.2, (steps, kitchens.num_envs, 9)).astype(np.float32)
    for action in actions:
        *moved, infos = kitchens.step(action)
        story += [*moved, _said(infos), _said(kitchens.reset_infos)]
    story += [kitchens.reset()]
    return story


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("options", [{"obs": "full", "noise": "d4rl"}, {"perturbed_start": True}])
def test_episodes_are_those_of_single_kitchens(threads: int, options: dict[str, Any]) -> None:
    """Through ends by the limit of steps, resets and seeds that nobody gave; threads change nothing."""
    options = {"max_episode_steps": 5, **options}
    make = partial(gymnasium.make, "autonomy/kitchen-mixed-v1", disable_env_checker=True, **options)
    plain = play(DummyVecEnv([make] * 3), 12)
    native = play(make_kitchens(3, threads=threads, **options), 12)
    np.testing.assert_equal(native, plain)


def test_staged_episodes_are_played_and_then_kitchens_stand_still() -> None:
    kitchens = make_kitchens(3, max_episode_steps=3)
    kitchens.stage([4, 8])
    first = kitchens.reset()
    assert [info["seed"] for info in kitchens.reset_infos] == [4, 8, 0]
    ends = [kitchens.step(np.ones((3, 9), np.float32))[2].tolist() for _ in range(3)]
    assert ends == [[False] * 3, [False] * 3, [True, True, False]]
    times = [simulator.data.time for simulator in kitchens.simulators]
    assert times[0] == pytest.approx(3 * 0.08)
    observation, rewards, dones, infos = kitchens.step(np.ones((3, 9), np.float32))
    assert np.array_equal(observation, first)
    assert [simulator.data.time for simulator in kitchens.simulators] == times
    assert not rewards.any()
    assert not dones.any()
    assert [info["seed"] for info in infos] == [4, 8, 0]
    kitchens.stage([5])
    kitchens.reset()
    assert [kitchens.step(np.ones((3, 9), np.float32))[2].tolist() for _ in range(3)][-1] == [True, False, False]


def test_what_operators_and_cameras_read() -> None:
    kitchens = make_kitchens(2)
    kitchens.reset()
    kitchens.step(np.ones((2, 9), np.float32))
    assert kitchens.get_attr("unwrapped") == kitchens.simulators
    assert len({id(model) for model in kitchens.get_attr("model")}) == 1
    assert kitchens.get_attr("data", 1)[0].time == pytest.approx(0.08)
    assert kitchens.env_is_wrapped(gymnasium.Wrapper) == [False, False]
    kitchens.set_attr("render_mode", "rgb_array", [1])
    assert kitchens.get_attr("render_mode") == [None, "rgb_array"]


@pytest.mark.parametrize("action", [np.full((2, 9), np.nan), np.zeros((2, 8)), np.zeros(9)])
def test_unusable_actions_are_refused(action: Any) -> None:
    kitchens = make_kitchens(2)
    kitchens.reset()
    with pytest.raises(ValueError, match="9 finite numbers"):
        kitchens.step(action)


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
