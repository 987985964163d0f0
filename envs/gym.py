"""Any Gymnasium environment with vectors for observations and a bounded box of actions, as a `World`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import RescaleAction
from numpy.typing import NDArray

from autonomy.types import ActionBox, Array, UserError
from envs.world import Moved, World, at_least_one

_SUCCESS = ("success", "is_success")
_PERIOD = 0.05
"""Seconds a decision where an environment does not say."""


class GymWorld(World):
    """`n` times `gymnasium.make(id, **options)`.

    Observations are vectors, or a Dict of them, laid end to end in the order of its keys or of `keys`, which may leave
    some out. Actions in [-1, 1] are rescaled to the environment's own box. `max_episode_steps`: None for the
    environment's own. `period`, seconds a decision: by default the environment's `dt`, or its frame rate. `labels` name
    the dimensions of an action, by default as MuJoCo's actuators are called; `channels` name sets of them. A `success`
    or `is_success` in the environment's infos is passed on; it does not end the episode unless the environment does.

    An id such as `gymnasium_robotics:AdroitHandDoor-v1` imports the package that registers it. Raises `UserError` for
    an id that is not registered, for options that the environment refuses, and for other spaces.
    """

    def __init__(
        self,
        n: int,
        id: str,
        keys: Sequence[str] | None = None,
        max_episode_steps: int | None = None,
        period: float | None = None,
        labels: Sequence[str] | None = None,
        channels: Mapping[str, Sequence[int]] | None = None,
        render_mode: str | None = None,
        size: int | None = None,
        **options: Any,
    ) -> None:
        limit = None if max_episode_steps is None else at_least_one("max_episode_steps", max_episode_steps)
        own = {} if limit is None else {"max_episode_steps": limit}
        self._envs = [
            _made(id, {**own, **options}, render_mode) for _ in range(at_least_one("the number of environments", n))
        ]
        first, dim = self._envs[0], _dim(self._envs[0])
        self._keys = _keys(id, first.observation_space, keys)
        width = len(self._read(first.observation_space.sample()))
        self.simulators = [env.unwrapped for env in self._envs]
        self.period = _period(first) if period is None else float(period)
        self.channels = _channels(channels or {}, dim)
        self._seeds_of = [0] * n
        self._infos: list[dict[str, Any]] = [{} for _ in range(n)]
        super().__init__(n, width, _labels(first, dim, labels), None)
        self.box = _box(first)
        self.render_mode = render_mode

    def _start(self, rows: Sequence[int], seeds: Sequence[int]) -> Array:
        states = []
        for row, seed in zip(rows, seeds, strict=True):
            observation, info = self._envs[row].reset(seed=seed)
            states.append(self._read(observation))
            self._seeds_of[row], self._infos[row] = seed, _kept(info)
        return np.stack(states)

    def _move(self, rows: Sequence[int], actions: NDArray[Any]) -> Moved:
        found: list[tuple[Array, float, bool, bool]] = []
        for row, action in zip(rows, np.clip(actions, -1.0, 1.0), strict=True):
            observation, reward, *over, info = self._envs[row].step(np.float32(action))
            self._infos[row] = _kept(info)
            found.append((self._read(observation), float(reward), bool(over[0]), bool(over[1])))
        states, rewards, ended, late = (np.array(column) for column in zip(*found, strict=True))
        return Moved(states, rewards, ended, late)

    def _info(self, row: int) -> dict[str, Any]:
        return {"seed": self._seeds_of[row], **self._infos[row]}

    def _read(self, observation: Any) -> Array:
        """An observation as one vector (S,)."""
        parts = [observation] if self._keys is None else [observation[key] for key in self._keys]
        return np.concatenate([np.asarray(part, np.float32).ravel() for part in parts])

    def frame(self, row: int) -> NDArray[np.uint8]:
        return np.asarray(self._envs[row].render(), np.uint8)

    def close(self) -> None:
        """Free what each of the environments holds, its renderer among it."""
        for env in self._envs:
            env.close()


def _made(id: str, options: Mapping[str, Any], render_mode: str | None) -> gymnasium.Env[Any, Any]:
    """One environment whose actions are in [-1, 1]. Raises `UserError` when it cannot be made, and for its actions."""
    camera: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}  # some know no such argument
    try:
        env = gymnasium.make(id, disable_env_checker=True, **camera, **options)
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        raise UserError(f"the Gymnasium environment {id!r} cannot be made: {' '.join(str(error).split())}") from error
    box = env.action_space
    if not isinstance(box, spaces.Box) or len(box.shape) != 1:
        raise UserError(f"{id} has the actions {box}; supported are vectors of numbers, a bounded Box (D,)")
    if not box.is_bounded():
        raise UserError(f"{id} has actions without bounds, {box}; supported is a bounded Box (D,)")
    return RescaleAction(env, np.float32(-1.0), np.float32(1.0))


def _keys(id: str, space: spaces.Space[Any], wanted: Sequence[str] | None) -> tuple[str, ...] | None:
    """The parts of a Dict that are read, in their order; None for a plain vector. Raises `UserError` for others."""
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
    if wanted is not None and (unknown := [key for key in wanted if key not in parts]):
        raise UserError(f"{id} has no observation {unknown[0]!r}; its keys are {', '.join(parts) or 'none'}")
    chosen = tuple(parts if wanted is None else wanted)
    for key in chosen:
        part = parts[key]
        if not isinstance(part, spaces.Box) or len(part.shape) != 1:
            raise UserError(
                f"{id} has the observation {key} {part}".replace("  ", " ")
                + "; supported are vectors of numbers, or a Dict of them (keys=[...] chooses): images are not"
            )
    return chosen if isinstance(space, spaces.Dict) else None


def _period(env: gymnasium.Env[Any, Any]) -> float:
    """Seconds a decision: MuJoCo environments know their `dt`, most others a frame rate."""
    own = getattr(env.unwrapped, "dt", None)
    rate = env.metadata.get("render_fps")
    return float(own) if isinstance(own, float) else 1.0 / float(rate) if rate else _PERIOD


def _dim(env: gymnasium.Env[Any, Any]) -> int:
    """How many numbers an action is."""
    shape = env.action_space.shape
    assert shape is not None
    return shape[0]


def _box(env: gymnasium.Env[Any, Any]) -> ActionBox:
    """The environment's own box, beneath the wrapper that rescales."""
    own = env.unwrapped.action_space
    assert isinstance(own, spaces.Box)
    return ActionBox(tuple(own.low.astype(float).tolist()), tuple(own.high.astype(float).tolist()))


def _labels(env: gymnasium.Env[Any, Any], dim: int, given: Sequence[str] | None) -> tuple[str, ...]:
    """A name for each dimension of an action. Raises `UserError` for another number of names than dimensions."""
    if given is not None:
        if len(given) != dim or len(set(given)) != dim:
            raise UserError(f"labels must be {dim} different names, one for each action dimension, got {list(given)}")
        return tuple(given)
    model: Any = getattr(env.unwrapped, "model", None)
    names = [model.actuator(i).name for i in range(model.nu)] if hasattr(model, "actuator") else []
    return tuple(names) if len(set(filter(None, names))) == dim else tuple(f"action {i}" for i in range(dim))


def _channels(given: Mapping[str, Sequence[int]], dim: int) -> dict[str, tuple[int, ...]]:
    """The named sets. Raises `UserError` for a dimension that there is not."""
    for name, dims in given.items():
        if not all(isinstance(i, int) and 0 <= i < dim for i in dims) or len(set(dims)) != len(dims):
            raise UserError(
                f"channels {name!r} are {list(dims)}; dimensions are different whole numbers, 0 to {dim - 1}"
            )
    return {name: tuple(dims) for name, dims in given.items()}


def _kept(info: Mapping[str, Any]) -> dict[str, Any]:
    """What of an environment's info everybody understands: whether it was a success."""
    return next(({"success": bool(info[key])} for key in _SUCCESS if key in info), {})
