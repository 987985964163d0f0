"""Opening things with handles: the microwave, the hinge cabinet and the slide cabinet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.kitchen.expert.geometry import Pose, Vector, about_z, hand_rotation
from envs.kitchen.expert.phases import CLOSED, COME, LEAVE, OPEN, Aim, Jitter, Phase, Task, from_start, near, retreat
from envs.kitchen.expert.scene import Scene

DOOR_AJAR = 0.3
"""From this angle (rad) on, the hinge cabinet's door hangs in front of the slide cabinet, the knobs and the lamp."""


def _let_go(scene: Scene, _: Scene) -> bool:
    """Whether the fingers are open."""
    return bool(scene.fingers.min() > 0.028)


def _fixed(position: tuple[float, float, float], rotation: Vector) -> Aim:
    """Aims at a way point that does not move."""
    pose = Pose(np.array(position), rotation)
    return lambda *_: pose


@dataclass(frozen=True)
class Door(Task):
    """A door with a vertical bar handle: straddle the bar, close the fingers, pull along the door's arc, let go.

    The hand does not turn with the door, so that one finger ends up hooked behind the bar: the fingers' 10 N alone
    would slip. `hinge`: the axis (x, y); `direction`: sign of the joint when opening; `yaw` and `yaw_gain` (per rad
    of the door), `pitch`: of the hand; `height`: of the grip over the handle's site; `lead` (rad): how far ahead of
    the handle to pull; `depth`: how far the fingertips reach past the bar; `opened`: where to let go; `enough`: what
    counts as in place. `leave`: a way point after the retreat.
    """

    name: str
    hinge: tuple[float, float]
    direction: int
    yaw: float
    yaw_gain: float
    pitch: float
    height: float
    lead: float
    depth: float
    opened: float
    enough: float
    leave: tuple[float, float, float] | None = None

    def in_place(self, scene: Scene) -> bool:
        return self.direction * scene.angles[self.name] > self.enough

    def phases(self, scene: Scene, jitter: Jitter) -> Sequence[Phase]:
        tilt, turn = jitter.shift(0.1), jitter.shift(0.08)
        raised, aside, v = jitter.shift(0.015), jitter.shifts(0.015), jitter.speed()

        def handle(now: Scene, ahead: float, depth: float) -> Pose:
            yaw = self.yaw + self.yaw_gain * now.angles[self.name] + turn
            grip = Pose(self._handle(now, ahead), hand_rotation(yaw, self.pitch + tilt))
            return grip.shifted([0.0, 0.0, raised]).advanced(depth)

        def before(now: Scene, _: Scene) -> Pose:
            return handle(now, 0.0, -0.09).shifted(aside)

        def at(now: Scene, _: Scene) -> Pose:
            return handle(now, 0.0, self.depth)

        def along(now: Scene, _: Scene) -> Pose:
            return handle(now, self.direction * self.lead, self.depth)

        def opened(now: Scene, _: Scene) -> bool:
            return self.direction * now.angles[self.name] > self.opened

        return [
            Phase("approach", before, near(before, 0.03, 0.35), OPEN, 0.5 * v, max_steps=45, part=COME),
            Phase("insert", at, near(at, 0.015), OPEN, 0.35 * v, max_steps=20),
            Phase("close", at, lambda now, _: bool(now.fingers.sum() < 0.052), CLOSED, min_steps=3, max_steps=7),
            Phase("pull", along, opened, CLOSED, 0.45 * v),
            Phase("release", from_start(), _let_go, OPEN, max_steps=6, part=LEAVE),
            retreat(from_start(back=0.11), OPEN),
            *self._leave(),
        ]

    def _handle(self, scene: Scene, ahead: float) -> Vector:
        """The grip's position (3,) when the door is `ahead` radians further."""
        handle = scene.handles[self.name]
        axis = np.array([*self.hinge, handle[2]])
        return np.asarray(axis + about_z(ahead) @ (handle - axis) + [0.0, 0.0, self.height])

    def _leave(self) -> Sequence[Phase]:
        if self.leave is None:
            return []
        way_point = _fixed(self.leave, hand_rotation())
        return [Phase("leave", way_point, near(way_point, 0.08), CLOSED, max_steps=15, part=LEAVE)]


@dataclass(frozen=True)
class SlidingDoor(Task):
    """The slide cabinet: push its vertical bar to the right with closed fingers, from the bar's left.

    When the hinge cabinet's door is ajar it hangs just left of the bar, so come from the right with the hand turned
    left.
    """

    name: str = "slide cabinet"
    opened: float = 0.37
    enough: float = 0.25

    def in_place(self, scene: Scene) -> bool:
        return scene.angles[self.name] > self.enough

    def phases(self, scene: Scene, jitter: Jitter) -> Sequence[Phase]:
        blocked = scene.angles["hinge cabinet"] > DOOR_AJAR
        v, stop, height = jitter.speed(), self.opened + jitter.shift(0.02), -0.07 + jitter.shift(0.015)
        hand = hand_rotation((0.5 if blocked else 0.0) + jitter.shift(0.06), 0.1 + jitter.shift(0.08))
        aside = np.zeros(3) if blocked else jitter.shifts(0.015)

        def beside(x: float, y: float) -> Aim:
            return lambda now, _: Pose(now.handles[self.name] + [x, y, height], hand)

        before = beside(0.0, -0.10) if blocked else beside(-0.07, -0.08)
        at, past = beside(-0.055, 0.01), beside(0.03, 0.01)

        def approach(now: Scene, start: Scene) -> Pose:
            return before(now, start).shifted(aside)

        way_point = _fixed((0.05, 0.45, 2.35), hand_rotation(0.3, 0.1))
        detour = Phase("detour", way_point, near(way_point, 0.08), CLOSED, 0.5 * v, max_steps=30, part=COME)
        return [
            *([detour] if blocked else []),
            Phase("approach", approach, near(approach, 0.03, 0.35), CLOSED, 0.5 * v, max_steps=45, part=COME),
            Phase("insert", at, near(at, 0.015), CLOSED, 0.35 * v, max_steps=15),
            Phase("push", past, lambda now, _: now.angles[self.name] > stop, CLOSED, 0.4 * v),
            retreat(from_start((0.05, -0.12, 0.0) if blocked else (-0.03, -0.10, 0.0)), CLOSED, 0.5 * v),
        ]
