"""What every data source shares: the one method, and the checks on its rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autonomy.data import kitchen
from autonomy.data.labels import Labels, unify
from autonomy.types import ActionBox, Demonstrations, Episode, UserError


class Source(Protocol):
    """Where demonstrations come from. Its constructor's signature is its configuration."""

    def load(self) -> Demonstrations:
        """All episodes. Raises `UserError` for data that are missing, damaged, of the wrong shape or out of range."""
        ...


def paths_of(name: str, path: str | Path | Iterable[str] | None) -> list[Path]:
    """The files of data.path, one or several. Raises `UserError`, which calls the source `name`, when there is none."""
    files = [path] if isinstance(path, str | Path) else list(path) if isinstance(path, Iterable) else []
    if not files or not all(isinstance(file, str | Path) for file in files):
        raise UserError(f"data={name} needs data.path=FILE or data.path=[FILE,FILE]")
    return [Path(file).expanduser() for file in files]


def check_actions(where: str, actions: NDArray[Any]) -> None:
    """Raise `UserError` unless the actions (T, D) are finite and in [-1, 1]; `where` names them in the sentence."""
    wrong = np.argwhere(~np.isfinite(actions) | (np.abs(actions) > 1.0))
    if len(wrong):
        row, dim = wrong[0]
        raise UserError(
            f"{where}: action {actions[row, dim]:g} in row {row}, dimension {dim}; "
            "valid actions are finite numbers between -1 and 1"
        )


def check_observations(where: str, observations: NDArray[Any]) -> None:
    """Raise `UserError` unless the observations (T, S) are finite."""
    wrong = np.argwhere(~np.isfinite(observations))
    if len(wrong):
        row, dim = wrong[0]
        raise UserError(
            f"{where}: observation {observations[row, dim]:g} in row {row}, dimension {dim}; "
            "valid observations are finite numbers"
        )


def make_episode(observations: NDArray[Any], actions: NDArray[Any], obs: str) -> Episode:
    """An episode from observations (T, S) or, with the one after the last action, (T + 1, S), and actions (T, D).

    The tasks are relabelled from all the observations: the step that ends an episode shows only in the last one.
    """
    poses = kitchen.poses(observations)
    states = (poses if obs == "pose" else observations)[: len(actions)]
    return Episode(
        np.ascontiguousarray(states, dtype=np.float32),
        np.ascontiguousarray(actions, dtype=np.float32),
        kitchen.completed(poses),
    )


def next_tasks(observations: NDArray[Any], steps: int) -> Labels:
    """The labels that the object positions in observations (steps or steps + 1, S) give: the task completed next."""
    return Labels(kitchen.next_tasks(kitchen.poses(observations), steps), kitchen.TASKS)


def concerns_of(intents: str | None, obs: str) -> Mapping[str, tuple[int, ...]]:
    """What the labels are about: known of `next_tasks`, the labels without `intents`, and not of a data set's own."""
    return kitchen.concerns(obs) if intents is None else {}


def make_demonstrations(
    episodes: Iterable[tuple[Episode, Labels | None]],
    tasks: tuple[str, ...],
    source: str,
    concerns: Mapping[str, tuple[int, ...]],
    box: ActionBox | None = None,
) -> Demonstrations:
    """Demonstrations of at least one episode, each with its labels or None. Raises `UserError` when there is none."""
    pairs = list(episodes)
    if not pairs:
        raise UserError(f"{source} holds no episode of two steps or more; demonstrations need at least one")
    intents, names = unify([labels for _, labels in pairs])
    labelled = (dataclasses.replace(e, intents=values) for (e, _), values in zip(pairs, intents, strict=True))
    return Demonstrations(tuple(labelled), tasks, source, names, concerns, box)
