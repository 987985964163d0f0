"""What the cockpit asks of a kind of world beyond `World`: a robot may have a corner of its own here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from autonomy.checks import choice
from autonomy.types import Array
from envs.world import World
from eval.cockpit.steering import Steering


class View(NamedTuple):
    """Where one looks from, in metres, at what, and the field of view in radians."""

    position: tuple[float, float, float]
    look_at: tuple[float, float, float]
    field: float


class Corner(Protocol):
    """One kind of world.

    `held`: the channels that a person holds at first, None for the first that there are. `view`: None where the camera
    follows what moves. `menus`: by name the options of settings that make another world. `steerings`: by name the ways
    to steer beside joint by joint.
    """

    @property
    def held(self) -> str | None: ...
    @property
    def view(self) -> View | None: ...
    @property
    def menus(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def steerings(self) -> Mapping[str, Steering]: ...

    @staticmethod
    def fits(world: World) -> bool:
        """Whether it is a corner for `world`."""
        ...

    def chosen(self, env: DictConfig) -> dict[str, str]:
        """What of the menus is chosen in a configuration of the group `env`."""
        ...

    def change(self, env: DictConfig, menu: str, option: str) -> None:
        """Choose it in `env`. Raises `UserError` for an unknown menu or option."""
        ...

    def observation(self, world: World, state: Array) -> Array:
        """What is recorded when the assistant sees `state` (S,)."""
        ...

    def ghost(
        self, model: mujoco.MjModel, scratch: mujoco.MjData, positions: NDArray[np.float64], action: Array
    ) -> NDArray[np.float64] | None:
        """Where `action` (D,) leads to from `positions`, (3,); None where that is not shown. It writes to `scratch`."""
        ...


class AnyCorner:
    """Any world: no menus, the state is what is recorded, and there is no ghost."""

    held: str | None = None
    view: View | None = None
    menus: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    steerings: Mapping[str, Steering] = MappingProxyType({})

    @staticmethod
    def fits(world: World) -> bool:
        return True

    def chosen(self, env: DictConfig) -> dict[str, str]:
        return {}

    def change(self, env: DictConfig, menu: str, option: str) -> None:
        choice("setting", menu, tuple(self.menus))

    def observation(self, world: World, state: Array) -> Array:
        return state

    def ghost(
        self, model: mujoco.MjModel, scratch: mujoco.MjData, positions: NDArray[np.float64], action: Array
    ) -> None:
        return None
