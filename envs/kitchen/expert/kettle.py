"""Carrying the kettle to the back burner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.kitchen.expert.geometry import Pose, hand_rotation
from envs.kitchen.expert.phases import COME, LEAVE, NARROW, Jitter, Phase, Task, from_start, near, retreat
from envs.kitchen.expert.scene import Scene

_HANDLE_HEIGHT = 1.62 + 0.259
"""Height (m) of the handle's site when the kettle stands on the stove."""


@dataclass(frozen=True)
class Kettle(Task):
    """Put nearly closed fingers through the window under the handle, lift, carry forward, put down, pull out.

    The kettle hangs on the fingers like a pendulum, so it must stand before they leave. While carrying, x is steered:
    the spout would hit the microwave's corner if the kettle drifted to x < -0.28. `end` (x, y): where it should
    stand.
    """

    end: tuple[float, float] = (-0.225, 0.73)
    pitch: float = -0.25
    lift: float = 0.035
    under: float = 0.045
    steering: float = 1.5

    def in_place(self, scene: Scene) -> bool:
        x, y, z = scene.kettle
        return bool(y > 0.58 and abs(x + 0.25) < 0.15 and z < 1.66)

    def phases(self, scene: Scene, jitter: Jitter) -> Sequence[Phase]:
        v, hand = jitter.speed(), hand_rotation(jitter.shift(0.05), self.pitch + jitter.shift(0.05))
        aside, height = jitter.shifts(0.012), _HANDLE_HEIGHT + self.lift + jitter.shift(0.008) - self.under
        x_end, y_end = self.end[0] + jitter.shift(0.01), self.end[1] + jitter.shift(0.02)

        def before(now: Scene, _: Scene) -> Pose:
            return Pose(now.handles["kettle"] + [0.0, -0.11, -0.075] + aside, hand)

        def inside(now: Scene, _: Scene) -> Pose:
            return Pose(now.handles["kettle"] + [0.0, 0.045, -0.080], hand)

        def up(now: Scene, _: Scene) -> Pose:
            x, y, _z = now.handles["kettle"]
            return Pose(np.array([x, y + 0.045, height]), hand)

        def forward(now: Scene, _: Scene) -> Pose:
            x, y, _z = now.handles["kettle"]
            aim = x + np.clip(self.steering * (x_end - x), -0.04, 0.04)
            return Pose(np.array([aim, min(y + 0.105, y_end + 0.07), height]), hand)

        def down(_: Scene, start: Scene) -> Pose:
            x, y, _z = start.tool.position
            return Pose(np.array([x, y - 0.02, _HANDLE_HEIGHT - 0.085]), hand)

        def stands(now: Scene, _: Scene) -> bool:
            return bool(now.kettle[2] < 1.63 and now.tool.position[2] < now.handles["kettle"][2] - 0.062)

        return [
            Phase("approach", before, near(before, 0.03, 0.3), NARROW, 0.5 * v, part=COME),
            Phase("insert", inside, near(inside, 0.02), NARROW, 0.35 * v, max_steps=20),
            Phase("lift", up, lambda now, _: bool(now.kettle[2] > 1.635), NARROW, 0.3 * v, max_steps=8),
            Phase("carry", forward, lambda now, _: bool(now.kettle[1] > y_end - 0.05), NARROW, 0.35 * v, max_steps=45),
            Phase("put down", down, stands, NARROW, 0.3, min_steps=2, max_steps=10, part=LEAVE),
            retreat(from_start((0.0, -0.17, 0.0)), NARROW, 0.5 * v, max_steps=15),
        ]
