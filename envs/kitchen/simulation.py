"""The physics of many kitchens: one MjModel, an MjData each, and the arithmetic round it for all at once."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer
from gymnasium.utils.seeding import np_random
from numpy.typing import NDArray

from envs.kitchen.tasks import ACTION_DIM

with contextlib.redirect_stderr(io.StringIO()):  # it prints a notice about environments that are not used here
    from gymnasium_robotics.envs.franka_kitchen import KitchenEnv
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import BONUS_THRESH, OBS_ELEMENT_INDICES

_POSITIONS = 30
_ORDER = np.r_[:ACTION_DIM, _POSITIONS : _POSITIONS + ACTION_DIM, ACTION_DIM:_POSITIONS, _POSITIONS + ACTION_DIM : 59]
"""Positions and velocities of the robot, then those of the objects, in MuJoCo's positions and velocities."""
Vectors = NDArray[np.float64]


class Simulation:
    """`n` kitchens that do, bit for bit, what Gymnasium-Robotics' `FrankaKitchen-v1` does with the same seeds.

    The library's environment provides the model, the limits and the goals; what it does in Python for each kitchen is
    here done by NumPy for all of them, and `mj_step`, which holds no lock, runs on `threads` threads. An observation
    (59,) is 9 joint positions and velocities of the robot and 21 positions and 20 velocities of the objects, with noise
    that is uniform below `noise` times the configured amplitudes.
    """

    def __init__(self, n: int, tasks: Sequence[str], noise: float, threads: int = 1, **library: Any) -> None:
        self._library = KitchenEnv(tasks_to_complete=list(tasks), robot_noise_ratio=noise, **library)
        robot = self._library.robot_env
        self.model: mujoco.MjModel = robot.model
        self.data = [robot.data, *(mujoco.MjData(self.model) for _ in range(n - 1))]
        shown = robot.mujoco_renderer
        self._view = {"default_cam_config": shown.default_cam_config, "width": shown.width, "height": shown.height}
        self._view |= {"max_geom": shown.max_geom, "camera_id": shown.camera_id}
        self._view |= {"visual_options": library.get("visual_options")}
        self._renderers: dict[int, MujocoRenderer] = {}
        self._pool = ThreadPoolExecutor(min(threads, n)) if min(threads, n) > 1 else None
        self._frames, self._period, self._speed = robot.frame_skip, robot.dt, robot.act_rng
        self._velocities, self._positions = robot.robot_vel_bound[:ACTION_DIM].T, robot.robot_pos_bound[:ACTION_DIM].T
        objects = self._library.object_noise_ratio
        self._noise = np.concatenate(
            [
                noise * robot.robot_pos_noise_amp[:ACTION_DIM],
                noise * robot.robot_vel_noise_amp[:ACTION_DIM],
                objects * robot.robot_pos_noise_amp[ACTION_DIM - 1 :],
                objects * robot.robot_vel_noise_amp[ACTION_DIM:],
            ]
        )
        self._goal = np.concatenate([self._library.goal[task] for task in tasks])
        self._goal_positions = np.concatenate([OBS_ELEMENT_INDICES[task] for task in tasks])
        self._goal_starts = np.cumsum([0, *(len(OBS_ELEMENT_INDICES[task]) for task in tasks[:-1])])
        self._generators = [np.random.default_rng(0)] * n
        self._seen = np.zeros((n, ACTION_DIM))

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> Vectors:
        """Put the kitchens `rows` at the start of the episodes `seeds`; what they observe, (R, 59)."""
        for row, seed in zip(rows, seeds, strict=True):
            self._generators[row] = np_random(seed)[0]
            mujoco.mj_resetData(self.model, self.data[row])
            self.data[row].qpos[:] = self._library.robot_env.init_qpos
            mujoco.mj_forward(self.model, self.data[row])
        return self._observe(rows)

    def step(self, rows: Sequence[int], actions: NDArray[Any]) -> Vectors:
        """Advance the kitchens `rows` by 80 ms with actions (R, 9), which are clipped; what they observe, (R, 59)."""
        velocities = np.clip(np.clip(actions, -1.0, 1.0) * self._speed, *self._velocities)
        targets = np.clip(self._seen[rows] + velocities * self._period, *self._positions)
        for row, target in zip(rows, targets, strict=True):
            self.data[row].ctrl[:] = target
        if self._pool is None:
            for row in rows:
                self._advance(row)
        else:
            list(self._pool.map(self._advance, rows))
        return self._observe(rows)

    def reached(self, rows: Sequence[int]) -> NDArray[np.bool_]:
        """Which tasks the kitchens `rows` have at their goals, (R, T)."""
        gaps = np.array([self.data[row].qpos[self._goal_positions] for row in rows]) - self._goal
        return np.asarray(np.sqrt(np.add.reduceat(gaps * gaps, self._goal_starts, axis=1)) < BONUS_THRESH)

    def render(self, row: int, mode: str | None) -> Any:
        """A picture of the kitchen `row`, or a window with `mode` human."""
        if row not in self._renderers:
            self._renderers[row] = MujocoRenderer(self.model, self.data[row], **self._view)
        return self._renderers[row].render(mode)

    def close(self) -> None:
        """Free the renderers; the next picture makes new ones."""
        while self._renderers:
            self._renderers.popitem()[1].close()

    def _advance(self, row: int) -> None:
        mujoco.mj_step(self.model, self.data[row], self._frames)

    def _observe(self, rows: Sequence[int]) -> Vectors:
        states = np.array([np.concatenate([self.data[row].qpos, self.data[row].qvel]) for row in rows])
        noise = np.array([self._generators[row].uniform(-1.0, 1.0, len(_ORDER)) for row in rows])
        observed: Vectors = states[:, _ORDER] + self._noise * noise
        self._seen[rows] = observed[:, :ACTION_DIM]
        return observed
