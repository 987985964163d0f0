"""FrankaKitchen with one flat observation, honest rewards and episodes that replay from their seed, for many at once.

A decision is 80 ms; an action (9,) in [-1, 1] is a joint velocity in units of 2 rad/s (dims 0-6 the arm, 7-8 the
fingers).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from autonomy.types import Array, UserError
from envs.kitchen.simulation import Simulation, Vectors
from envs.kitchen.tasks import ACTION_DIM, OBSERVATIONS, TASKS, pose_of, resolve_tasks

NOISE = {"v1": 0.01, "d4rl": 0.1}
"""Robot noise ratio: times the config's amplitude of 0.1 rad, so joint readings are off by up to 0.001 or 0.01 rad."""
RENDER_MODES = ("human", "rgb_array", "depth_array")
START_SIGMA, START_STEPS, _ARM = 0.3, 4, 7
_START_STREAM = 1
"""Keeps the draws of the perturbed start apart from the simulator's noise, which has the same episode seed."""


def _choose(kind: str, value: str, valid: Sequence[str]) -> str:
    if value not in valid:
        raise UserError(f"unknown {kind} {value!r}; the valid ones are {', '.join(valid)}")
    return value


def _render_fast(model: mujoco.MjModel) -> None:
    """Neither shadows nor multisampling: a twentieth of the time per frame without a GPU, and the same physics."""
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0


class Kitchens:
    """`n` kitchens. Reward: the number of tasks completed for the first time at a step.

    `tasks`: the name of a task set or a list of tasks. `obs`: "pose" (30: robot and object positions) or "full" (59:
    robot positions and velocities, object positions and velocities). `noise`: "v1" or "d4rl". `perturbed_start`:
    True, or the standard deviation of the random arm actions that move the robot for `START_STEPS` decisions before
    the episode begins. Methods take the `rows` of the kitchens that they are about. Raises `UserError` for an unknown
    option.
    """

    def __init__(
        self,
        n: int,
        tasks: str | Sequence[str] = TASKS,
        obs: str = "pose",
        noise: str = "v1",
        perturbed_start: bool | float = False,
        render_mode: str | None = None,
        threads: int = 1,
        **renderer: Any,
    ) -> None:
        self.tasks = resolve_tasks(tasks)
        self.width = OBSERVATIONS[_choose("obs", obs, tuple(OBSERVATIONS))]
        self._start_sigma = START_SIGMA if perturbed_start is True else float(perturbed_start)
        if not 0.0 <= self._start_sigma <= 1.0:
            raise UserError(f"perturbed_start must be true, false or a number between 0 and 1, got {perturbed_start}")
        self.render_mode = None if render_mode is None else _choose("render_mode", render_mode, RENDER_MODES)
        ratio = NOISE[_choose("noise", noise, tuple(NOISE))]
        self.simulation = Simulation(n, self.tasks, ratio, threads, render_mode=render_mode, **renderer)
        if render_mode is not None:
            _render_fast(self.simulation.model)
        self.observed = np.zeros((n, OBSERVATIONS["full"]), np.float32)
        """(n, 59): the last observation of each with the velocities, whatever `obs` shows of it."""
        self._done = np.zeros((n, len(self.tasks)), np.bool_)
        self._completed: list[tuple[str, ...]] = [()] * n
        self._seeds = [0] * n

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> Array:
        """Start the episodes `seeds`; observations (R, S)."""
        for row, seed in zip(rows, seeds, strict=True):
            self._seeds[row], self._completed[row] = seed, ()
        self._done[rows] = False
        observations = self.simulation.reset(rows, seeds)
        if self._start_sigma:
            observations = self._perturb(rows, seeds)
        return self._visible(rows, observations)

    def step(self, rows: Sequence[int], actions: NDArray[Any]) -> tuple[Array, NDArray[np.float64]]:
        """Advance 80 ms: observations (R, S) and rewards (R,).

        Raises `ValueError` unless the actions are 9 finite numbers for each row; they are clipped to [-1, 1].
        """
        if np.shape(actions) != (len(rows), ACTION_DIM) or not np.isfinite(actions).all():
            raise ValueError(f"an action is {ACTION_DIM} finite numbers, got {actions!r}")
        observations = self.simulation.step(rows, actions)
        new = self.simulation.reached(rows) & ~self._done[rows]
        self._done[rows] |= new
        for i in np.flatnonzero(new.any(1)).tolist():
            self._completed[rows[i]] += tuple(task for task, done in zip(self.tasks, new[i], strict=True) if done)
        return self._visible(rows, observations), new.sum(1).astype(np.float64)

    def success(self, row: int) -> bool:
        """Whether all tasks are completed."""
        return bool(self._done[row].all())

    def completed(self, row: int) -> tuple[str, ...]:
        """The tasks that are completed, in the order of completion."""
        return self._completed[row]

    def info(self, row: int) -> dict[str, Any]:
        """`seed`, `completed` (the tasks in the order of completion) and `success`."""
        return {"seed": self._seeds[row], "completed": self._completed[row], "success": self.success(row)}

    def render(self, row: int) -> Any:
        """The current frame, as `render_mode` says."""
        return self.simulation.render(row, self.render_mode)

    def _visible(self, rows: Sequence[int], observations: Vectors) -> Array:
        """Fresh float32 vectors (R, S)."""
        self.observed[rows] = observations
        return (pose_of(observations) if self.width == OBSERVATIONS["pose"] else observations).astype(np.float32)

    def _perturb(self, rows: Sequence[int], seeds: Sequence[int]) -> Vectors:
        """Random arm actions before the episodes begin; they go through the simulator, so the starts are valid ones."""
        actions = np.zeros((START_STEPS, len(rows), ACTION_DIM))
        for i, seed in enumerate(seeds):
            rng = np.random.default_rng([seed, _START_STREAM])
            actions[:, i, :_ARM] = rng.normal(0.0, self._start_sigma, (START_STEPS, _ARM))
        for action in actions:
            observations = self.simulation.step(rows, action)
        return observations
