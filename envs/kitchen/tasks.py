"""FrankaKitchen's tasks as arithmetic on object positions: what a demonstration did, whatever its stored rewards say.

Indices and goals are those of D4RL's kitchen and Gymnasium-Robotics' `FrankaKitchen-v1`. A pose (30,) is the robot's 9
joint positions (rad; the fingers in m) and the 21 object positions (rad, m; the kettle's position and quaternion).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.types import UserError

ACTION_DIM = 9
"""Action dimensions: seven joints of the arm and two fingers."""
OBSERVATIONS = {"pose": 30, "full": 59}
"""How wide each kind of observation is: the pose, or 9 joint positions and velocities, 21 and 20 of the objects."""
_POSE = np.r_[0:9, 18:39]
"""The pose in a full observation."""
THRESHOLD = 0.3
"""A task is done when the Euclidean distance of its positions to its goal is below this."""
GOALS: Mapping[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "microwave": ((22,), (-0.75,)),
    "kettle": ((23, 24, 25, 26, 27, 28, 29), (-0.23, 0.75, 1.62, 0.99, 0.0, 0.0, -0.06)),
    "bottom burner": ((11, 12), (-0.88, -0.01)),
    "top burner": ((15, 16), (-0.92, -0.01)),
    "light switch": ((17, 18), (-0.69, -0.05)),
    "slide cabinet": ((19,), (0.37,)),
    "hinge cabinet": ((20, 21), (0.0, 1.45)),
}
"""Task -> the positions in a pose that decide it, and their goal."""
TASKS = tuple(GOALS)
TASK_SETS: dict[str, tuple[str, ...]] = {
    "mixed": ("microwave", "kettle", "bottom burner", "light switch"),
    "partial": ("microwave", "kettle", "light switch", "slide cabinet"),
    "complete": ("microwave", "kettle", "light switch", "slide cabinet"),
}


def check_tasks(tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks as given. Raises `UserError` for an unknown name, a repeated one or none at all."""
    tasks = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    unknown = [task for task in tasks if task not in TASKS]
    if unknown:
        raise UserError(f"unknown task {unknown[0]!r}; the valid tasks are {', '.join(TASKS)}")
    if not tasks or len(set(tasks)) != len(tasks):
        raise UserError(f"tasks {list(tasks)} must be one or more different ones of {', '.join(TASKS)}")
    return tasks


def resolve_tasks(tasks: str | Sequence[str]) -> tuple[str, ...]:
    """A task set's name or a list of tasks -> tasks in canonical order. Raises `UserError` for an unknown name."""
    if isinstance(tasks, str):
        if tasks not in TASK_SETS:
            raise UserError(f"unknown task set {tasks!r}; the valid ones are {', '.join(TASK_SETS)}")
        tasks = TASK_SETS[tasks]
    return tuple(sorted(check_tasks(tasks), key=TASKS.index))


def pose_of(observations: NDArray[Any]) -> NDArray[Any]:
    """The poses (..., 30) in observations (..., 30), which are poses already, or (..., 59)."""
    return observations if observations.shape[-1] == OBSERVATIONS["pose"] else observations[..., _POSE]


def concerns(obs: str) -> dict[str, tuple[int, ...]]:
    """Map each task to the dimensions of an observation, `obs` "pose" or "full", whose positions it changes."""
    shift = 0 if obs == "pose" else 9  # the robot's velocities come between its positions and the objects'
    return {task: tuple(index + shift for index in indices) for task, (indices, _) in GOALS.items()}


def done(poses: NDArray[Any]) -> NDArray[np.bool_]:
    """Which tasks are at their goal: poses (T, 30) -> (T, 7), in the order of `TASKS`."""
    gaps = [poses[:, list(indices)].astype(np.float64) - goal for indices, goal in GOALS.values()]
    return np.stack([np.linalg.norm(gap, axis=1) < THRESHOLD for gap in gaps], axis=1)


def completed(poses: NDArray[Any]) -> tuple[str, ...]:
    """The tasks that an episode with `poses` (T, 30) completed, in order; in one step, in the order of `TASKS`.

    A task completes when it comes to its goal for the first time: one that was there from the start was nobody's work.
    """
    return tuple(TASKS[task] for task in _arrivals(poses)[0])


def next_tasks(poses: NDArray[Any], steps: int) -> NDArray[np.int64]:
    """Return for each of `steps` steps the task that completes next: (steps,) indices into `TASKS`, -1 for none.

    `poses` (steps or steps + 1, 30) are those before each step and, where it is known, the one after the last. The step
    that brings a task to its goal is still for that task. Tasks complete as in `completed`.
    """
    tasks, rows = _arrivals(poses)
    return np.append(tasks, -1)[np.searchsorted(rows, np.arange(steps))]


def _arrivals(poses: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tasks that complete, in order, and the rows from which the step starts that completes them, both (C,)."""
    at_goal = done(poses)
    arrived = at_goal[1:] & ~at_goal[:-1]
    tasks = np.flatnonzero(arrived.any(axis=0))
    rows = np.array([np.argmax(arrived[:, task]) for task in tasks], np.int64)
    order = np.argsort(rows, kind="stable")
    return tasks[order], rows[order]
