"""A person at a device is an operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autonomy.types import Array, Mask, UserError
from eval.cockpit.devices import DeadMan, Reading
from eval.cockpit.steering import Steering
from eval.episodes import PERSON


class Person:
    """The operator of one environment whose commands come from a device, by way of a dead man's switch and a steering.

    `mask` (D,) is what the person holds; `reading` is what the device said when it was last asked.
    """

    name = PERSON

    def __init__(self, pilot: DeadMan, steering: Steering, mask: Mask) -> None:
        self._pilot, self._steering, self.mask = pilot, steering, mask
        self.reading = Reading(np.zeros(len(steering.labels), np.float32), "", None)

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        """A person makes no plan that could be drawn."""
        self.mask = mask

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        """Read the device; the action (1, D). Raises `UserError` for more than one environment."""
        if len(states) != 1:
            raise UserError(f"a person drives one environment, not {len(states)} at once")
        self.reading = self._pilot.read()
        return self._steering.action(self.reading.values, next(iter(simulators), None), self.mask)[None]

    def intent(self, index: int) -> tuple[str, ...]:
        """What a person is after is not known."""
        return ()
