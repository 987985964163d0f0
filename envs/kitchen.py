"""FrankaKitchen with one flat observation, honest rewards and episodes that replay from their seed.

Wraps Gymnasium-Robotics' `FrankaKitchen-v1`. A decision is 80 ms; an action (9,) in [-1, 1] is a joint velocity in
units of 2 rad/s (dims 0-6 the arm, 7-8 the fingers).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from autonomy.types import Array, UserError

with contextlib.redirect_stderr(io.StringIO()):  # it prints a notice about environments that are not used here
    from gymnasium_robotics.envs.franka_kitchen import KitchenEnv

TASKS = ("microwave", "kettle", "bottom burner", "top burner", "light switch", "slide cabinet", "hinge cabinet")
TASK_SETS: dict[str, tuple[str, ...]] = {
    "mixed": ("microwave", "kettle", "bottom burner", "light switch"),
    "partial": ("microwave", "kettle", "light switch", "slide cabinet"),
    "complete": ("microwave", "kettle", "light switch", "slide cabinet"),
}
NOISE = {"v1": 0.01, "d4rl": 0.1}
"""Robot noise ratio: times the config's amplitude of 0.1 rad, so joint readings are off by up to 0.001 or 0.01 rad."""
OBSERVATIONS = {"pose": 30, "full": 59}
RENDER_MODES = ("human", "rgb_array", "depth_array")
START_SIGMA, START_STEPS = 0.3, 4
_ROBOT_POSITIONS, _OBJECT_POSITIONS = slice(0, 9), slice(18, 39)
_START_STREAM = 1
"""Keeps the draws of the perturbed start apart from the simulator's noise, which has the same episode seed."""


def check_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks as given. Raises `UserError` for an unknown name, a repeated one or none at all."""
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise UserError(f"unknown task {unknown[0]!r}; the valid tasks are {', '.join(TASKS)}")
    if not tasks or len(set(tasks)) != len(tasks):
        raise UserError(f"tasks {list(tasks)} must be one or more different ones of {', '.join(TASKS)}")
    return tuple(tasks)


def resolve_tasks(tasks: str | Sequence[str]) -> tuple[str, ...]:
    """A task set's name or a list of tasks -> tasks in canonical order. Raises `UserError` for an unknown name."""
    if isinstance(tasks, str):
        if tasks not in TASK_SETS:
            raise UserError(f"unknown task set {tasks!r}; the valid ones are {', '.join(TASK_SETS)}")
        tasks = TASK_SETS[tasks]
    return tuple(sorted(check_tasks(tasks), key=TASKS.index))


def _choose(kind: str, value: str, valid: Sequence[str]) -> str:
    if value not in valid:
        raise UserError(f"unknown {kind} {value!r}; the valid ones are {', '.join(valid)}")
    return value


def _render_fast(model: mujoco.MjModel) -> None:
    """Neither shadows nor multisampling: a twentieth of the time per frame without a GPU, and the same physics."""
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0


class Kitchen(gymnasium.Env[Array, Array]):
    """The kitchen. Reward: the number of tasks completed for the first time at this step.

    `tasks`: the name of a task set or a list of tasks. `obs`: "pose" (30: robot and object positions) or "full" (59:
    robot positions and velocities, object positions and velocities). `noise`: "v1" or "d4rl". `perturbed_start`:
    True, or the standard deviation of the random arm actions that move the robot for `START_STEPS` decisions before
    the episode begins.

    `info`: `seed` (resetting with it replays the episode bit for bit), `completed` (the tasks in the order of
    completion) and `success` (all of them). The episode terminates when all tasks are done. Raises `UserError` for an
    unknown option.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 12}  # noqa: RUF012 (as in gymnasium)

    def __init__(
        self,
        tasks: str | Sequence[str] = TASKS,
        obs: str = "pose",
        noise: str = "v1",
        perturbed_start: bool | float = False,
        render_mode: str | None = None,
        **renderer: Any,
    ) -> None:
        self.tasks = resolve_tasks(tasks)
        self._obs = _choose("obs", obs, tuple(OBSERVATIONS))
        self._start_sigma = START_SIGMA if perturbed_start is True else float(perturbed_start)
        if not 0.0 <= self._start_sigma <= 1.0:
            raise UserError(f"perturbed_start must be true, false or a number between 0 and 1, got {perturbed_start}")
        if render_mode is not None:
            _choose("render_mode", render_mode, RENDER_MODES)
        self.render_mode = render_mode
        self._inner = KitchenEnv(
            tasks_to_complete=list(self.tasks),
            terminate_on_tasks_completed=False,
            remove_task_when_completed=False,
            robot_noise_ratio=NOISE[_choose("noise", noise, tuple(NOISE))],
            render_mode=render_mode,
            **renderer,
        )
        if render_mode is not None:
            _render_fast(self._inner.model)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVATIONS[obs],), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (9,), np.float32)
        self._completed: list[str] = []
        self._seed = 0

    @property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model, for operators that read the simulator."""
        return self._inner.model

    @property
    def data(self) -> mujoco.MjData:
        """MuJoCo's state, to be read only."""
        return self._inner.data

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start the episode `seed`; without one, an episode seed is drawn from the environment's generator."""
        super().reset(seed=seed)
        self._seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._completed = []
        observation = self._inner.reset(seed=self._seed)[0]["observation"]
        if self._start_sigma:
            observation = self._perturb(np.random.default_rng([self._seed, _START_STREAM]))
        return self._observe(observation), self._info()

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Advance 80 ms. Raises `ValueError` unless the action is 9 finite numbers; they are clipped to [-1, 1]."""
        if np.shape(action) != (9,) or not np.isfinite(action).all():
            raise ValueError(f"an action is 9 finite numbers, got {action!r}")
        observation, *_, info = self._inner.step(action)
        reached = set(info["step_task_completions"])
        new = [task for task in self.tasks if task in reached and task not in self._completed]
        self._completed += new
        return self._observe(observation["observation"]), float(len(new)), self._success, False, self._info()

    def render(self) -> Any:
        """The current frame, as `render_mode` says."""
        return self._inner.render()

    def close(self) -> None:
        """Free the renderer."""
        self._inner.close()

    @property
    def _success(self) -> bool:
        return len(self._completed) == len(self.tasks)

    def _info(self) -> dict[str, Any]:
        return {"seed": self._seed, "completed": tuple(self._completed), "success": self._success}

    def _observe(self, observation: NDArray[np.float64]) -> Array:
        """A fresh float32 vector, (30,) or (59,), that shares no memory with the simulator."""
        if self._obs == "pose":
            observation = np.concatenate([observation[_ROBOT_POSITIONS], observation[_OBJECT_POSITIONS]])
        return observation.astype(np.float32)

    def _perturb(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """A few random arm actions before the episode begins; they go through the simulator, so the start is a valid
        one."""
        action = np.zeros(9)
        for _ in range(START_STEPS):
            action[:7] = rng.normal(0.0, self._start_sigma, 7)
            observation = self._inner.step(action)[0]
        return np.asarray(observation["observation"])
