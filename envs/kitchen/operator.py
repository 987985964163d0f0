"""The scripted expert as an operator: it knows what it is after, and the assistant is not told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from autonomy.types import Array, Mask, UserError
from envs.kitchen.expert import Expert
from envs.kitchen.tasks import ACTION_DIM
from envs.operators import ProxyOperator


class ExpertOperator(ProxyOperator):
    """The scripted demonstrator; its task order, drawn anew in every episode, is the intent the assistant is not told.

    `order` fixes the tasks and their order. `aware`: it solves its inverse kinematics for the joints that it holds and
    takes the others' motion as given; otherwise it acts as if it held all. All else is as in
    `envs.kitchen.expert.Expert`. Raises `UserError` for no tasks, and for an order with one that is not in `tasks`.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        order: Sequence[str] | None = None,
        aware: bool = False,
        jitter: float = 0.3,
        speed: float = 0.6,
        smooth: float = 0.0,
        max_retries: int = 20,
    ) -> None:
        if not tasks:
            raise UserError("the expert operator does the kitchen's tasks, and this environment has none of them")
        super().__init__("aware-expert" if aware else "expert")
        self._tasks = tuple(tasks)
        self._order = None if order is None else self._check(order)
        self._aware = aware
        if not all(isinstance(value, int | float) for value in (speed, smooth, jitter, max_retries)) or not (
            0 < speed <= 1 and 0 <= smooth < 1 and 0 <= jitter <= 1 and max_retries >= 0
        ):
            raise UserError("speed must be in (0, 1], smooth in [0, 1), jitter in [0, 1] and max_retries at least 0")
        self._make = partial(Expert, jitter=jitter, speed=speed, smooth=smooth, max_retries=max_retries)
        self._experts: dict[int, Expert] = {}
        self._held: dict[int, Mask | None] = {}
        self._paused: set[int] = set()

    def reset(self, index: int, rng: np.random.Generator, mask: Mask) -> None:
        drawn = tuple(self._tasks[i] for i in rng.permutation(len(self._tasks)))
        self._experts[index] = self._make(drawn if self._order is None else self._order, rng)
        self._paused.discard(index)
        self._held[index] = mask.copy() if self._aware else None

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        """Raises `UserError` when the simulators are not in this process."""
        if len(simulators) != len(states):
            raise UserError("the expert operator reads the simulators, so it needs environments in this process")
        commands = np.asarray([self._command(i, simulator) for i, simulator in enumerate(simulators)], np.float32)
        self._paused.clear()
        return commands

    def intent(self, index: int) -> tuple[str, ...]:
        return self._experts[index].order if index in self._experts else ()

    def task(self, index: int) -> str | None:
        """The task that this environment's expert is at; None when it has worked through all."""
        return self._experts[index].task

    def turn_to(self, index: int, task: str) -> None:
        """This environment's expert leaves its task for `task`, see `Expert.turn_to`."""
        self._experts[index].turn_to(task)

    def pause(self, index: int) -> None:
        """The next command in this environment is 0, and the expert's clock stands still."""
        self._paused.add(index)

    def _command(self, index: int, simulator: Any) -> Array:
        if index in self._paused:
            return np.zeros(ACTION_DIM, np.float32)
        return self._experts[index].act(simulator, held=self._held[index])

    def _check(self, order: Sequence[str]) -> tuple[str, ...]:
        order = (order,) if isinstance(order, str) else tuple(order)
        if unknown := [task for task in order if task not in self._tasks]:
            valid = ", ".join(self._tasks)
            raise UserError(f"unknown task {unknown[0]!r} in the operator's order; the tasks are {valid}")
        if not order or len(set(order)) != len(order):
            raise UserError(f"the operator's order {list(order)} must be different tasks of {', '.join(self._tasks)}")
        return order
