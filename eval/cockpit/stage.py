"""The world of a run as the cockpit plays it, what a person may hold in it, and its corner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import mujoco
from omegaconf import DictConfig

from autonomy.channels import channel_names, parse_channels
from autonomy.types import Channels, UserError
from envs.world import World
from eval.cockpit.corner import AnyCorner, Corner
from eval.cockpit.kitchen.corner import KitchenCorner
from eval.setting import make_world

STEP_LIMIT = 100_000
"""Steps of an episode that a person ends: hours."""
LIMIT, PICTURES = "max_episode_steps", "rgb_array"
_CORNERS: tuple[type[Corner], ...] = (KitchenCorner, AnyCorner)


class Stage:
    """Makes the world of `env`, a configuration of that group, with what was chosen from the menus of its `corner`.

    `world` is the present one. With `endless`, no limit of steps ends an episode, where the world has one to set.
    Raises `UserError` for an environment without a simulator.
    """

    def __init__(self, env: DictConfig, endless: bool = True) -> None:
        self._env = env.copy()
        world = env.get("world")
        if endless and world is not None and LIMIT in world:
            self._env.world[LIMIT] = STEP_LIMIT
        self.world = open_world(self._env)
        self.corner: Corner = next(corner for corner in _CORNERS if corner.fits(self.world))()
        self.chosen = self.corner.chosen(self._env)

    def change(self, menu: str, option: str) -> World:
        """Another world, from now on the present one. Raises `UserError` for an unknown menu or option."""
        env = self._env.copy()
        self.corner.change(env, menu, option)
        self.world, self._env = open_world(env), env
        return self.world

    def channels(self, held: Sequence[int] | str | None) -> tuple[str, dict[str, Channels]]:
        """What a person may hold, by name, and which of it is `held` at first: a name, a list of dimensions, or None.

        None: what the corner says, or the first that the environment has a name for, or else everything. Raises
        `UserError` for an unknown name or dimension.
        """
        dim = len(self.world.labels)
        named = {**self.world.channels, **(self._env.get("channels") or {})}
        first = self.corner.held or next(iter(named), "all")
        chosen = parse_channels(first if held is None else held, dim, named)
        names = dict.fromkeys([chosen.name, *channel_names(dim, named)])
        return chosen.name, {name: parse_channels(name, dim, named) for name in names}


def open_world(env: DictConfig) -> World:
    """One environment of the configuration `env`, which makes pictures when MuJoCo does not show it and it can."""
    world = make_world(env, 1)
    metadata = getattr(world.simulators[0], "metadata", {})
    if is_mujoco(world.simulators[0]) or PICTURES not in metadata.get("render_modes", ()):
        return world
    drawn = env.copy()
    drawn.world.render_mode = PICTURES
    return make_world(drawn, 1) if _draws(drawn) else world


def _draws(env: DictConfig) -> bool:
    """Try it on a world that is thrown away: what a renderer needs may not be installed."""
    try:
        world = make_world(env, 1)
        world.reset()
        world.frame(0)
        world.close()
    except (UserError, gymnasium.error.Error, ImportError):
        return False
    return True


def is_mujoco(simulator: Any) -> bool:
    """Whether MuJoCo's `model` and `data` can be read of a simulator."""
    model, data = getattr(simulator, "model", None), getattr(simulator, "data", None)
    return isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData)
