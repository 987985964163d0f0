"""The operator inside the environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from autonomy.channels import FixedChannels, RandomChannels
from autonomy.types import Array, Channels, Mask
from envs.imperfections import Noisy
from envs.operators import RandomOperator
from envs.shared_control import SharedControl
from tests.drift import DIM, MARK, Drift, Scripted, assistance, control, drifts, play


def test_spaces_and_observations_agree() -> None:
    shared = control(3, RandomOperator(DIM))
    observation = shared.reset()
    for _ in range(10):
        for i in range(3):
            assert shared.observation_space.contains({key: value[i] for key, value in observation.items()})
        observation, _, _, _ = shared.step(assistance(3))
    assert set(observation) == {"state", "operator_action", "operator_mask"}


@pytest.mark.parametrize("dims", [[], [0, 2], [0, 1, 2]])
def test_the_operators_values_are_executed_bit_for_bit(dims: list[int]) -> None:
    shared = control(4, RandomOperator(DIM), dims)
    held = np.isin(np.arange(DIM), dims)
    observation = shared.reset()
    for _ in range(12):
        given = observation["operator_action"].copy()
        assert (given[:, ~held] == 0).all()
        assert (observation["operator_mask"] == held).all()
        observation, _, _, infos = shared.step(assistance(4))
        executed = np.stack(shared.get_attr("executed"))
        assert executed[:, held].tobytes() == given[:, held].tobytes()
        assert (executed[:, ~held] == np.float32(MARK)).all()
        for i, info in enumerate(infos):
            assert (info["executed_action"] == executed[i]).all()
            assert (info["assistant_action"] == np.float32(MARK)).all()
            assert (info["operator_action"][held] == given[i, held]).all()
            assert (info["operator_action"][~held] != 0).all()  # what it would have done there
            assert (info["operator_mask"] == held).all()
            assert info["operator_errors"] == 0
            assert "operator_error" not in info


def test_commands_are_clipped_before_the_assistant_sees_them() -> None:
    shared = control(1, Scripted(np.array([[3.0, -7.0, -1.5]])), [0, 2])
    observation = shared.reset()
    assert observation["operator_action"].tolist() == [[1.0, 0.0, -1.0]]
    _, _, _, infos = shared.step(np.full((1, DIM), -4.0))
    assert infos[0]["executed_action"].tolist() == [1.0, -1.0, -1.0]
    assert infos[0]["operator_action"].tolist() == [1.0, -1.0, -1.0]
    assert infos[0]["assistant_action"].tolist() == [-4.0] * 3


@pytest.mark.parametrize("tells_seed", [True, False])
def test_draws_do_not_depend_on_the_number_of_environments(tells_seed: bool) -> None:
    def story(n: int, seed: int = 0) -> list[list[tuple[Any, ...]]]:
        operator = Noisy(RandomOperator(DIM), 0.5)
        shared = SharedControl(drifts(n, tells_seed=tells_seed), operator, RandomChannels(2, DIM), seed)
        shared.seed(100)
        return play(shared, 40)

    four, sixteen = story(4), story(16)
    assert four == sixteen[:4]
    assert sixteen[2] != sixteen[3]
    assert four != story(4, seed=1)


def test_an_episode_is_made_by_its_seed_wherever_it_runs() -> None:
    first, second = (SharedControl(drifts(2), RandomOperator(DIM), RandomChannels(1, DIM)) for _ in range(2))
    first.seed(5)
    second.seed(6)
    assert play(first, 2)[1] == play(second, 2)[0]


def test_channels_are_drawn_anew_for_every_episode() -> None:
    shared = SharedControl(drifts(1), RandomOperator(DIM), RandomChannels(1, DIM))
    shared.seed(0)
    masks: list[list[tuple[bool, ...]]] = [[]]
    shared.reset()
    for _ in range(200):
        _, _, dones, infos = shared.step(assistance(1))
        masks[-1].append(tuple(infos[0]["operator_mask"]))
        if dones[0]:
            masks.append([])
    episodes = [set(episode) for episode in masks if episode]
    assert all(len(episode) == 1 for episode in episodes)
    assert len(set.union(*episodes)) == DIM


def test_the_operator_does_the_same_whatever_the_channels() -> None:
    def commands(channels: Channels) -> list[Any]:
        shared = SharedControl(drifts(2), RandomOperator(DIM), channels)
        shared.seed(0)
        return [[step[3] for step in story] for story in play(shared, 20)]

    assert commands(FixedChannels([0], DIM)) == commands(RandomChannels(2, DIM)) == commands(FixedChannels([], DIM))


class Recording(RandomOperator):
    """Means a new plan in every episode and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(DIM)
        self.told: list[tuple[int, list[bool]]] = []

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        super().reset(index, rng, mask)
        self.told.append((index, mask.tolist()))

    def intent(self, index: int) -> tuple[str, ...]:
        return (f"plan {len(self.told)}",)


def test_the_last_step_of_an_episode_belongs_to_it() -> None:
    operator = Recording()
    shared = SharedControl(drifts(1), operator, RandomChannels(1, DIM))
    shared.seed(3)
    observation = shared.reset()
    ends = 0
    while ends < 5:
        mask, plan = observation["operator_mask"][0].astype(bool), operator.intent(0)
        observation, _, dones, infos = shared.step(assistance(1))
        assert (infos[0]["operator_mask"] == mask).all()
        assert infos[0]["intent"] == plan
        if dones[0]:
            ends += 1
            terminal = infos[0]["terminal_observation"]
            assert shared.observation_space.contains(terminal)
            assert (terminal["operator_mask"] == mask).all()
            assert not terminal["operator_action"].any()
            assert operator.told[-1] == (0, observation["operator_mask"][0].astype(bool).tolist())
    assert len(operator.told) == 6


def test_reports_and_observations_share_no_memory() -> None:
    shared = control(2, RandomOperator(DIM))
    observation = shared.reset()
    kept = observation["operator_action"].copy()
    observation["operator_mask"][:] = 1
    observation["operator_action"][:] = 9
    _, _, _, infos = shared.step(assistance(2))
    assert (infos[0]["operator_mask"] == [True, False, True]).all()
    assert (infos[0]["executed_action"][[0, 2]] == kept[0, [0, 2]]).all()
    infos[0]["operator_mask"][:] = True
    assert (shared.step(assistance(2))[3][0]["operator_mask"] == [True, False, True]).all()


class Planning(Scripted):
    """Means one plan for ever, and stands still."""

    def __init__(self, n: int, plan: tuple[str, ...]) -> None:
        super().__init__(np.zeros((n, DIM), np.float32))
        self.plan = plan

    def intent(self, index: int) -> tuple[str, ...]:
        return self.plan


class Finishing(Drift):
    """Completes the task "second" in its first step and "first" in its second one, in episodes of 2 to 7 steps."""

    def reset(self, **options: Any) -> tuple[Array, dict[str, Any]]:
        state, info = super().reset(**options)
        self._completed: tuple[str, ...] = ()
        return state, {**info, "completed": ()}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        state, reward, terminated, truncated, _ = super().step(action)
        self._completed = ("second", "first")[: len(self._completed) + 1]
        return state, reward, terminated, truncated, {"completed": self._completed}


def test_the_task_pursued_is_the_first_that_is_not_completed() -> None:
    shared = SharedControl(
        DummyVecEnv([Finishing]),
        Planning(1, ("first", "second", "third")),
        FixedChannels([0], DIM),
        tell=("x", "third"),
    )
    shared.seed(100)
    told, pursued = [int(shared.reset()["intent"][0])], []
    ends = []
    for _ in range(12):
        observation, _, dones, infos = shared.step(assistance(1))
        told.append(int(observation["intent"][0]))
        pursued.append(infos[0]["pursued"])
        ends.append(bool(dones[0]))
        if dones[0]:
            terminal = infos[0]["terminal_observation"]
            assert shared.observation_space.contains(terminal)
            assert terminal["intent"] == (1 if pursued[-1] == "third" else -1)
    assert sum(ends) >= 2
    step = 0
    for t, end in enumerate(ends):
        step += 1
        assert pursued[t] == ("first" if step == 1 else "third")
        assert told[t + 1] == (-1 if end or step == 1 else 1)  # a new episode begins with nothing completed
        step = 0 if end else step


def test_an_operator_without_a_plan_pursues_nothing() -> None:
    shared = SharedControl(drifts(2), RandomOperator(DIM), FixedChannels([0], DIM), tell=["kettle"])
    observation = shared.reset()
    assert observation["intent"].dtype == np.int64
    assert observation["intent"].tolist() == [-1, -1]
    assert all(shared.observation_space.contains({key: value[i] for key, value in observation.items()}) for i in (0, 1))
    assert [info["pursued"] for info in shared.step(assistance(2))[3]] == [None, None]


def test_telling_changes_nothing_else() -> None:
    def story(**options: Any) -> list[Any]:
        shared = SharedControl(drifts(2), RandomOperator(DIM), RandomChannels(2, DIM), **options)
        shared.seed(0)
        observation, seen = shared.reset(), []
        for _ in range(10):
            seen.append([observation[key].tolist() for key in ("state", "operator_action", "operator_mask")])
            observation, *_ = shared.step(assistance(2))
        return seen

    assert story() == story(tell=("kettle",))
