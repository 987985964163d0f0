"""Which tasks a demonstration does, in which order: D4RL's three mixtures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from envs.kitchen.tasks import TASK_SETS, TASKS

Order = tuple[str, ...]
TASKS_PER_DEMONSTRATION = 4
_TARGET_SHARE = 0.5
"""Share of `partial` demonstrations that do all target tasks."""


def _others(rng: np.random.Generator, target: Order) -> Order:
    """Four of the seven tasks in a random order, never all of `target`."""
    while True:
        order = tuple(str(task) for task in rng.permutation(TASKS)[:TASKS_PER_DEMONSTRATION])
        if not set(target) <= set(order):
            return order


def _mixed(rng: np.random.Generator) -> Order:
    return _others(rng, TASK_SETS["mixed"])


def _partial(rng: np.random.Generator) -> Order:
    target = TASK_SETS["partial"]
    return target if rng.random() < _TARGET_SHARE else _others(rng, target)


def _complete(rng: np.random.Generator) -> Order:
    return TASK_SETS["complete"]


MIXTURES: Mapping[str, Callable[[np.random.Generator], Order]] = {
    "mixed": _mixed,
    "partial": _partial,
    "complete": _complete,
}
"""mixed: four of the seven tasks in random order, none does all four kitchen-mixed tasks; complete: the four target
tasks, always in one order; partial: half of each kind."""
