"""Recordings in flat HDF5 files, one row a step, episodes one after the other: D4RL's layout, of any robot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from autonomy.data.columns import Names, columns, recordings
from autonomy.data.labels import Labels, check_key, check_labels
from autonomy.data.source import Reading, Recording, paths_of, read_all
from autonomy.types import Demonstrations, UserError

ENDS = ("terminals", "timeouts")


class HDF5Source:
    """Demonstrations of any robot from one or several HDF5 files in D4RL's layout.

    `states` and `actions` name datasets (N, width) or (N,), in groups as in `infos/qpos`; several of them are laid side
    by side. An episode ends after a row in which `terminals` (N,) or `timeouts` (N,) is not 0; rows after the last end
    are an episode too. `intents` names labels (N,), see `own_labels`; `reading` is how a world reads its recordings,
    None where nothing is known but the numbers. Actions are in the robot's units. `load` raises `UserError` for files
    that are missing or damaged, and for datasets that are missing or of another shape.
    """

    def __init__(
        self,
        path: str | list[str] | None,
        states: Names = "observations",
        actions: Names = "actions",
        intents: str | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._files, self._reading = paths_of(path), reading
        self._states, self._actions, self._intents = states, actions, check_key(intents)

    def load(self) -> Demonstrations:
        """Every episode of every file, in order. Raises `UserError` when no file holds the labels asked for."""
        found = [recording for file in self._files for recording in self._recordings(file)]
        check_found(self._files, self._intents, [recording.labels for recording in found])
        source = "hdf5: " + ", ".join(file.name for file in self._files)
        return read_all(found, source, self._reading, self._intents)

    def _recordings(self, file: Path) -> Iterator[Recording]:
        with opened(file) as content:
            states = columns(str(file), "states", self._states, lambda name: dataset(content, name))
            actions = columns(str(file), "actions", self._actions, lambda name: dataset(content, name))
            ends = {name: dataset(content, name) for name in ENDS}
        found = {name: array for name, array in ends.items() if array is not None}
        shapes = {array.shape for array in found.values()} - {(len(actions),), (len(actions), 1)}
        if len(states) != len(actions) or not found or shapes:
            raise UserError(
                f"{file}: {len(states)} states, {len(actions)} actions and {' and '.join(found) or 'no ends'}; a row "
                "has one of each, and an episode ends where terminals (N,) or timeouts (N,) is not 0"
            )
        if not len(actions):
            raise UserError(f"{file} holds no row; a row is a step, and there must be one")
        labels = None if self._intents is None else own_labels(file, self._intents, len(actions))
        return recordings(str(file), states, actions, stops_of(found), labels)


def stops_of(ends: dict[str, NDArray[Any]]) -> list[int]:
    """The rows before which episodes stop: after each in which one of `ends` (N,) is not 0, and at the last."""
    either = np.logical_or.reduce([array.reshape(-1) != 0 for array in ends.values()])
    return [*(np.flatnonzero(either[:-1]) + 1).tolist(), len(either)]


def dataset(content: h5py.File, name: str) -> NDArray[Any] | None:
    """The array of that name, None where there is none."""
    item = content.get(name)
    return np.asarray(item) if isinstance(item, h5py.Dataset) else None


def own_labels(file: Path, key: str, steps: int) -> Labels | None:
    """The labels in the dataset `key`: (N,) whole numbers, -1 for none; None when the file lacks it.

    Their names are in its attribute `names`, or else 0, 1, ... Raises `UserError` for labels that do not fit.
    """
    with opened(file) as content:
        column = dataset(content, key)
        given = None if column is None else content[key].attrs.get("names")
    if column is None:
        return None
    if given is None:
        return check_labels(f"{file}: {key}", column, [steps])
    names = (name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in np.ravel(given))
    return check_labels(f"{file}: {key}", column, [steps], tuple(names))


def check_found(files: list[Path], intents: str | None, labels: list[Labels | None]) -> None:
    """Raise `UserError` when labels were asked for and no file has them."""
    if intents is None or any(entry is not None for entry in labels):
        return
    with opened(files[0]) as content:
        whole = [key for key, item in content.items() if isinstance(item, h5py.Dataset) and item.dtype.kind in "iu"]
    raise UserError(
        f"no dataset {intents!r} in {', '.join(map(str, files))}; data.intents names one of "
        f"whole numbers (N,), and the first file has {', '.join(whole) or 'none'}"
    )


@contextlib.contextmanager
def opened(file: Path, layout: str = "data.path takes HDF5 files") -> Iterator[h5py.File]:
    """The file, open to read. Raises `UserError` when it is missing, and when it turns out to be damaged."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; {layout}")
    try:
        with h5py.File(file, "r") as content:
            yield content
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: damaged, truncated or no HDF5 file ({reason}); {layout}") from error
