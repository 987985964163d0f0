"""For tests of operators: their states, the start of their episodes, and an environment with the kitchen's spaces."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from autonomy.types import Array, Operator

STATE_DIM, DIM = 30, 9
HELD = np.ones(DIM, np.bool_)


def begin(operator: Operator, n: int, seed: int = 0) -> None:
    for index in range(n):
        operator.reset(index, np.random.default_rng([seed, index]), HELD)


def states(n: int, width: int = STATE_DIM) -> Array:
    return np.random.default_rng(1).normal(size=(n, width)).astype(np.float32)


class Plain(gymnasium.Env[Array, Array]):
    """The kitchen's spaces and nothing else."""

    observation_space = spaces.Box(-np.inf, np.inf, (STATE_DIM,), np.float32)
    action_space = spaces.Box(-1, 1, (DIM,), np.float32)

    def reset(self, **_: Any) -> tuple[Array, dict[str, Any]]:
        return np.zeros(STATE_DIM, np.float32), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        return np.zeros(STATE_DIM, np.float32), 0.0, False, False, {}
