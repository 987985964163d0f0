"""How recordings of the kitchen are read: what was completed, and what each step was for, from object positions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.types import ActionBox, Episode, UserError
from envs.kitchen.tasks import ACTION_DIM, OBSERVATIONS, TASKS, check_tasks, completed, concerns, next_tasks, pose_of

_GOAL_DIM = 30
"""D4RL's HDF5 files have a constant goal after the pose."""


class KitchenReading:
    """What a recording of the kitchen shows, see `autonomy.data.source.Reading`.

    Observations are poses (30,), poses with D4RL's constant goal (60,), which is dropped, or with velocities (59,);
    `obs`, "pose" or "full", is what of them becomes the state. Rewards are never read: what an episode completed, and
    the task that each step is for, come from the object positions. `tasks` are those that a person cares for. Raises
    `UserError` for an unknown task or `obs`.
    """

    intents = TASKS
    box = ActionBox.unit(ACTION_DIM)

    def __init__(self, tasks: Iterable[str], obs: str = "pose") -> None:
        if obs not in OBSERVATIONS:
            raise UserError(f"unknown obs {obs!r}; the valid ones are {', '.join(OBSERVATIONS)}")
        self.tasks, self.concerns, self._obs = check_tasks(tasks), concerns(obs), obs

    def episode(self, where: str, observations: NDArray[Any], actions: NDArray[Any]) -> Episode:
        """The labelled episode of observations (T or T + 1, S) and actions (T, 9).

        The step that ends an episode shows only in the observation after it, where there is one. Raises `UserError`,
        which says `where`, for other shapes and for numbers that are out of range.
        """
        seen = self._checked(where, observations, actions)
        _check_actions(where, actions)
        poses = pose_of(seen)
        states = (poses if self._obs == "pose" else seen)[: len(actions)]
        return Episode(
            np.ascontiguousarray(states, np.float32),
            np.ascontiguousarray(actions, np.float32),
            completed(poses),
            next_tasks(poses, len(actions)),
        )

    def _checked(self, where: str, observations: NDArray[Any], actions: NDArray[Any]) -> NDArray[Any]:
        """The observations without a goal (T or T + 1, 30 or 59)."""
        pose, full = OBSERVATIONS.values()
        widths = (full,) if self._obs == "full" else (pose, full, pose + _GOAL_DIM)
        if observations.shape[1:] not in [(width,) for width in widths] or actions.shape[1:] != (ACTION_DIM,):
            raise UserError(
                f"{where}: observations {observations.shape} and actions {actions.shape}; valid widths with "
                f"obs={self._obs} are {' or '.join(map(str, widths))} and {ACTION_DIM}"
            )
        seen = observations[:, :pose] if observations.shape[1] == pose + _GOAL_DIM else observations
        wrong = np.argwhere(~np.isfinite(seen))
        if len(wrong):
            row, dim = wrong[0]
            raise UserError(f"{where}: observation {seen[row, dim]:g} in row {row}, dimension {dim}; it must be finite")
        return seen


def _check_actions(where: str, actions: NDArray[Any]) -> None:
    wrong = np.argwhere(~(np.abs(actions) <= 1.0))
    if len(wrong):
        row, dim = wrong[0]
        raise UserError(
            f"{where}: action {actions[row, dim]:g} in row {row}, dimension {dim}; "
            "valid actions are finite numbers between -1 and 1"
        )
