"""Proxy operators: who moves the operator's dimensions when no person does.

One object serves B environments; what it remembers is kept per environment, and draws come from the generator of the
environment's episode, so an episode is the same whatever runs beside it. Actions are (B, D) float32 in [-1, 1].
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from autonomy.types import Array, Demonstrations, Episode, Mask, Operator, UserError


class ProxyOperator(Operator, abc.ABC):
    """What the operators below share: a name for reports, and no plan unless they say so."""

    def __init__(self, name: str) -> None:
        self.name = name

    def intent(self, index: int) -> tuple[str, ...]:
        return ()


class Policy(Protocol):
    """Anything with Stable-Baselines3's `predict`: an SB3 agent or one of our assistants."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[Any], Any]: ...


class PolicyOperator(ProxyOperator):
    """A learned policy, asked for full autonomy.

    A policy whose `observation_space` is a Box, such as an SB3 agent trained without an operator, is given the states
    (B, S); any other one is given an assistant's dict with an empty mask. Raises `UserError` when the policy's actions
    are not (`dim`,) or its states are not as wide as the environment's.
    """

    def __init__(self, policy: Policy, dim: int, name: str = "policy") -> None:
        super().__init__(name)
        actions = getattr(policy, "action_space", None)
        if actions is not None and actions.shape != (dim,):
            raise UserError(f"the operator's policy must act in {dim} dimensions, its action space is {actions}")
        self._policy, self._dim = policy, dim
        self._space = getattr(policy, "observation_space", None)
        self._state: Any = None
        self._fresh: set[int] = set()

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._fresh.add(index)

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        start = np.isin(np.arange(len(states)), list(self._fresh))
        self._fresh.clear()
        actions, self._state = self._policy.predict(self._observe(states), self._state, start, deterministic=True)
        return np.asarray(actions, np.float32)

    def _observe(self, states: Array) -> Array | Mapping[str, NDArray[Any]]:
        plain = isinstance(self._space, spaces.Box)
        expected = self._space if plain else self._space["state"] if isinstance(self._space, spaces.Dict) else None
        if expected is not None and expected.shape != states.shape[1:]:
            shapes = f"{expected.shape}, the environment's are {states.shape[1:]}"
            raise UserError(f"the operator's policy takes states of shape {shapes}")
        if plain:
            return states
        nothing = np.zeros((len(states), self._dim), np.float32)
        return {"state": states, "operator_action": nothing, "operator_mask": nothing.astype(np.int8)}


class Source(Protocol):
    """Where demonstrations come from."""

    def load(self) -> Demonstrations: ...


class ReplayOperator(ProxyOperator):
    """Replays the actions of a demonstration, open loop, and holds still when they end.

    Which one is drawn anew in every episode, unless `episode` fixes it. `load(source)` gives the demonstrations with
    actions in [-1, 1], such as `autonomy.data.load.load` with the world's box; None: those of the source are. Raises
    `UserError` when there is no such demonstration, or when its actions have not `dim` dimensions.
    """

    def __init__(
        self,
        source: Source,
        dim: int,
        episode: int | None = None,
        load: Callable[[Source], Demonstrations] | None = None,
    ) -> None:
        super().__init__("replay")
        self._episodes = (source.load() if load is None else load(source)).episodes
        if not self._episodes:
            raise UserError("there is nothing to replay: the demonstrations are empty")
        if episode is not None and not 0 <= episode < len(self._episodes):
            raise UserError(f"there is no demonstration {episode} to replay; they are 0 to {len(self._episodes) - 1}")
        width = self._episodes[0].actions.shape[1]
        if width != dim:
            raise UserError(f"the demonstrations act in {width} dimensions, the environment in {dim}")
        self._dim, self._episode = dim, episode
        self._playing: dict[int, Episode] = {}
        self._step: dict[int, int] = {}

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        drawn = int(rng.integers(len(self._episodes)))
        self._playing[index] = self._episodes[drawn if self._episode is None else self._episode]
        self._step[index] = 0

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        actions = np.zeros((len(states), self._dim), np.float32)
        for i in range(len(states)):
            if self._step[i] < len(self._playing[i]):
                actions[i] = self._playing[i].actions[self._step[i]]
            self._step[i] += 1
        return actions

    def intent(self, index: int) -> tuple[str, ...]:
        return self._playing[index].completed if index in self._playing else ()


class RandomOperator(ProxyOperator):
    """Uniform actions in [-1, 1], independent from step to step."""

    def __init__(self, dim: int) -> None:
        super().__init__("random")
        self._dim = dim
        self._rng: dict[int, np.random.Generator] = {}

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._rng[index] = rng

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        return np.stack([self._rng[i].uniform(-1.0, 1.0, self._dim) for i in range(len(states))]).astype(np.float32)


class ZeroOperator(ProxyOperator):
    """Commands no motion: the joints' targets are where the joints are, so they sag under load."""

    def __init__(self, dim: int) -> None:
        super().__init__("zero")
        self._dim = dim

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        """Begin an episode, of which there is nothing to remember."""

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        return np.zeros((len(states), self._dim), np.float32)


class HoldOperator(ProxyOperator):
    """Keeps its joints where they were when the episode began: a = (q_0 - q) / `reach`, clipped to [-1, 1].

    The joint positions q are the first `dim` numbers of the state; `reach` is how far an action of 1 moves a joint's
    target in one step, by default 0.16 rad: 2 rad/s for 80 ms.
    """

    def __init__(self, dim: int, reach: float = 0.16) -> None:
        super().__init__("hold")
        if not isinstance(reach, int | float) or not reach > 0:
            raise UserError(f"the hold operator's reach must be above 0, got {reach!r}")
        self._dim, self._reach = dim, reach
        self._start: dict[int, Array] = {}

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._start.pop(index, None)

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        joints = states[:, : self._dim]
        start = [self._start.setdefault(i, row.copy()) for i, row in enumerate(joints)]
        return np.asarray(np.clip((np.stack(start) - joints) / self._reach, -1.0, 1.0), np.float32)
