"""Many kitchens at once, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from autonomy.types import Array, UserError
from envs import MAX_EPISODE_STEPS
from envs.kitchens import Kitchens
from envs.parallel import available_cores
from envs.simulation import DIM
from envs.tasks import TASK_SETS


class Simulator:
    """One kitchen of many, as operators and cameras see it: to be read only."""

    def __init__(self, kitchens: Kitchens, row: int) -> None:
        self._kitchens, self._row = kitchens, row
        self.tasks, self.render_mode = kitchens.tasks, kitchens.render_mode

    @property
    def unwrapped(self) -> Simulator:
        """Itself: it is no wrapper."""
        return self

    @property
    def model(self) -> mujoco.MjModel:
        """MuJoCo's model, which all kitchens share."""
        return self._kitchens.simulation.model

    @property
    def data(self) -> mujoco.MjData:
        """MuJoCo's state."""
        return self._kitchens.simulation.data[self._row]

    @property
    def completed(self) -> tuple[str, ...]:
        """The tasks that the episode has completed, in that order."""
        return self._kitchens.completed(self._row)

    def render(self) -> Any:
        """The current frame, as `render_mode` says."""
        return self._kitchens.render(self._row)


class KitchenVecEnv(VecEnv):
    """`n` kitchens as a vector environment of Stable-Baselines3, with the episodes of `n` single ones, bit for bit.

    Observations (n, S), actions (n, 9). An episode ends when all tasks are done or, truncated, after
    `max_episode_steps`; the next one then begins, and `infos[i]["terminal_observation"]` is what the last one ended
    with. `simulators` are what operators read.

    After `stage(seeds)` and a reset, kitchen i plays the episode `seeds[i]` and then stands still, as do kitchens
    beyond the end of the list: the physics rests, and observation and info stay those of the episode's start.
    """

    def __init__(self, n: int, max_episode_steps: int = MAX_EPISODE_STEPS, **options: Any) -> None:
        self._kitchens = Kitchens(n, **options)
        self.simulators = [Simulator(self._kitchens, row) for row in range(n)]
        self._limit = max_episode_steps
        self._steps = np.zeros(n, np.int64)
        self._generators = [np.random.default_rng() for _ in range(n)]
        self._staged: list[int | None] | None = None
        self._resting = np.zeros(n, np.bool_)
        self._last = np.zeros((n, self._kitchens.width), np.float32)
        self._actions = np.zeros((n, DIM), np.float32)
        super().__init__(
            n,
            gymnasium.spaces.Box(-np.inf, np.inf, (self._kitchens.width,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (DIM,), np.float32),
        )

    def stage(self, seeds: Sequence[int]) -> None:
        """From the next reset on, play these episodes, at most one a kitchen."""
        self._staged = [*seeds, *[None] * (self.num_envs - len(seeds))]

    def reset(self) -> Array:
        rows = range(self.num_envs)
        seeds = [self._first_seed(row) for row in rows] if self._staged is None else self._staged
        self._resting[:] = [seed is None for seed in seeds]
        self._begin(rows, [seed or 0 for seed in seeds])
        self._reset_seeds()
        self._reset_options()
        return np.array(self._last)

    def step_async(self, actions: Array) -> None:
        self._actions = np.asarray(actions)

    def step_wait(self) -> VecEnvStepReturn:
        rows = np.flatnonzero(~self._resting).tolist()
        observations, rewards, dones = self._last.copy(), np.zeros(self.num_envs, np.float32), ~self._resting
        infos = [dict(self.reset_infos[row]) for row in range(self.num_envs)]
        if rows:
            observations[rows], rewards[rows] = self._kitchens.step(rows, self._actions[rows])
        self._steps[rows] += 1
        for row in rows:
            success, late = self._kitchens.success(row), bool(self._steps[row] >= self._limit)
            infos[row] = {**self._kitchens.info(row), "TimeLimit.truncated": late and not success}
            dones[row] = success or late
        ended = [row for row in rows if dones[row]]
        for row in ended:
            infos[row]["terminal_observation"] = observations[row].copy()
        self._follow(ended)
        observations[ended] = self._last[ended]
        return observations, rewards, dones, infos

    def _follow(self, rows: list[int]) -> None:
        """What comes after the episodes of `rows`: rest, or new episodes."""
        if self._staged is not None:
            self._resting[rows] = True
        elif rows:
            self._begin(rows, [int(self._generators[row].integers(2**31)) for row in rows])

    def _begin(self, rows: Sequence[int], seeds: Sequence[int]) -> None:
        self._last[rows] = self._kitchens.reset(rows, seeds)
        self._steps[rows] = 0
        for row in rows:
            self.reset_infos[row] = self._kitchens.info(row)

    def _first_seed(self, row: int) -> int:
        """The seed that `seed()` has set, or the next one of the kitchen's own generator."""
        seed = self._seeds[row]
        if seed is None:
            return int(self._generators[row].integers(2**31))
        self._generators[row] = np.random.default_rng(seed)
        return seed

    def close(self) -> None:
        """Free the renderers."""
        self._kitchens.simulation.close()

    def get_images(self) -> Sequence[Any]:
        return [simulator.render() for simulator in self.simulators]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(simulator, attr_name) for simulator in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for simulator in self._chosen(indices):
            setattr(simulator, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **options: Any) -> list[Any]:
        return [getattr(simulator, method_name)(*args, **options) for simulator in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        return [False for _ in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> Iterable[Simulator]:
        return [self.simulators[index] for index in self._get_indices(indices)]


def make_kitchens(
    n: int,
    *,
    task_set: str | None = "mixed",
    tasks: Sequence[str] | None = None,
    max_episode_steps: int | None = None,
    threads: int | None = None,
    **options: Any,
) -> KitchenVecEnv:
    """`n` kitchens in this process: observations (n, 30) or (n, 59), actions (n, 9).

    `tasks` (any of the seven) takes precedence over `task_set` ("mixed", "partial", "complete"); `max_episode_steps`
    is 280 unless told; the physics runs on `threads` threads (default: all cores), which changes no result. `options`
    are those of `Kitchens`: `obs`, `noise`, `perturbed_start`, `render_mode`, ... Every episode's seed is
    `reset_infos[i]["seed"]`. Raises `UserError` for an unknown name.
    """
    if tasks is None and task_set not in TASK_SETS:
        raise UserError(f"unknown task set {task_set!r}; the valid ones are {', '.join(TASK_SETS)}")
    if n < 1:
        raise UserError(f"the number of kitchens must be at least 1, got {n}")
    steps = MAX_EPISODE_STEPS if max_episode_steps is None else max_episode_steps
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise UserError(f"max_episode_steps must be a whole number of at least 1, got {steps!r}")
    options["threads"] = threads or available_cores()
    return KitchenVecEnv(n, steps, tasks=TASK_SETS[str(task_set)] if tasks is None else tuple(tasks), **options)
