"""The scripted demonstrator: does kitchen tasks in a given order, through actions alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autonomy.types import Array, Mask
from envs.kitchen.expert.phases import CLOSED, LEAVE, WORK, Jitter, Phase, from_start
from envs.kitchen.expert.scene import Camera, Scene
from envs.kitchen.expert.servo import servo
from envs.kitchen.expert.tasks import TASK_TABLE, preparation
from envs.kitchen.tasks import check_tasks

_HOLD = Phase("hold", from_start(), lambda *_: False, CLOSED)


class Expert:
    """Does the tasks of `order`, one after the other, in one episode; make a new one for the next.

    It reads the simulator's state (joints, site poses, Jacobians, bias forces), writes nothing there, and acts only
    through the actions that it returns. `jitter` (0..1): random variation of way points, tilts and speed, drawn from
    `rng`. `speed` scales the speed caps. `smooth`: weight of the previous arm action (exponential smoothing). A task
    whose object is not in place after its phases is begun again, at most `max_retries` times. Raises `UserError` for
    an unknown task.
    """

    def __init__(
        self,
        order: Sequence[str],
        rng: np.random.Generator,
        *,
        jitter: float = 0.0,
        speed: float = 1.0,
        smooth: float = 0.0,
        max_retries: int = 3,
    ) -> None:
        self.order = check_tasks(order)
        self._jitter = Jitter(jitter, rng)
        self._speed, self._smooth, self._attempts = speed, smooth, max_retries + 1
        self._camera: Camera | None = None
        self._scene: Scene | None = None
        self._previous: np.ndarray | None = None
        self._at = 0
        self._turned = False
        self._plan = self._phases()
        self.done = False
        """True once all tasks have been worked through; from then on the pose is held."""
        self.activity = ""
        """What it is doing, as "task: phase"."""

    @property
    def task(self) -> str | None:
        """The task that it is at; None once all have been worked through."""
        return None if self._at == len(self.order) else self.order[self._at]

    def turn_to(self, task: str) -> None:
        """It changes its mind: it leaves the object at hand and does `task` next; in `order` the two change places.

        Raises `ValueError` for a task that does not come after the present one.
        """
        there = self.order.index(task, self._at + 1)
        order = list(self.order)
        order[self._at], order[there] = order[there], order[self._at]
        self.order, self._turned = tuple(order), True

    def act(self, simulator: Any, held: Mask | None = None) -> Array:
        """The action (9,) in [-1, 1] for the present state of `simulator` (anything with MuJoCo's `model` and `data`).

        With `held` (9,) bool it is aware of its share: the inverse kinematics are solved for the joints held, taking
        the measured velocities of the others as given. The other dimensions are what it would do if it held all.
        """
        if self._camera is None:
            self._camera = Camera(simulator.model)
        self._scene = self._camera.take(simulator)
        phase, start = next(self._plan)
        action = servo(self._scene, phase.aim(self._scene, start), phase, self._speed, held)
        if self._previous is not None:
            action[:7] += self._smooth * (self._previous[:7] - action[:7])
        self._previous = action
        return action.astype(np.float32)

    def _now(self) -> Scene:
        assert self._scene is not None
        return self._scene

    def _phases(self) -> Iterator[tuple[Phase, Scene]]:
        """The phase of every step, with the scene in which that phase began. It looks at a new scene at every
        `next`."""
        while self.task is not None:
            yield from self._work(self.task)
        self.done, self.activity = True, "hold"
        start = self._now()
        while True:
            yield _HOLD, start

    def _work(self, name: str) -> Iterator[tuple[Phase, Scene]]:
        """Attempts, until the object is in place, there were enough of them, or its mind has changed."""
        for _ in range(self._attempts):
            yield from self._attempt(name)
            if self._turned:
                self._turned = False
                return
            if TASK_TABLE[name].in_place(self._now()):
                break
        self._at += 1

    def _attempt(self, name: str) -> Iterator[tuple[Phase, Scene]]:
        scene, came = self._now(), False
        for phase in [*preparation(name, scene), *TASK_TABLE[name].phases(scene, self._jitter)]:
            if self._turned and not (came and phase.part == LEAVE):
                continue
            came = came or phase.part == WORK
            start = self._now()
            self.activity = f"{name}: {phase.name}"
            for step in range(phase.max_steps):
                if step >= phase.min_steps and phase.done(self._now(), start):
                    break
                yield phase, start
                if self._turned and phase.part != LEAVE:
                    break
