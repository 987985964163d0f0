"""For tests of shared control: a cheap world, an operator that answers what it was told to, and the wrapper around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from autonomy.channels import FixedChannels
from autonomy.types import Array, Operator
from envs.operators import ZeroOperator
from envs.shared_control import SharedControl

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
