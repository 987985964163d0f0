"""The scripted demonstrator in the person's seat: for tests and pictures, and to see the cockpit at work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from autonomy.types import Array, UserError
from envs.kitchen.expert import Expert
from envs.kitchen.tasks import ACTION_DIM
from eval.cockpit.devices import Clock, Command

SPEED, RETRIES = 0.6, 20
"""As the proxy operator `expert`."""


class Demonstrator:
    """A device that does the tasks of `order` as a person would who sees the `simulator` and holds all joints.

    Raises `UserError` unless `width` is the number of joints: it does not steer the hand.
    """

    def __init__(self, order: Sequence[str], width: int, seed: int = 0, clock: Clock = time.monotonic) -> None:
        self.simulator: Any = None
        self._order, self._width, self._seed, self._clock = tuple(order), width, seed, clock
        self._expert: Expert | None = None
        self._time, self._values = -1.0, np.zeros(width, np.float32)
        if width != ACTION_DIM:
            raise UserError("the demonstrator moves joints of the kitchen; use it with steering=joints and a run of it")

    def read(self) -> Command:
        now = float(self.simulator.data.time)
        if now != self._time:  # asked twice at one moment, it says the same
            self._values = self._moved(now)
        return Command(self._values, self._clock())

    def _moved(self, now: float) -> Array:
        """What to do at the time `now` of the simulation."""
        if self._expert is None or now < self._time:  # another episode
            rng = np.random.default_rng(self._seed)
            self._expert = Expert(self._order, rng, speed=SPEED, max_retries=RETRIES)
        self._time = now
        return np.asarray(self._expert.act(self.simulator), np.float32)
