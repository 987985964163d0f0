"""Many kitchens at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium
from stable_baselines3.common.vec_env import DummyVecEnv

import envs  # noqa: F401  (registers the ids)
from autonomy.types import UserError
from envs.kitchen import TASK_SETS


def make_kitchens(
    n: int, *, task_set: str | None = "mixed", tasks: Sequence[str] | None = None, **options: Any
) -> DummyVecEnv:
    """`n` kitchens in this process: observations (n, 30) or (n, 59), actions (n, 9).

    `tasks` (any of the seven) takes precedence over `task_set` ("mixed", "partial", "complete"); `options` go to
    `gymnasium.make`: `obs`, `noise`, `perturbed_start`, `max_episode_steps`, `render_mode`, ... Every episode's seed is
    `reset_infos[i]["seed"]`. Raises `UserError` for an unknown name.
    """
    if tasks is not None:
        make = partial(gymnasium.make, "autonomy/kitchen-v1", tasks=tuple(tasks))
    elif task_set in TASK_SETS:
        make = partial(gymnasium.make, f"autonomy/kitchen-{task_set}-v1")
    else:
        raise UserError(f"unknown task set {task_set!r}; the valid ones are {', '.join(TASK_SETS)}")
    if n < 1:
        raise UserError(f"the number of kitchens must be at least 1, got {n}")
    steps = options.get("max_episode_steps", 1)
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise UserError(f"max_episode_steps must be a whole number of at least 1, got {steps!r}")
    return DummyVecEnv([partial(make, disable_env_checker=True, **options)] * n)
