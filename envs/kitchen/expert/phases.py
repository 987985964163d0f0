"""Phases: the small steps that a task is made of, and the shared ways to aim and to end one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from envs.kitchen.expert.geometry import Pose, Vector, rotation_vector
from envs.kitchen.expert.scene import Scene

OPEN, NARROW, CLOSED = 0.04, 0.015, 0.0
"""Finger openings (m)."""
COME, WORK, LEAVE = "come", "work", "leave"
"""Parts of an attempt: on the way to the object, at it, and away from it."""
Aim = Callable[[Scene, Scene], Pose]
"""(scene now, scene when the phase began) -> where the tool point should be."""
Test = Callable[[Scene, Scene], bool]


@dataclass(frozen=True)
class Phase:
    """Aim at a pose until a test holds.

    `aim` is evaluated at every step, so it follows the object. `opening`: of the fingers (m). `speed`: cap of the
    tool's (m/s). The phase lasts `min_steps` to `max_steps` decisions. `force`: what the tool should press with (N,
    world frame). `posture`: go to these joint angles (7,) instead of the pose. `part` of the attempt: an expert that
    changes its mind goes on with the phases that leave the object, if it has come to it at all.
    """

    name: str
    aim: Aim
    done: Test
    opening: float
    speed: float = 0.5
    min_steps: int = 0
    max_steps: int = 40
    force: Callable[[Scene], Vector] | None = None
    posture: Vector | None = None
    part: str = WORK


class Task(Protocol):
    """How to do one task."""

    def phases(self, scene: Scene, jitter: Jitter) -> Sequence[Phase]:
        """The phases of one attempt that begins at `scene`."""
        ...

    def in_place(self, scene: Scene) -> bool:
        """Whether the object is where it should be; stricter than the environment's own test."""
        ...


class Jitter:
    """The random variation of one episode's movements; `amount` 0 is none, 1 the most that still works."""

    def __init__(self, amount: float, rng: np.random.Generator) -> None:
        self._amount, self._rng = amount, rng

    def shift(self, scale: float) -> float:
        """A uniform offset in [-scale, scale] times the amount."""
        return float(self._amount * self._rng.uniform(-scale, scale))

    def shifts(self, scale: float) -> Vector:
        """Three of them, (3,)."""
        return np.asarray(self._amount * self._rng.uniform(-scale, scale, 3))

    def speed(self) -> float:
        """A factor between 0.7 and 1 at amount 1."""
        return float(1.0 - self._amount * self._rng.uniform(0.0, 0.3))


def near(aim: Aim, distance: float, angle: float = np.inf) -> Test:
    """Ends a phase when the tool is within `distance` (m) and `angle` (rad) of its aim."""

    def test(scene: Scene, start: Scene) -> bool:
        goal = aim(scene, start)
        return bool(
            np.linalg.norm(goal.position - scene.tool.position) < distance
            and np.linalg.norm(rotation_vector(goal.rotation @ scene.tool.rotation.T)) < angle
        )

    return test


def from_start(offset: ArrayLike = (0.0, 0.0, 0.0), back: float = 0.0) -> Aim:
    """Aims `offset` (3,) metres and `back` metres along minus the approach axis from where the phase began."""
    return lambda _, start: start.tool.shifted(offset).advanced(-back)


def retreat(aim: Aim, opening: float, speed: float = 0.5, max_steps: int = 10) -> Phase:
    """Leave the object."""
    return Phase("retreat", aim, near(aim, 0.03), opening, speed, max_steps=max_steps, part=LEAVE)
