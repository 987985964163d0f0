"""FrankaKitchen's tasks as arithmetic on object positions: what a demonstration did, whatever its stored rewards say.

Indices and goals are those of D4RL's kitchen and Gymnasium-Robotics' `FrankaKitchen-v1`. A pose (30,) is the robot's 9
joint positions (rad; the fingers in m) and the 21 object positions (rad, m; the kettle's position and quaternion).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.types import UserError

POSE_DIM, FULL_DIM, ACTION_DIM = 30, 59, 9
OBSERVATIONS = ("pose", "full")
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


def check_tasks(tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks as a tuple. Raises `UserError` for an unknown one, and for none."""
    tasks = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    if not tasks:
        raise UserError(f"tasks are none at all; the valid tasks are {', '.join(TASKS)}")
    unknown = [task for task in tasks if task not in GOALS]
    if unknown:
        raise UserError(f"unknown task {unknown[0]!r}; the valid tasks are {', '.join(TASKS)}")
    return tasks


def poses(observations: NDArray[Any]) -> NDArray[Any]:
    """The poses (T, 30) in observations (T, 30), which are poses already, or (T, 59): robot q, dq, objects' q, dq."""
    if observations.shape[1] == POSE_DIM:
        return observations
    return np.concatenate([observations[:, 0:9], observations[:, 18:39]], axis=1)


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
