"""What every data source shares: the one method, and how a world reads its own recordings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from autonomy.data.labels import Labels, unify
from autonomy.types import ActionBox, Demonstrations, Episode, UserError


class Source(Protocol):
    """Where demonstrations come from. Its constructor's signature is its configuration."""

    def load(self) -> Demonstrations:
        """All episodes. Raises `UserError` for data that are missing, damaged, of the wrong shape or out of range."""
        ...


class Reading(Protocol):
    """What a world knows of its own recordings and a file does not say.

    `tasks`: those that a person cares for. `intents`: the names of the labels that it gives to steps. `concerns`: which
    dimensions of the state they are about. `box`: what actions in [-1, 1] stand for, None where they are recorded in
    the robot's units.
    """

    @property
    def tasks(self) -> tuple[str, ...]: ...
    @property
    def intents(self) -> tuple[str, ...]: ...
    @property
    def concerns(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def box(self) -> ActionBox | None: ...

    def episode(self, where: str, observations: NDArray[Any], actions: NDArray[Any]) -> Episode:
        """The episode of observations (T or T + 1, S) and actions (T, D), with its labels.

        Raises `UserError`, which says `where` they are from, for rows that are no recording of this world.
        """
        ...


class PlainReading:
    """Observations are states, and nothing is known of tasks."""

    tasks: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()
    concerns: Mapping[str, tuple[int, ...]] = {}
    box: ActionBox | None = None

    def episode(self, where: str, observations: NDArray[Any], actions: NDArray[Any]) -> Episode:
        """The episode of observations (T or T + 1, S), of which the first T are the states, and actions (T, D)."""
        states = np.ascontiguousarray(observations[: len(actions)], np.float32)
        return Episode(states, np.ascontiguousarray(actions, np.float32))


class Recording(NamedTuple):
    """An episode as a file has it: observations (T or T + 1, S), actions (T, D), its own labels, and where it lies."""

    where: str
    observations: NDArray[Any]
    actions: NDArray[Any]
    labels: Labels | None = None


def paths_of(path: str | Path | Iterable[str] | None) -> list[Path]:
    """The files of data.path, one or several. Raises `UserError` when there is none."""
    files = [path] if isinstance(path, str | Path) else list(path) if isinstance(path, Iterable) else []
    if not files or not all(isinstance(file, str | Path) for file in files):
        raise UserError(f"data.path is {path!r}; give data.path=FILE or data.path=[FILE,FILE]")
    return [Path(file).expanduser() for file in files]


def read_all(
    recordings: Iterable[Recording], source: str, reading: Reading | None = None, own: str | None = None
) -> Demonstrations:
    """The demonstrations that `recordings` are by `reading`, None for `PlainReading`.

    `own` names the recordings' own labels, which then count instead of those that the reading gives; episodes without
    them have none. Raises `UserError` when there is no recording at all.
    """
    reading = reading or PlainReading()
    pairs = [_read(recording, reading, own is not None) for recording in recordings]
    if not pairs:
        raise UserError(f"{source} holds no episode of two steps or more; demonstrations need at least one")
    intents, names = unify([labels for _, labels in pairs])
    labelled = (dataclasses.replace(e, intents=values) for (e, _), values in zip(pairs, intents, strict=True))
    concerns = {} if own is not None else reading.concerns
    return Demonstrations(tuple(labelled), reading.tasks, source, names, concerns, reading.box)


def _read(recording: Recording, reading: Reading, own: bool) -> tuple[Episode, Labels | None]:
    episode = reading.episode(recording.where, recording.observations, recording.actions)
    if own:
        return episode, recording.labels
    return episode, None if episode.intents is None else Labels(episode.intents, reading.intents)
