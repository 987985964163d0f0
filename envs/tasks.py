"""The kitchen's tasks and task sets by name."""

from __future__ import annotations

from collections.abc import Sequence

from autonomy.types import UserError

TASKS = ("microwave", "kettle", "bottom burner", "top burner", "light switch", "slide cabinet", "hinge cabinet")
TASK_SETS: dict[str, tuple[str, ...]] = {
    "mixed": ("microwave", "kettle", "bottom burner", "light switch"),
    "partial": ("microwave", "kettle", "light switch", "slide cabinet"),
    "complete": ("microwave", "kettle", "light switch", "slide cabinet"),
}


def check_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks as given. Raises `UserError` for an unknown name, a repeated one or none at all."""
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise UserError(f"unknown task {unknown[0]!r}; the valid tasks are {', '.join(TASKS)}")
    if not tasks or len(set(tasks)) != len(tasks):
        raise UserError(f"tasks {list(tasks)} must be one or more different ones of {', '.join(TASKS)}")
    return tuple(tasks)


def resolve_tasks(tasks: str | Sequence[str]) -> tuple[str, ...]:
    """A task set's name or a list of tasks -> tasks in canonical order. Raises `UserError` for an unknown name."""
    if isinstance(tasks, str):
        if tasks not in TASK_SETS:
            raise UserError(f"unknown task set {tasks!r}; the valid ones are {', '.join(TASK_SETS)}")
        tasks = TASK_SETS[tasks]
    return tuple(sorted(check_tasks(tasks), key=TASKS.index))
