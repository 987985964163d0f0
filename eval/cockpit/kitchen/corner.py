"""The kitchen's corner: its menus, what is recorded of it, where one looks from, and the ghost of its hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mujoco
import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from autonomy.checks import choice
from autonomy.types import Array
from envs.kitchen.expert.actuation import REACH
from envs.kitchen.kitchens import NOISE
from envs.kitchen.tasks import TASK_SETS
from envs.kitchen.world import KitchenVecEnv
from envs.world import World
from eval.cockpit.corner import View
from eval.cockpit.kitchen.hand import Hand
from eval.cockpit.steering import Steering

GHOST_TICKS = 5
"""How far ahead the ghost of the hand stands."""
TASK_SET, NOISE_MENU = "task set", "noise"


class KitchenCorner:
    """FrankaKitchen: task sets and noise to choose from, the hand to steer, observations with velocities to record."""

    held = "shoulder"
    view = View((-0.3, -1.7, 3.2), (0.25, 0.4, 1.9), 0.8)
    menus: Mapping[str, tuple[str, ...]] = MappingProxyType({TASK_SET: tuple(TASK_SETS), NOISE_MENU: tuple(NOISE)})
    steerings: Mapping[str, Steering] = MappingProxyType({"hand": Hand()})

    @staticmethod
    def fits(world: World) -> bool:
        return isinstance(world, KitchenVecEnv)

    def chosen(self, env: DictConfig) -> dict[str, str]:
        return {TASK_SET: env.get("task_set") or next(iter(TASK_SETS)), NOISE_MENU: env.noise}

    def change(self, env: DictConfig, menu: str, option: str) -> None:
        key, value = (
            ("tasks", list(TASK_SETS[choice(menu, option, self.menus[menu])]))
            if menu == TASK_SET
            else ("noise", choice(menu, option, self.menus[menu]))
        )
        env[key] = env.world[key] = value

    def observation(self, world: World, state: Array) -> Array:
        """All 59 numbers, of which the state may be the 30 of the pose."""
        assert isinstance(world, KitchenVecEnv)
        return world.observed(0)

    def ghost(
        self, model: mujoco.MjModel, scratch: mujoco.MjData, positions: NDArray[np.float64], action: Array
    ) -> NDArray[np.float64]:
        """Where the hand would be (3,) if the `action` (9,) were to last `GHOST_TICKS` decisions."""
        scratch.qpos[:] = positions
        scratch.qpos[: len(action)] += REACH * GHOST_TICKS * np.float64(action)
        mujoco.mj_kinematics(model, scratch)
        return np.array(scratch.site("end_effector").xpos)
