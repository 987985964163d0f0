"""A step of many kitchens: ours, Stable-Baselines3's vector environments, and MuJoCo's physics alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import gymnasium
import mujoco
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from autonomy.types import Array
from envs.kitchen.expert.actuation import CONTROL_PERIOD
from envs.kitchen.world import KitchenVecEnv, make_kitchens
from envs.parallel import available_cores
from eval.speed.timing import Row, medians

N = 16


def measure(batch: int, repeats: int) -> list[Row]:
    """All play the same episodes with the same random actions; `batch` is not read."""
    ours, shadow = make_kitchens(N), make_kitchens(N)
    peers: dict[str, VecEnv] = {
        "SB3's DummyVecEnv": DummyVecEnv([_kitchen] * N),
        "SB3's SubprocVecEnv": SubprocVecEnv([_kitchen] * N, start_method="spawn"),
    }
    players = [_Player(world) for world in (ours, *peers.values(), shadow)]
    pool = ThreadPoolExecutor(available_cores())
    try:
        seconds, *plain, bare = medians([*players[:-1], partial(_physics, ours, shadow, pool)], 8 * repeats)
    finally:
        pool.shutdown()
        for world in (ours, shadow, *peers.values()):
            world.close()
    what = f"a step of {N} kitchens"
    limit = f"mj_step alone on {available_cores()} cores"
    return [Row(what, seconds, other, name, bare, limit) for name, other in zip(peers, plain, strict=True)]


def _kitchen() -> gymnasium.Env[Array, Array]:
    return gymnasium.make("autonomy/kitchen-mixed-v1", disable_env_checker=True)


class _Player:
    """Calling it makes a step of the episodes with seeds 0 to N - 1."""

    def __init__(self, world: VecEnv) -> None:
        self._world, self._rng = world, np.random.default_rng(0)
        world.seed(0)
        world.reset()

    def __call__(self) -> None:
        self._world.step(self._rng.uniform(-1, 1, (N, 9)).astype(np.float32))


def _physics(ours: KitchenVecEnv, shadow: KitchenVecEnv, pool: ThreadPoolExecutor) -> None:
    """The same physics once more: `shadow` has the state that `ours` had before its step, and gets its controls."""
    for acting, following in zip(ours.simulators, shadow.simulators, strict=True):
        following.data.ctrl[:] = acting.data.ctrl
    steps = round(CONTROL_PERIOD / shadow.simulators[0].model.opt.timestep)
    list(pool.map(lambda simulator: mujoco.mj_step(simulator.model, simulator.data, steps), shadow.simulators))
