"""Imperfect operators: wrappers round another operator, which may itself be wrapped.

A wrapper draws from a generator of its own, spawned from the episode's: the operator inside draws what it would
alone, so episodes with and without an imperfection are paired. Whole actions (D,) are altered, one environment at a
time.

The noisy and the laggy pilot are those of Reddy, Dragan and Levine, "Shared autonomy via deep reinforcement learning"
(RSS 2018), and of Schaff and Walter, "Residual policy learning for shared autonomy" (RSS 2020).
"""

from __future__ import annotations

import abc
import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from autonomy.types import Array, Mask, Operator, UserError


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def probability(p: float, wrapper: str, name: str = "p") -> float:
    """`p`. Raises `UserError` unless it is a number between 0 and 1."""
    if not _is_number(p) or not 0.0 <= p <= 1.0:
        raise UserError(f"the {wrapper} operator's {name} must be a probability between 0 and 1, got {p!r}")
    return float(p)


def _count(k: int, least: int, what: str) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or k < least:
        raise UserError(f"{what} must be a whole number of steps, at least {least}, got {k!r}")
    return k


class Spells:
    """Spells of `steps` steps, one after the other, in many environments."""

    def __init__(self, steps: int, wrapper: str) -> None:
        self._steps = _count(steps, 1, f"the {wrapper} operator's spell")
        self._left: dict[int, int] = {}

    def end(self, index: int) -> None:
        """No spell is on in environment `index`."""
        self._left[index] = 0

    def on(self, index: int, chance: float, rng: np.random.Generator) -> bool:
        """Whether this step is in a spell; when the last one is over, one begins with probability `chance`."""
        if not self._left[index] and rng.random() < chance:
            self._left[index] = self._steps
        if not self._left[index]:
            return False
        self._left[index] -= 1
        return True


class Wrapper(Operator, abc.ABC):
    """An operator round another one, whose plan it passes on. Its `name` says both: `noisy-0.3-expert`."""

    def __init__(self, operator: Operator, label: str) -> None:
        self._operator = operator
        self.name = f"{label}-{getattr(operator, 'name', type(operator).__name__.lower())}"
        self._rng: dict[int, np.random.Generator] = {}

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        self._rng[index] = rng.spawn(1)[0]
        self._operator.reset(index, rng, mask)
        self._begin(index)

    def intent(self, index: int) -> tuple[str, ...]:
        return self._operator.intent(index)

    def _begin(self, index: int) -> None:
        """An episode begins: forget the last one, draw what is fixed for this one."""
        return


class Imperfection(Wrapper):
    """Alters another operator's actions."""

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        """The altered actions (B, D); an answer that is not one row for each of the B states is passed on as it is."""
        actions = np.asarray(self._operator.act(states, simulators), np.float32)
        if actions.ndim != 2 or len(actions) != len(states):
            return actions
        return np.stack([self._alter(i, action) for i, action in enumerate(actions)])

    @abc.abstractmethod
    def _alter(self, index: int, action: Array) -> Array:
        """What comes out (D,) when the operator in environment `index` means `action` (D,)."""


class Noisy(Imperfection):
    """With probability `p` a step's action is replaced by a uniform random one in [-1, 1]."""

    def __init__(self, operator: Operator, p: float) -> None:
        self._p = probability(p, "noisy")
        super().__init__(operator, f"noisy-{p:g}")

    def _alter(self, index: int, action: Array) -> Array:
        rng = self._rng[index]
        replace, noise = rng.random() < self._p, rng.uniform(-1.0, 1.0, action.shape)
        return noise.astype(np.float32) if replace else action


class Laggy(Imperfection):
    """With probability `p` the last action is repeated; an episode's first action always gets through."""

    def __init__(self, operator: Operator, p: float) -> None:
        self._p = probability(p, "laggy")
        super().__init__(operator, f"laggy-{p:g}")
        self._last: dict[int, Array] = {}

    def _begin(self, index: int) -> None:
        self._last.pop(index, None)

    def _alter(self, index: int, action: Array) -> Array:
        repeat = self._rng[index].random() < self._p
        if not repeat or index not in self._last:
            self._last[index] = action
        return self._last[index]


class Delayed(Imperfection):
    """Every action comes `k` steps late; until the first one arrives the operator holds still (0)."""

    def __init__(self, operator: Operator, k: int) -> None:
        self._k = _count(k, 0, "the delayed operator's k")
        super().__init__(operator, f"delayed-{k}")
        self._pending: dict[int, deque[Array]] = {}

    def _begin(self, index: int) -> None:
        self._pending[index] = deque()

    def _alter(self, index: int, action: Array) -> Array:
        pending = self._pending[index]
        pending.append(action)
        return pending.popleft() if len(pending) > self._k else np.zeros_like(action)


class Biased(Imperfection):
    """Adds a constant to every action: `offset` (D,), or one drawn per episode, N(0, `scale`^2) in each dimension."""

    def __init__(self, operator: Operator, scale: float = 0.1, offset: Sequence[float] | None = None) -> None:
        numbers = [scale] if offset is None else [scale, *offset]
        if not all(_is_number(number) for number in numbers) or scale < 0:
            raise UserError(f"the biased operator takes a scale of at least 0 and finite offsets, got {numbers}")
        super().__init__(operator, "biased" if offset is not None else f"biased-{scale:g}")
        self._scale = scale
        self._given = None if offset is None else np.asarray(list(offset), np.float32)
        self._offset: dict[int, Array] = {}

    def _begin(self, index: int) -> None:
        self._offset.pop(index, None)

    def _alter(self, index: int, action: Array) -> Array:
        if index not in self._offset:
            self._offset[index] = self._draw(index, action.shape)
        return action + self._offset[index]

    def _draw(self, index: int, shape: tuple[int, ...]) -> Array:
        if self._given is None:
            return self._rng[index].normal(0.0, self._scale, shape).astype(np.float32)
        if self._given.shape != shape:
            raise UserError(f"the biased operator's offset must have {shape[0]} numbers, got {self._given.size}")
        return self._given


class DropOut(Imperfection):
    """At every step that is not already in one, a spell of `spell` steps begins with probability `p`; the operator's
    dimensions hold still (0) during it. `spell=1` drops single steps, a share `p` of them."""

    def __init__(self, operator: Operator, p: float, spell: int = 1) -> None:
        self._p = probability(p, "drop-out")
        self._spells = Spells(spell, "drop-out")
        super().__init__(operator, f"drop-out-{p:g}")

    def _begin(self, index: int) -> None:
        self._spells.end(index)

    def _alter(self, index: int, action: Array) -> Array:
        return np.zeros_like(action) if self._spells.on(index, self._p, self._rng[index]) else action
