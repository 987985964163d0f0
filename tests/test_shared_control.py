"""The operator inside the environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from autonomy.channels import FixedChannels, RandomChannels
from autonomy.types import Array, Assistant, Channels, Mask, Operator, UserError
from envs.imperfections import Noisy
from envs.operators import ExpertOperator, RandomOperator, ZeroOperator
from envs.shared_control import SharedControl
from envs.vector import make_kitchens

STATE_DIM, DIM = 4, 3
MARK = 0.123456789


class Drift(gymnasium.Env[Array, Array]):
    """A cheap world: noise in the state, episodes of 2 to 7 steps, an honest episode seed, or none at all."""

    observation_space = spaces.Box(-np.inf, np.inf, (STATE_DIM,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (DIM,), np.float32)

    def __init__(self, tells_seed: bool = True) -> None:
        self._tells_seed = tells_seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._draws = np.random.default_rng(episode_seed)
        self._left = int(self._draws.integers(2, 8))
        return self._state(), {"seed": episode_seed} if self._tells_seed else {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.executed = action.copy()
        self._left -= 1
        return self._state(), float(action.sum()), self._left == 0, False, {}

    def _state(self) -> Array:
        return self._draws.normal(size=STATE_DIM).astype(np.float32)


class Scripted(ZeroOperator):
    """Answers whatever it was told to."""

    def __init__(self, answer: Any) -> None:
        super().__init__(DIM)
        self.answer = answer

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        self.seen = states, simulators
        return self.answer  # type: ignore[no-any-return]


def drifts(n: int, **options: Any) -> DummyVecEnv:
    return DummyVecEnv([lambda: Drift(**options)] * n)


def control(n: int, operator: Operator, dims: Sequence[int] = (0, 2), seed: int = 0, **options: Any) -> SharedControl:
    shared = SharedControl(drifts(n, **options), operator, FixedChannels(dims, DIM), seed)
    shared.seed(100)
    return shared


def assistance(n: int, value: float = MARK) -> Array:
    return np.full((n, DIM), value, np.float32)


def play(shared: SharedControl, steps: int) -> list[list[tuple[Any, ...]]]:
    """What happened in each environment, step by step."""
    observation = shared.reset()
    story: list[list[tuple[Any, ...]]] = [[] for _ in range(shared.num_envs)]
    for _ in range(steps):
        following, _, dones, infos = shared.step(assistance(shared.num_envs))
        for i, info in enumerate(infos):
            arrays = (*(observation[key][i] for key in observation), info["operator_action"], info["executed_action"])
            story[i].append((*(array.tolist() for array in arrays), info["intent"], bool(dones[i])))
        observation = following
    return story


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


@pytest.mark.parametrize("bad", [[np.nan, 0, 0], [0, np.inf, 0]])
def test_a_command_that_is_not_finite_is_refused_and_the_others_go_on(bad: list[float]) -> None:
    operator = Scripted(np.array([[0.5] * DIM, bad, [0.5] * DIM], np.float32))
    shared = control(3, operator, [0, 1])
    observation = shared.reset()
    assert observation["operator_action"].tolist() == [[0.5, 0.5, 0], [0, 0, 0], [0.5, 0.5, 0]]
    _, _, _, infos = shared.step(assistance(3))
    assert "NaN or infinity in dimensions" in infos[1]["operator_error"]
    assert infos[1]["executed_action"].tolist() == [0, 0, np.float32(MARK)]
    assert [info["operator_errors"] for info in infos] == [0, 1, 0]
    for i in (0, 2):
        assert "operator_error" not in infos[i]
        assert infos[i]["executed_action"].tolist() == [0.5, 0.5, np.float32(MARK)]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (np.zeros((2, DIM + 1)), [0, 1]),
        (np.zeros((3, DIM)), [0, 1]),
        (np.zeros(DIM), [0, 1]),
        (np.zeros(2), [0, 1]),
        (np.float32(0), [0, 1]),
        (None, [0, 1]),
        ([[0.5] * DIM, [0.5]], [1]),
        ([None, [0.5] * DIM], [0]),
        ([["left", "right", "up"], [0.5] * DIM], [0]),
        ([[0.5, [1, 2], 0.5], [0.5] * DIM], [0]),
    ],
)
def test_a_command_of_the_wrong_shape_is_refused(answer: Any, refused: list[int]) -> None:
    shared = control(2, Scripted(answer), [0, 1, 2])
    shared.reset()
    _, _, _, infos = shared.step(assistance(2))
    for i, info in enumerate(infos):
        assert ("operator_error" in info) == (i in refused)
        assert info["executed_action"].tolist() == ([0.0] * DIM if i in refused else [0.5] * DIM)
    assert "3 finite numbers for each of 2 environments" in infos[refused[0]]["operator_error"]


def test_the_mark_stays_for_the_episode_and_goes_with_it() -> None:
    operator = Scripted(np.full((1, DIM), np.nan))
    shared = control(1, operator)
    shared.reset()
    operator.answer = np.zeros((1, DIM))
    counts, sentences, done = [], [], False
    while not done:
        _, _, dones, infos = shared.step(assistance(1))
        counts.append(infos[0]["operator_errors"])
        sentences.append("operator_error" in infos[0])
        done = bool(dones[0])
    assert set(counts) == {1}
    assert sentences == [True] + [False] * (len(counts) - 1)
    assert shared.step(assistance(1))[3][0]["operator_errors"] == 0


def test_nan_from_the_assistant_is_one_clear_error() -> None:
    shared = control(3, ZeroOperator(DIM))
    shared.reset()
    actions = assistance(3)
    actions[1, 1] = np.nan
    with pytest.raises(UserError, match=r"must be finite, got NaN or infinity in rows \[1\]"):
        shared.step(actions)


def test_actions_of_another_shape_from_the_assistant_are_one_clear_error() -> None:
    shared = control(3, ZeroOperator(DIM))
    shared.reset()
    with pytest.raises(UserError, match=r"shape \(3, 3\), got \(3, 2\)"):
        shared.step(np.zeros((3, 2)))


def test_what_does_not_fit_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="channels are for 9 action dimensions, the environment has 3"):
        SharedControl(drifts(1), ZeroOperator(DIM), FixedChannels([0], 9))
    with pytest.raises(UserError, match="seed must be a whole number"):
        SharedControl(drifts(1), ZeroOperator(DIM), FixedChannels([0], DIM), seed=-1)
    with pytest.raises(UserError, match="action space, got Discrete"):
        SharedControl(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), ZeroOperator(1), FixedChannels([], 1))
    shared = control(1, ZeroOperator(DIM))
    with pytest.raises(UserError, match="observation space, got Dict"):
        SharedControl(shared, ZeroOperator(DIM), FixedChannels([0], DIM))


def test_the_operator_gets_the_simulators_of_this_process() -> None:
    operator = Scripted(np.zeros((2, DIM)))
    shared = SharedControl(VecMonitor(drifts(2)), operator, FixedChannels([0], DIM))
    shared.seed(9)
    observation = shared.reset()
    states, simulators = operator.seen
    assert (states == observation["state"]).all()
    assert [type(simulator) for simulator in simulators] == [Drift, Drift]
    assert [info["seed"] for info in shared.reset_infos] == [9, 10]


def test_environments_in_other_processes_do_the_same_without_simulators() -> None:
    venv = SubprocVecEnv([Drift] * 2, start_method="fork")
    try:
        far = SharedControl(venv, RandomOperator(DIM), RandomChannels(1, DIM))
        near = SharedControl(drifts(2), RandomOperator(DIM), RandomChannels(1, DIM))
        assert (far.simulators, len(near.simulators)) == ([], 2)
        far.seed(4)
        near.seed(4)
        assert play(far, 15) == play(near, 15)
    finally:
        venv.close()


def test_an_sb3_agent_trains_here_and_is_an_assistant_as_it_is() -> None:
    shared = SharedControl(VecMonitor(drifts(2)), RandomOperator(DIM), RandomChannels(2, DIM))
    agent = PPO("MultiInputPolicy", shared, n_steps=16, batch_size=16, n_epochs=2, seed=0, device="cpu")
    before = agent.policy.action_net.weight.detach().clone()
    agent.learn(64)
    assert isinstance(agent, Assistant)
    assert not (agent.policy.action_net.weight == before).all()
    actions, _ = agent.predict(shared.reset(), deterministic=True)
    _, _, _, infos = shared.step(actions)
    free = ~infos[0]["operator_mask"]
    assert (infos[0]["executed_action"][free] == actions[0][free]).all()


def kitchen_control(n: int, operator: Operator, channels: Channels) -> SharedControl:
    shared = SharedControl(make_kitchens(n), operator, channels)
    shared.seed(50)
    return shared


def test_kitchens_beside_each_other_do_not_change_each_other() -> None:
    def story(n: int) -> list[tuple[bytes, bytes, tuple[str, ...]]]:
        operator = Noisy(ExpertOperator(make_tasks()), 0.2)
        shared = kitchen_control(n, operator, RandomChannels(3, 9))
        observation, steps = shared.reset(), []
        for _ in range(15):
            state = observation["state"][1].tobytes()
            observation, _, _, infos = shared.step(observation["operator_action"])
            steps.append((state, infos[1]["executed_action"].tobytes(), infos[1]["intent"]))
        shared.close()
        return steps

    assert story(2) == story(3)


def make_tasks() -> tuple[str, ...]:
    return ("microwave", "kettle", "bottom burner", "light switch")


def test_an_expert_that_holds_everything_does_what_it_means_to() -> None:
    operator = ExpertOperator(make_tasks(), order=["light switch"], speed=1.0, smooth=0.0)
    shared = kitchen_control(1, operator, FixedChannels(range(9), 9))
    shared.reset()
    for _ in range(100):
        _, rewards, _, infos = shared.step(np.zeros((1, 9)))
        if rewards[0]:
            break
    assert infos[0]["completed"] == infos[0]["intent"] == ("light switch",)
    shared.close()
