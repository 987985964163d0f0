"""The seam that everything in `eval` plays on: environments side by side, and what playing needs to know of them."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from autonomy.types import ActionBox, Array, UserError


@dataclasses.dataclass(frozen=True)
class Score:
    """What the summed reward of an episode is called, and its range: None where it has no bound."""

    name: str = "return"
    low: float | None = None
    high: float | None = None


def at_least_one(what: str, value: Any) -> int:
    """The value. Raises `UserError` unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{what} must be a whole number of at least 1, got {value!r}")
    return value


class Moved(NamedTuple):
    """What a step of R environments gives: `states` (R, S), `rewards` (R,), and which episodes came to an end, (R,).

    `ended`: by success or failure; `late`: by the environment's own limit of time.
    """

    states: Array
    rewards: NDArray[np.float64]
    ended: NDArray[np.bool_]
    late: NDArray[np.bool_]


class World(VecEnv, abc.ABC):
    """`n` environments in this process as a vector environment of Stable-Baselines3; actions are in [-1, 1].

    An episode ends when the environment says so or, truncated, after `limit` steps; the next one then begins, and
    `infos[i]["terminal_observation"]` is what the last one ended with. Every info has the `period`, the
    episode's `seed` and `completed`, the tasks done so far in their order, and may have `success`.

    After `stage(seeds)` and a reset, environment i plays the episode `seeds[i]` and then stands still, as do those
    beyond the end of the list: the physics rests, and observation and info stay those of the episode's start.

    A state or reward that is not finite ends its episode: `world_error` in the info says so, the state of its start
    stands in for it, and the other environments go on. Raises `UserError` for an episode that begins with one.

    `tasks`: their names, () where there is only a reward. `score`: what an episode's reward is. `period`: seconds a
    decision. `labels`: the names of the action's dimensions, and `box` what -1 and 1 stand for. `channels`: names for
    sets of them. `simulators`: what operators read of each environment.
    """

    tasks: tuple[str, ...] = ()
    score = Score()
    period: float = 0.05
    labels: tuple[str, ...]
    box: ActionBox
    channels: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    simulators: Sequence[Any]

    def __init__(self, n: int, states: int, labels: Sequence[str], limit: int | None) -> None:
        self.labels, self._limit = tuple(labels), limit
        self.box = ActionBox.unit(len(self.labels))
        self._steps = np.zeros(n, np.int64)
        self._generators = [np.random.default_rng() for _ in range(n)]
        self._staged: list[int | None] | None = None
        self._resting = np.zeros(n, np.bool_)
        self._last = np.zeros((n, states), np.float32)
        self._actions = np.zeros((n, len(self.labels)), np.float32)
        self._faults: dict[int, dict[str, str]] = {}
        super().__init__(
            n,
            gymnasium.spaces.Box(-np.inf, np.inf, (states,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (len(self.labels),), np.float32),
        )

    @abc.abstractmethod
    def _start(self, rows: Sequence[int], seeds: Sequence[int]) -> Array:
        """Begin the episodes `seeds` in the environments `rows`; states (R, S)."""

    @abc.abstractmethod
    def _move(self, rows: Sequence[int], actions: NDArray[Any]) -> Moved:
        """One step of the environments `rows` by actions (R, D)."""

    @abc.abstractmethod
    def _info(self, row: int) -> dict[str, Any]:
        """What is known of the environment's episode now, its `seed` among it."""

    def stage(self, seeds: Sequence[int]) -> None:
        """Have these episodes, at most one an environment, played from the next reset on."""
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
        states, rewards, dones = self._last.copy(), np.zeros(self.num_envs, np.float32), ~self._resting
        infos = [dict(self.reset_infos[row]) for row in range(self.num_envs)]
        self._steps[rows] += 1
        if rows:
            moved = self._sound(self._move(rows, self._actions[rows]), rows)
            states[rows], rewards[rows] = moved.states, moved.rewards
            late = moved.late | self._over(rows)
            dones[rows] = moved.ended | late
            for i, row in enumerate(rows):
                infos[row] = {
                    **self._known(row),
                    "TimeLimit.truncated": bool(late[i] and not moved.ended[i]),
                }
                infos[row] |= self._faults.pop(row, {})
        ended = [row for row in rows if dones[row]]
        for row in ended:
            infos[row]["terminal_observation"] = states[row].copy()
        self._follow(ended)
        states[ended] = self._last[ended]
        return states, rewards, dones, infos

    def _over(self, rows: Sequence[int]) -> NDArray[np.bool_]:
        """Whose episodes have lasted as long as they may, (R,)."""
        return np.zeros(len(rows), np.bool_) if self._limit is None else self._steps[rows] >= self._limit

    def _sound(self, moved: Moved, rows: Sequence[int]) -> Moved:
        """The step with the episodes ended whose states or rewards are not finite; those are noted in `_faults`."""
        broken = ~(np.isfinite(moved.states).all(1) & np.isfinite(moved.rewards))
        if not broken.any():
            return moved
        rows_of = np.asarray(rows)
        for row in rows_of[broken].tolist():
            self._faults[row] = {"world_error": f"state or reward is not finite in step {self._steps[row]}"}
        states = np.where(broken[:, None], self._last[rows_of], moved.states).astype(np.float32)
        return Moved(states, np.where(broken, 0.0, moved.rewards), moved.ended | broken, moved.late)

    def _follow(self, rows: list[int]) -> None:
        """What comes after the episodes of `rows`: rest, or new episodes."""
        if self._staged is not None:
            self._resting[rows] = True
        elif rows:
            self._begin(rows, [int(self._generators[row].integers(2**31)) for row in rows])

    def _begin(self, rows: Sequence[int], seeds: Sequence[int]) -> None:
        states = self._start(rows, seeds)
        if not np.isfinite(states).all():
            raise UserError(f"an episode begins with a state that is not finite; its seed is one of {list(seeds)}")
        self._last[rows], self._steps[rows] = states, 0
        for row in rows:
            self.reset_infos[row] = self._known(row)

    def _known(self, row: int) -> dict[str, Any]:
        return {"completed": (), "period": self.period, **self._info(row)}

    def _first_seed(self, row: int) -> int:
        """The seed that `seed()` has set, or the next one of the environment's own generator."""
        seed = self._seeds[row]
        if seed is None:
            return int(self._generators[row].integers(2**31))
        self._generators[row] = np.random.default_rng(seed)
        return seed

    def frame(self, row: int) -> NDArray[np.uint8]:
        """What a camera sees of an environment, (height, width, 3), where the world was made with one."""
        return np.asarray(self.simulators[row].render(), np.uint8)

    def get_images(self) -> Sequence[Any]:
        return [self.frame(row) for row in range(self.num_envs)]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(simulator, attr_name) for simulator in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for simulator in self._chosen(indices):
            setattr(simulator, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **options: Any) -> list[Any]:
        return [getattr(simulator, method_name)(*args, **options) for simulator in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        return [False for _ in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> Iterable[Any]:
        return [self.simulators[index] for index in self._get_indices(indices)]
