"""Habits of people: wrappers round the expert, or round each other, that let it change its mind and pause.

As in `envs.imperfections`, a habit draws from a generator of its own, so that without the habit the episode is the
expert's, bit for bit. What a habit does is not done to single actions but to the expert: its plan changes, or its clock
stands still. An imperfection may be put round a habit; not the other way round.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from autonomy.types import Array, Operator, UserError
from envs.imperfections import Spells, Wrapper, probability


@runtime_checkable
class Planner(Operator, Protocol):
    """An operator that works through a plan, task by task, and can be led: the expert, or a habit round it."""

    name: str

    def task(self, index: int) -> str | None:
        """The task that it is at in environment `index`; None when the plan has been worked through."""
        ...

    def turn_to(self, index: int, task: str) -> None:
        """Leave the task at hand for `task`, which must come later in the plan; the two change places there."""
        ...

    def pause(self, index: int) -> None:
        """Command 0 in the next step and go on after it."""
        ...


class Habit(Wrapper):
    """Leads a planner: what it does next is decided before it is asked for its actions.

    Raises `UserError` for an operator that cannot be led.
    """

    def __init__(self, operator: Planner, label: str) -> None:
        if not isinstance(operator, Planner):
            name = getattr(operator, "name", type(operator).__name__.lower())
            kind = label.split("-")[0]
            raise UserError(f"the {kind} operator must be round expert, wandering or hesitant, got {name!r}")
        super().__init__(operator, label)
        self._planner = operator

    def act(self, states: Array, simulators: Sequence[Any]) -> Array:
        for index, simulator in enumerate(simulators):
            self._decide(index, simulator)
        return self._operator.act(states, simulators)

    def task(self, index: int) -> str | None:
        return self._planner.task(index)

    def turn_to(self, index: int, task: str) -> None:
        self._planner.turn_to(index, task)

    def pause(self, index: int) -> None:
        self._planner.pause(index)

    @abc.abstractmethod
    def _decide(self, index: int, simulator: Any) -> None:
        """Lead the planner in environment `index`, or leave it alone."""


class Wandering(Habit):
    """With probability `p` a step it changes its mind in the middle of a task.

    It leaves the object and turns to another task that is not completed, each as likely; the task that it has left
    takes that one's place in the plan, so all may be done in the end. `intent` is the plan as it is now. While it is
    only leaving a completed task, or has one task left, there is nothing to change.
    """

    def __init__(self, operator: Planner, p: float) -> None:
        self._p = probability(p, "wandering")
        super().__init__(operator, f"wandering-{p:g}")

    def _decide(self, index: int, simulator: Any) -> None:
        rng, plan, task = self._rng[index], self._planner.intent(index), self._planner.task(index)
        if rng.random() >= self._p or task is None or task in simulator.completed:
            return
        others = [other for other in plan[plan.index(task) + 1 :] if other not in simulator.completed]
        if others:
            self._planner.turn_to(index, others[rng.integers(len(others))])


class Hesitant(Habit):
    """It pauses for `spell` steps: its command is 0, and then it goes on where it was.

    A pause begins with probability `p` at every step that is not in one, and with probability `p_task` as soon as it
    is at another task, the first one included. Unlike with `DropOut` it does not lose the steps of its script that fall
    into a spell.
    """

    def __init__(self, operator: Planner, p: float, p_task: float = 0.5, spell: int = 10) -> None:
        self._p, self._p_task = probability(p, "hesitant"), probability(p_task, "hesitant", "p_task")
        self._spells = Spells(spell, "hesitant")
        super().__init__(operator, f"hesitant-{p:g}")
        self._task: dict[int, str | None] = {}

    def _begin(self, index: int) -> None:
        self._spells.end(index)
        self._task[index] = None

    def _decide(self, index: int, simulator: Any) -> None:
        task = self._planner.task(index)
        new = task is not None and task != self._task[index]
        self._task[index] = task
        if self._spells.on(index, self._p_task if new else self._p, self._rng[index]):
            self.pause(index)
