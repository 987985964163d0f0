"""The noise that demonstrations are executed with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from autonomy.types import Array, UserError
from envs.kitchen.expert.geometry import Vector


def perturbed_action(action: Array, offset: np.ndarray) -> Array:
    """What is executed: the intended action (9,) plus the disturbance (9,), clipped to the action box."""
    return np.asarray(np.clip(action + offset, -1.0, 1.0), dtype=np.float32)


@dataclass(frozen=True)
class ActionNoise:
    """What is added to each of an episode's actions (cf. Laskey et al. 2017, DART).

    Every step: N(0, sigma) on all 9 dims; in the first `start_steps` steps also N(0, start_sigma) on the 7 arm dims.
    Raises `UserError` for a negative scale.
    """

    sigma: float = 0.08
    start_sigma: float = 0.3
    start_steps: int = 4

    def __post_init__(self) -> None:
        if min(self.sigma, self.start_sigma, self.start_steps) < 0:
            raise UserError(f"action noise needs scales >= 0, got {self}")

    def offsets(self, rng: np.random.Generator) -> Iterator[Vector]:
        """An endless series of offsets (9,), one a step of the episode."""
        step = 0
        while True:
            offset = rng.normal(0.0, self.sigma, 9)
            if step < self.start_steps:
                offset[:7] += rng.normal(0.0, self.start_sigma, 7)
            yield offset
            step += 1
