"""Many kitchens at once, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from autonomy.types import Array, UserError
from envs import MAX_EPISODE_STEPS
from envs.kitchen.expert.actuation import CONTROL_PERIOD
from envs.kitchen.kitchens import Kitchens
from envs.kitchen.tasks import TASK_SETS
from envs.parallel import available_cores
from envs.world import Moved, Score, World, at_least_one

JOINTS = (*(f"joint {number}" for number in range(1, 8)), "finger 1", "finger 2")
CHANNELS = {"base": (0, 1, 2), "shoulder": (0, 1, 2, 3), "wrist": (4, 5, 6), "arm": tuple(range(7)), "fingers": (7, 8)}


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
        """Return MuJoCo's state of this kitchen."""
        return self._kitchens.simulation.data[self._row]

    @property
    def completed(self) -> tuple[str, ...]:
        """The tasks that the episode has completed, in that order."""
        return self._kitchens.completed(self._row)

    def render(self) -> Any:
        """The current frame, as `render_mode` says."""
        return self._kitchens.render(self._row)


class KitchenVecEnv(World):
    """`n` kitchens, with the episodes of `n` single ones, bit for bit: an episode ends when all tasks are done.

    Observations (n, 30) or (n, 59), actions (n, 9). `options` are those of `Kitchens`.
    """

    period = CONTROL_PERIOD
    channels = CHANNELS

    def __init__(self, n: int, max_episode_steps: int = MAX_EPISODE_STEPS, **options: Any) -> None:
        self._kitchens = Kitchens(n, **options)
        self.simulators = [Simulator(self._kitchens, row) for row in range(n)]
        self.tasks = self._kitchens.tasks
        self.score = Score("tasks", 0.0, float(len(self.tasks)))
        super().__init__(n, self._kitchens.width, JOINTS, max_episode_steps)

    def observed(self, row: int) -> Array:
        """The last observation (59,) of a kitchen with the velocities, whatever `obs` shows of it."""
        return np.array(self._kitchens.observed[row], np.float32)

    def _start(self, rows: Sequence[int], seeds: Sequence[int]) -> Array:
        return self._kitchens.reset(rows, seeds)

    def _move(self, rows: Sequence[int], actions: NDArray[Any]) -> Moved:
        states, rewards = self._kitchens.step(rows, actions)
        success = np.array([self._kitchens.success(row) for row in rows], np.bool_)
        return Moved(states, rewards, success, np.zeros(len(rows), np.bool_))

    def _info(self, row: int) -> dict[str, Any]:
        return self._kitchens.info(row)

    def close(self) -> None:
        """Close the windows and free the renderers."""
        self._kitchens.simulation.close()


def make_kitchens(
    n: int,
    *,
    task_set: str | None = "mixed",
    tasks: Sequence[str] | None = None,
    max_episode_steps: int | None = None,
    threads: int | None = None,
    size: int | None = None,
    **options: Any,
) -> KitchenVecEnv:
    """`n` kitchens in this process: observations (n, 30) or (n, 59), actions (n, 9).

    `tasks` (any of the seven) takes precedence over `task_set` ("mixed", "partial", "complete"); `max_episode_steps`
    is 280 unless told; the physics runs on `threads` threads (default: all cores), which changes no result. Frames are
    squares of `size` pixels. `options` are those of `Kitchens`: `obs`, `noise`, `perturbed_start`, `render_mode`, ...
    Every episode's seed is `reset_infos[i]["seed"]`. Raises `UserError` for an unknown name.
    """
    if tasks is None and task_set not in TASK_SETS:
        raise UserError(f"unknown task set {task_set!r}; the valid ones are {', '.join(TASK_SETS)}")
    at_least_one("the number of kitchens", n)
    limit = at_least_one("max_episode_steps", MAX_EPISODE_STEPS if max_episode_steps is None else max_episode_steps)
    options["threads"] = threads or available_cores()
    if size is not None:
        options |= {"width": size, "height": size}
    return KitchenVecEnv(n, limit, tasks=TASK_SETS[str(task_set)] if tasks is None else tuple(tasks), **options)
