"""env=fetch: the goal is not in the state, the operator knows it and gets there, and its region is the intent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autonomy.configs import CONFIGS
from autonomy.types import UserError
from envs.fetch import DIM, STATES, FetchOperator, region
from envs.world import World
from eval.setting import make_world

ALL = np.ones(DIM, np.bool_)


def composed(env: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [f"env={env}"]).env
    return OmegaConf.to_container(config, resolve=True)


def world_of(env: str, n: int) -> World:
    return make_world(composed(env), n)


@pytest.fixture(scope="module", params=["fetch", "fetch-push"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Two environments that both play the episode of seed 3 after a reset."""
    world = world_of(request.param, 2)
    world.stage([3, 3])
    yield world
    world.close()


def begin(operator: FetchOperator, n: int, seed: int = 0) -> FetchOperator:
    for index in range(n):
        operator.reset(index, np.random.default_rng([seed, index]), ALL)
    return operator


def test_what_the_world_says_of_itself(world: World) -> None:
    assert (world.observation_space.shape, world.action_space.shape) == ((STATES,), (DIM,))
    assert world.labels == ("x", "y", "z", "gripper")
    assert world.channels == {"plane": (0, 1), "height": (2,), "gripper": (3,)}
    assert (world.tasks, world.period) == ((), pytest.approx(0.04))


def test_the_goal_is_not_in_the_state(world: World) -> None:
    """Two environments that differ in nothing but the goal give the same states, until somebody acts by the goal."""
    states = world.reset()
    first, second = world.simulators
    second.goal = first.goal + np.array([0.1, -0.1, 0.0])
    rng, operator = np.random.default_rng(0), begin(FetchOperator(jitter=0.0), 2)
    for _ in range(10):
        np.testing.assert_array_equal(states[0], states[1])
        states, *_ = world.step(np.tile(rng.uniform(-1, 1, DIM), (2, 1)))
    for _ in range(35):
        states, *_ = world.step(operator.act(states, world.simulators))
    assert np.abs(states[0] - states[1]).max() > 0.05


def test_states_at_the_start_do_not_foretell_the_goal() -> None:
    world = world_of("fetch-push", 1)
    starts, goals = [], []
    for seed in range(1500):
        world.stage([seed])
        starts.append(world.reset()[0, 3:5])
        goals.append(world.simulators[0].goal[:2].copy())
    both = np.corrcoef(np.hstack([starts, goals]).T)
    assert np.abs(both[:2, 2:]).max() < 0.1  # four times the standard deviation of a correlation of 1500 pairs
    assert np.std(goals, axis=0).min() > 0.05


@pytest.mark.parametrize("env", ["fetch", "fetch-push"])
def test_the_operator_alone_succeeds(env: str) -> None:
    world, operator = world_of(env, 10), begin(FetchOperator(), 10)
    world.stage(range(100, 110))
    states = world.reset()
    meant = [region(simulator) for simulator in world.simulators]
    for _ in range(50):
        states, _, dones, infos = world.step(operator.act(states, world.simulators))
        assert [operator.intent(index) for index in range(10)] == [(name,) for name in meant]
    assert dones.all()
    assert sum(info["success"] for info in infos) >= 9
    assert len(set(meant)) >= 3
    world.close()


def test_jitter_makes_episodes_differ_and_a_generator_repeats_them(world: World) -> None:
    states = world.reset()
    steady, shaky = FetchOperator(0.0), FetchOperator(0.5)
    plain = begin(steady, 2).act(states, world.simulators)
    np.testing.assert_array_equal(plain[0], plain[1])
    drawn = begin(shaky, 2).act(states, world.simulators)
    assert (drawn[0] != drawn[1]).any()
    np.testing.assert_array_equal(begin(shaky, 2).act(states, world.simulators), drawn)
    assert (begin(shaky, 2, seed=1).act(states, world.simulators) != drawn).any()


def test_the_regions_are_where_the_robot_sees_them() -> None:
    class Simulator:
        initial_gripper_xpos, height_offset = np.array([1.34, 0.75, 0.5]), 0.42

        def __init__(self, *goal: float) -> None:
            self.goal = np.array(goal)

    assert region(Simulator(1.4, 0.8, 0.42)) == "left far"
    assert region(Simulator(1.3, 0.8, 0.5)) == "left near"
    assert region(Simulator(1.4, 0.7, 0.42)) == "right far"
    assert region(Simulator(1.3, 0.7, 0.42)) == "right near"
    assert region(Simulator(1.3, 0.7, 0.53)) == "high"


@pytest.mark.parametrize("jitter", [-0.1, 1.5, "much", True])
def test_an_unusable_jitter_is_one_sentence(jitter: Any) -> None:
    with pytest.raises(UserError, match="jitter must be a number from 0 to 1"):
        FetchOperator(jitter)


def test_it_plays_in_no_other_world(world: World) -> None:
    operator = begin(FetchOperator(), 2)
    with pytest.raises(UserError, match="environments in this process"):
        operator.act(world.reset(), [])
    with pytest.raises(UserError, match="moves the block of env=fetch or env=fetch-push"):
        operator.act(np.zeros((2, 9), np.float32), [object(), object()])


def test_the_demonstrator_is_the_operator_of_that_name() -> None:
    for env, target in (("fetch-pick", "FetchOperator"), ("reach", "ReachOperator")):
        config = composed(env)
        assert type(instantiate(config["demonstrator"])).__name__ == target
        assert {operator for operator, *_ in config["cases"]} >= {instantiate(config["demonstrator"]).name}
    assert composed("fetch-pick")["world"] == composed("fetch")["world"]
