"""Turning things with closed fingers: the two burner knobs and the light switch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from envs.kitchen.expert.doors import DOOR_AJAR
from envs.kitchen.expert.geometry import Pose, Vector, about_z, hand_rotation
from envs.kitchen.expert.phases import CLOSED, COME, Aim, Jitter, Phase, Task, Test, from_start, near, retreat
from envs.kitchen.expert.scene import Scene

_HALF_BAR, _HALF_FINGER = 0.014, 0.017
"""Half widths (m) of a knob's bar and of the closed fingers."""


def _press(
    before: Aim, at: Aim, ahead: Aim, done: Test, force: Callable[[Scene], Vector], v: float, push: float
) -> list[Phase]:
    """Come near, touch, and press with a feed-forward force until `done`; `push` is the pressing speed (m/s)."""
    return [
        Phase("approach", before, near(before, 0.025, 0.3), CLOSED, 0.5 * v, max_steps=45, part=COME),
        Phase("insert", at, near(at, 0.012), CLOSED, 0.3 * v, max_steps=15),
        Phase("press", ahead, done, CLOSED, push * v, max_steps=30, force=force),
    ]


@dataclass(frozen=True)
class Knob(Task):
    """A burner's knob: an upright bar that turns clockwise. Sweep its upper end to the right.

    The sweep is horizontal: following the bar's arc would lift the fingers into the knob above. The knob is heavily
    damped (2 Nms/rad), so the tool presses with 50 N. With the hinge cabinet's door ajar above it, a knob that is
    `covered` is turned by its lower end, to the left.
    """

    name: str
    enough: float
    covered: bool
    turned: float = 0.88
    force: float = 50.0
    lever: float = 0.034
    lead: float = 0.6

    def in_place(self, scene: Scene) -> bool:
        return scene.angles[self.name] < -self.enough

    def phases(self, scene: Scene, jitter: Jitter) -> Sequence[Phase]:
        flip = -1.0 if self.covered and scene.angles["hinge cabinet"] > DOOR_AJAR else 1.0
        v, stop, aside = jitter.speed(), self.turned + jitter.shift(0.08), jitter.shifts(0.01)
        hand = hand_rotation(jitter.shift(0.06), (0.1 if flip < 0 else -0.18) + jitter.shift(0.06))
        lever = self.lever + jitter.shift(0.003)

        def flank(now: Scene, ahead: float, gap: float) -> Pose:
            """Where the fingers touch the bar's flank, `gap` metres short of it, when it is `ahead` radians further."""
            angle = min(ahead - now.angles[self.name], 1.2)
            x = lever * np.tan(angle) - (_HALF_BAR + _HALF_FINGER) / np.cos(angle) - gap
            return Pose(now.handles[self.name] + flip * np.array([x, 0.0, lever]), hand).shifted([0.0, -0.005, 0.0])

        def before(now: Scene, _: Scene) -> Pose:
            return flank(now, 0.0, 0.02).shifted(aside).shifted([0.0, -0.065, 0.0])

        def at(now: Scene, _: Scene) -> Pose:
            return flank(now, 0.0, 0.012)

        def ahead(now: Scene, _: Scene) -> Pose:
            return flank(now, self.lead, 0.0)

        push = np.array([flip * self.force, 0.0, 0.0])
        pressing = _press(before, at, ahead, lambda now, _: now.angles[self.name] < -stop, lambda _: push, v, push=0.45)
        return [*pressing, retreat(from_start((-0.02 * flip, -0.10, 0.0)), CLOSED, 0.5 * v)]


@dataclass(frozen=True)
class Lever(Task):
    """The light switch: a lever with an upright axis under the hood. Push its tip to the left, from the right."""

    name: str = "light switch"
    axis: tuple[float, float, float] = (-0.40, 0.6907, 2.28)
    tip: tuple[float, float] = (0.069, -0.070)
    turned: float = 0.62
    enough: float = 0.50
    force: float = 15.0
    lead: float = 0.6

    def in_place(self, scene: Scene) -> bool:
        return scene.angles[self.name] < -self.enough

    def phases(self, scene: Scene, jitter: Jitter) -> Sequence[Phase]:
        pitch = 0.0 if scene.angles["hinge cabinet"] > DOOR_AJAR else -0.2
        v, stop, aside = jitter.speed(), self.turned + jitter.shift(0.03), jitter.shifts(0.008)
        hand = hand_rotation(jitter.shift(0.06), pitch + jitter.shift(0.06))

        def beside(now: Scene, ahead: float, gap: float) -> Pose:
            """Right of the lever's tip, `gap` metres from it, when it is `ahead` radians further."""
            tip = about_z(now.angles[self.name] + ahead) @ [self.tip[0] + gap, self.tip[1], 0.0]
            return Pose(np.array(self.axis) + tip, hand)

        def before(now: Scene, _: Scene) -> Pose:
            return beside(now, 0.0, 0.015).shifted(aside).shifted([0.0, -0.07, 0.0])

        def at(now: Scene, _: Scene) -> Pose:
            return beside(now, 0.0, 0.010)

        def ahead(now: Scene, _: Scene) -> Pose:
            return beside(now, -self.lead, 0.0)

        def push(now: Scene) -> Vector:
            return np.asarray(about_z(now.angles[self.name]) @ [-self.force, 0.0, 0.0])

        pressing = _press(before, at, ahead, lambda now, _: now.angles[self.name] < -stop, push, v, push=0.3)
        return [*pressing, retreat(from_start((0.0, -0.10, 0.0)), CLOSED, 0.5 * v)]
