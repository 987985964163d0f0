"""Proxy operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO

from autonomy.types import Array, Demonstrations, Episode, Operator, UserError
from envs.habits import Hesitant, Wandering
from envs.imperfections import Noisy
from envs.kitchen.operator import ExpertOperator
from envs.kitchen.tasks import TASK_SETS
from envs.kitchen.world import make_kitchens
from envs.operators import (
    HoldOperator,
    PolicyOperator,
    RandomOperator,
    ReplayOperator,
    ZeroOperator,
)
from tests.operators import DIM, HELD, STATE_DIM, Plain, begin, states

TASKS = TASK_SETS["mixed"]


class Recorded:
    """A source of three short demonstrations; the i-th one's actions are all (i + 1) / 10."""

    def __init__(self, lengths: Sequence[int] = (2, 3, 4)) -> None:
        self._lengths = lengths

    def load(self) -> Demonstrations:
        episodes = (
            Episode(np.zeros((t, STATE_DIM), np.float32), np.full((t, DIM), (i + 1) / 10, np.float32), (TASKS[i],))
            for i, t in enumerate(self._lengths)
        )
        return Demonstrations(tuple(episodes), TASKS, "recorded")


class Assisted(Plain):
    """The same, seen by an agent that was trained as an assistant."""

    observation_space = spaces.Dict(  # type: ignore[assignment]
        {
            "state": Plain.observation_space,
            "operator_action": Plain.action_space,
            "operator_mask": spaces.MultiBinary(DIM),
        }
    )


class Watching:
    """A policy without spaces, like our assistants; remembers what it was asked."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        self.observation, self.episode_start, self.deterministic = observation, episode_start, deterministic
        return np.full_like(observation["operator_action"], 0.5), "memory" if state is None else state + "!"


def test_zero_and_hold_do_not_move_at_first() -> None:
    for operator in (ZeroOperator(DIM), HoldOperator(DIM)):
        begin(operator, 2)
        assert (operator.act(states(2), []) == np.zeros((2, DIM))).all()
        assert operator.intent(0) == ()


def test_hold_returns_to_where_the_episode_began() -> None:
    operator = HoldOperator(DIM, reach=0.16)
    begin(operator, 2)
    start = states(2)
    operator.act(start, [])
    moved = start.copy()
    moved[0, 3] += 0.08
    moved[1, 2] -= 9.0
    expected = np.zeros((2, DIM))
    expected[0, 3], expected[1, 2] = -0.5, 1.0
    assert np.allclose(operator.act(moved, []), expected, atol=1e-5)
    begin(operator, 1)
    assert operator.act(moved, [])[:, 2:4].tolist() == [[0, 0], [1, 0]]


def test_random_is_uniform_and_has_a_generator_for_each_environment() -> None:
    def play(n: int) -> Array:
        operator = RandomOperator(DIM)
        begin(operator, n)
        return np.stack([operator.act(states(n), []) for _ in range(300)])

    few, many = play(4), play(16)
    assert few.tobytes() == many[:, :4].tobytes()
    assert few.dtype == np.float32
    assert np.abs(many).max() <= 1
    assert abs(many.mean()) < 4 / np.sqrt(3 * many.size)


def test_replay_plays_a_drawn_demonstration_then_holds_still() -> None:
    operator = ReplayOperator(Recorded(), DIM)
    seen = set()
    for seed in range(20):
        begin(operator, 1, seed)
        played = [float(operator.act(states(1), [])[0, 0]) for _ in range(6)]
        index = round(played[0] * 10) - 1
        assert np.allclose(played, [(index + 1) / 10] * (index + 2) + [0] * (4 - index))
        assert operator.intent(0) == (TASKS[index],)
        seen.add(index)
    assert seen == {0, 1, 2}


def test_replay_of_one_demonstration_runs_in_every_environment_on_its_own() -> None:
    operator = ReplayOperator(Recorded(), DIM, episode=1)
    begin(operator, 2)
    operator.act(states(2), [])
    operator.act(states(2), [])
    operator.reset(1, np.random.default_rng(5), HELD)
    operator.act(states(2), [])
    assert operator.act(states(2), [])[:, 0].tolist() == [0, np.float32(0.2)]


def test_replay_refuses_what_it_cannot_play() -> None:
    with pytest.raises(UserError, match="they are 0 to 2"):
        ReplayOperator(Recorded(), DIM, episode=3)
    with pytest.raises(UserError, match="empty"):
        ReplayOperator(Recorded(()), DIM)
    with pytest.raises(UserError, match="act in 9 dimensions, the environment in 7"):
        ReplayOperator(Recorded(), 7)


def test_an_assistant_is_asked_for_full_autonomy() -> None:
    policy = Watching()
    operator = PolicyOperator(policy, DIM)
    begin(operator, 2)
    here = states(2)
    assert (operator.act(here, []) == 0.5).all()
    assert (policy.observation["state"] == here).all()
    assert not policy.observation["operator_mask"].any()
    assert not policy.observation["operator_action"].any()
    assert policy.deterministic


def test_a_recurrent_policy_hears_of_new_episodes() -> None:
    policy = Watching()
    operator = PolicyOperator(policy, DIM)
    begin(operator, 3)
    starts = []
    for step in range(3):
        operator.act(states(3), [])
        starts.append(policy.episode_start.tolist())
        if step == 1:
            operator.reset(2, np.random.default_rng(0), HELD)
    assert starts == [[True] * 3, [False] * 3, [False, False, True]]


def test_an_sb3_agent_gets_what_its_observation_space_says() -> None:
    here = states(2)
    nothing = {"operator_action": np.zeros((2, DIM), np.float32), "operator_mask": np.zeros((2, DIM), np.int8)}
    for policy, env, asked in (("MlpPolicy", Plain, here), ("MultiInputPolicy", Assisted, {"state": here, **nothing})):
        agent = PPO(policy, env(), device="cpu", seed=0, policy_kwargs={"net_arch": [8]})
        operator = PolicyOperator(agent, DIM)
        begin(operator, 2)
        actions = operator.act(here, [])
        assert actions.shape == (2, DIM)
        assert (actions == agent.predict(asked, deterministic=True)[0]).all()


def test_a_policy_for_another_environment_is_refused() -> None:
    agent = PPO("MlpPolicy", Plain(), device="cpu", policy_kwargs={"net_arch": [8]})
    with pytest.raises(UserError, match="must act in 7 dimensions"):
        PolicyOperator(agent, 7)
    operator = PolicyOperator(agent, DIM)
    begin(operator, 1)
    with pytest.raises(UserError, match=r"states of shape \(30,\), the environment's are \(59,\)"):
        operator.act(states(1, 59), [])


def test_the_expert_draws_a_new_order_in_every_episode() -> None:
    operator = ExpertOperator(TASKS)
    orders = []
    for seed in range(480):
        begin(operator, 1, seed)
        orders.append(operator.intent(0))
    distinct, counts = np.unique([" ".join(order) for order in orders], return_counts=True)
    assert all(sorted(order) == sorted(TASKS) for order in orders)
    assert len(distinct) == 24
    assert ((counts - 20) ** 2 / 20).sum() < 49.7  # chi-square with 23 degrees of freedom, p = 0.001


def test_an_order_can_be_fixed() -> None:
    operator = ExpertOperator(TASKS, order=["kettle", "microwave"])
    begin(operator, 3)
    assert {operator.intent(i) for i in range(3)} == {("kettle", "microwave")}
    assert ExpertOperator(TASKS).intent(0) == ()


@pytest.mark.parametrize("order", [["toaster"], ["kettle", "slide cabinet"], ["kettle", "kettle"], [], "toaster"])
def test_an_order_of_other_tasks_is_refused(order: Any) -> None:
    with pytest.raises(UserError, match=", ".join(TASKS)):
        ExpertOperator(TASKS, order=order)


@pytest.mark.parametrize("style", [{"speed": 0.0}, {"smooth": 1.0}, {"jitter": 2.0}, {"max_retries": -1}])
def test_a_style_out_of_range_is_refused(style: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="max_retries at least 0"):
        ExpertOperator(TASKS, **style)


def test_the_expert_needs_simulators() -> None:
    operator = ExpertOperator(TASKS)
    begin(operator, 1)
    with pytest.raises(UserError, match="environments in this process"):
        operator.act(states(1), [])


@pytest.mark.parametrize("wrap", [lambda inner: Noisy(inner, 0.0), lambda inner: Wandering(Hesitant(inner, 0, 0), 0)])
def test_wrappers_tell_an_aware_expert_what_it_holds(wrap: Callable[[ExpertOperator], Operator]) -> None:
    kitchens = make_kitchens(1)
    kitchens.seed(0)
    here = np.asarray(kitchens.reset())
    actions = []
    for aware, around in ((False, wrap), (True, wrap), (True, lambda inner: inner)):
        operator = around(ExpertOperator(TASKS, order=["kettle"], aware=aware, jitter=0.0))
        operator.reset(0, np.random.default_rng(0), np.isin(np.arange(DIM), [0, 1, 2]))
        actions.append(operator.act(here, kitchens.simulators))
    assert not np.allclose(actions[0][0, :3], actions[1][0, :3])
    assert (actions[1] == actions[2]).all()
    kitchens.close()


def test_an_aware_expert_solves_for_the_joints_that_it_holds() -> None:
    kitchens = make_kitchens(1)
    kitchens.seed(0)
    here = np.asarray(kitchens.reset())
    simulators = kitchens.get_attr("unwrapped")
    held = np.isin(np.arange(DIM), [0, 1, 2])
    actions = {}
    for aware in (False, True):
        for name, mask in (("some", held), ("none", np.zeros(DIM, np.bool_))):
            operator = ExpertOperator(TASKS, order=["kettle"], aware=aware, jitter=0.0)
            operator.reset(0, np.random.default_rng(0), mask)
            actions[aware, name] = operator.act(here, simulators)
    assert actions[False, "some"].dtype == np.float32
    assert not np.allclose(actions[False, "some"][0, :3], actions[True, "some"][0, :3])
    assert (actions[True, "none"] == actions[False, "none"]).all()
    kitchens.close()
