"""One kitchen as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np

from autonomy.types import Array
from envs.kitchen.kitchens import RENDER_MODES, Kitchens
from envs.kitchen.tasks import ACTION_DIM


class Kitchen(gymnasium.Env[Array, Array]):
    """The kitchen, with the options of `Kitchens`. Reward: the number of tasks completed for the first time at a step.

    `info`: `seed` (resetting with it replays the episode bit for bit), `completed` (the tasks in the order of
    completion) and `success` (all of them). The episode terminates when all tasks are done. Raises `UserError` for an
    unknown option.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 12}  # noqa: RUF012 (as in gymnasium)

    def __init__(self, **options: Any) -> None:
        self._kitchens = Kitchens(1, **options)
        self.tasks, self.render_mode = self._kitchens.tasks, self._kitchens.render_mode
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self._kitchens.width,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION_DIM,), np.float32)

    @property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model, for operators that read the simulator."""
        return self._kitchens.simulation.model

    @property
    def data(self) -> mujoco.MjData:
        """MuJoCo's state, to be read only."""
        return self._kitchens.simulation.data[0]

    @property
    def completed(self) -> tuple[str, ...]:
        """The tasks that the episode has completed, in that order."""
        return self._kitchens.completed(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start the episode `seed`; without one, an episode seed is drawn from the environment's generator."""
        super().reset(seed=seed)
        observation = self._kitchens.reset([0], [int(self.np_random.integers(2**31)) if seed is None else seed])[0]
        self._show()
        return observation, self._kitchens.info(0)

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Advance 80 ms. Raises `ValueError` unless the action is 9 finite numbers; they are clipped to [-1, 1]."""
        observations, rewards = self._kitchens.step([0], np.asarray(action)[None])
        self._show()
        return observations[0], float(rewards[0]), self._kitchens.success(0), False, self._kitchens.info(0)

    def render(self) -> Any:
        """The current frame, as `render_mode` says."""
        return self._kitchens.render(0)

    def close(self) -> None:
        """Free the renderer."""
        self._kitchens.simulation.close()

    def _show(self) -> None:
        if self.render_mode == "human":
            self.render()
