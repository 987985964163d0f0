"""Recordings in NumPy's npz files: one row a step, episodes one after the other."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonomy.data.columns import Names, columns, recordings
from autonomy.data.labels import Labels, check_key, check_labels
from autonomy.data.source import Reading, Recording, paths_of, read_all
from autonomy.types import Demonstrations, UserError


class NpzSource:
    """Demonstrations of any robot from one or several npz files.

    `states` and `actions` name arrays (N, width) or (N,), several of them are laid side by side; `ends` names (E,), the
    number of rows up to the end of each episode, as Diffusion Policy's `episode_ends`; a file without it is one
    episode. `intents` names labels (N,), whole numbers, -1 for none, with their names in an array of that name with
    `_names` appended, or else 0, 1, ... `reading` is how a world reads its recordings, None where nothing is known but
    the numbers. Actions are in the robot's units. Objects are never unpickled. `load` raises `UserError` for files that
    are missing or damaged, and for arrays that are missing or of another shape.
    """

    def __init__(
        self,
        path: str | list[str] | None,
        states: Names = "states",
        actions: Names = "actions",
        ends: str = "episode_ends",
        intents: str | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._files, self._reading = paths_of(path), reading
        self._states, self._actions, self._ends, self._intents = states, actions, ends, check_key(intents)

    def load(self) -> Demonstrations:
        """Every episode of every file, in order."""
        found = [recording for file in self._files for recording in self._recordings(file)]
        source = "npz: " + ", ".join(file.name for file in self._files)
        return read_all(found, source, self._reading, self._intents)

    def _recordings(self, file: Path) -> Iterator[Recording]:
        arrays = _read(file)
        states = columns(str(file), "states", self._states, arrays.get)
        actions = columns(str(file), "actions", self._actions, arrays.get)
        if len(states) != len(actions):
            raise UserError(f"{file}: {len(states)} states and {len(actions)} actions; a row has one of each")
        stops = np.asarray(arrays.get(self._ends, [len(actions)])).reshape(-1)
        valid = stops.dtype.kind in "iu" and len(stops) and (np.diff(stops, prepend=0) >= 0).all()
        if not valid or stops[-1] != len(actions):
            raise UserError(
                f"{file}: {self._ends} must be whole numbers that grow up to {len(actions)}, the number of rows"
            )
        return recordings(str(file), states, actions, stops.tolist(), self._labels(file, arrays, len(actions)))

    def _labels(self, file: Path, arrays: dict[str, NDArray[Any]], rows: int) -> Labels | None:
        if self._intents is None:
            return None
        if self._intents not in arrays:
            raise UserError(f"{file}: no {self._intents!r} in it; data.intents names one of {', '.join(arrays)}")
        given = arrays.get(f"{self._intents}_names")
        names = {} if given is None else {"names": tuple(str(name) for name in given)}
        return check_labels(f"{file}: {self._intents}", arrays[self._intents], [rows], **names)


def _read(file: Path) -> dict[str, NDArray[Any]]:
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; data.path takes npz files")
    try:
        with np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files if content[name].dtype != object}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: damaged, with Python objects in it, or no npz file ({reason})") from error
