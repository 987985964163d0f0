"""Lapses: spells in which some dimensions do not do what the demonstrator means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autonomy.types import Array, Mask, UserError
from envs.kitchen.expert.expert import Expert
from envs.kitchen.tasks import TASKS

_PARTS = (slice(0, 3), slice(0, 4), slice(4, 7), slice(0, 7), slice(7, 9), slice(4, 9))
"""What an assistant that errs may hold: base, shoulder, wrist, arm, fingers, hand."""
_FINGERS = slice(7, 9)


@dataclass(frozen=True)
class Lapses:
    """The faults of an imperfect partner, executed in demonstrations whose recorded actions stay the expert's intent.

    With probability `rate` a step (while none is on) a lapse of `steps[0]` to `steps[1]` steps begins, on a part of the
    arm or on dimensions drawn one by one. With probability `distracted` those dimensions follow another expert, who is
    after a task of its own (the assistant that guessed the wrong intent); else they are off by a constant
    ~ N(0, `offset`), three times that on the fingers. The idea is DART's (Laskey et al., 2017, arXiv:1703.09327):
    let the demonstrator visit the states that the learner's errors lead to. Raises `UserError` for a probability
    outside [0, 1], a negative offset or an empty range of steps.
    """

    rate: float = 0.04
    steps: tuple[int, int] = (3, 12)
    distracted: float = 0.6
    offset: float = 0.25

    def __post_init__(self) -> None:
        if not (0 <= self.rate <= 1 and 0 <= self.distracted <= 1 and self.offset >= 0):
            raise UserError(f"lapses need probabilities between 0 and 1 and an offset >= 0, got {self}")
        low, high = map(int, self.steps)
        object.__setattr__(self, "steps", (low, high))  # a configuration gives a list
        if not 1 <= low <= high:
            raise UserError(f"the steps of lapses must be [low, high] with 1 <= low <= high, got {[low, high]}")

    def begin(self, rng: np.random.Generator, **style: Any) -> Faults:
        """The faults of one episode. `style` is how the other expert moves, see `Expert`."""
        return Faults(self, rng, style)


class Faults:
    """The lapses of one episode: give each intended action, get the one that is executed."""

    def __init__(self, law: Lapses, rng: np.random.Generator, style: dict[str, Any]) -> None:
        self._law, self._rng, self._style = law, rng, style
        self._left = 0
        self._part: Mask = np.zeros(9, dtype=bool)
        self._rival: Expert | None = None
        self._offset = np.zeros(9, dtype=np.float32)

    def executed(self, intent: Array, simulator: Any) -> Array:
        """The action (9,) in place of `intent` (9,) at the simulator's present state; not clipped."""
        if not self._left:
            if self._rng.random() >= self._law.rate:
                return intent
            self._start()
        self._left -= 1
        wrong = self._rival.act(simulator) if self._rival else intent + self._offset
        return np.where(self._part, wrong, intent)

    def _start(self) -> None:
        low, high = self._law.steps
        self._left = int(self._rng.integers(low, high + 1))
        self._part = self._draw_part()
        self._rival = None
        if self._rng.random() < self._law.distracted:
            self._rival = Expert([str(self._rng.choice(TASKS))], self._rng, **self._style)
        else:
            self._offset = self._rng.normal(0.0, self._law.offset, 9).astype(np.float32)
            self._offset[_FINGERS] *= 3

    def _draw_part(self) -> Mask:
        if self._rng.random() < 0.5:
            return self._rng.random(9) < self._rng.uniform(0.15, 0.7)
        part = np.zeros(9, dtype=bool)
        part[_PARTS[self._rng.integers(len(_PARTS))]] = True
        return part
