"""D4RL's kitchen files: flat HDF5 with one row a step, episodes one after the other."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from autonomy.data import kitchen
from autonomy.data.labels import Labels, check_key, check_labels
from autonomy.data.source import (
    check_actions,
    check_observations,
    concerns_of,
    make_demonstrations,
    make_episode,
    next_tasks,
)
from autonomy.types import Demonstrations, Episode, UserError

GOAL_DIM = 30
_LAYOUT = (
    f"a D4RL kitchen file holds observations (N, {kitchen.POSE_DIM + GOAL_DIM}), actions (N, {kitchen.ACTION_DIM}) "
    "and terminals (N,) or timeouts (N,)"
)
_ENDS = ("terminals", "timeouts")


class D4RLSource:
    """Kitchen demonstrations from one or several HDF5 files in D4RL's layout; `timeouts`, `rewards`, `infos` optional.

    Observations (N, 60) are 9 robot and 21 object positions and a constant goal, which is dropped. Rewards are never
    read: what an episode completed is worked out from the object positions. Rows after the last end are an episode too.
    Labels are the task completed next, from the object positions too, or the files' own: the dataset that `intents`
    names, (N,) whole numbers, -1 for none, with names in its attribute `names` or else 0, 1, ...; episodes of a file
    that lacks it have no labels. Raises `UserError` when `obs` is "full", since the files hold no velocities.
    """

    def __init__(
        self, path: str | Iterable[str] | None, tasks: Iterable[str], obs: str = "pose", intents: str | None = None
    ) -> None:
        files = [path] if isinstance(path, str | Path) else list(path) if isinstance(path, Iterable) else []
        if not files or not all(isinstance(file, str | Path) for file in files):
            raise UserError("data=d4rl needs data.path=FILE or data.path=[FILE,FILE]")
        if obs != "pose":
            raise UserError(f"D4RL files hold no velocities, so obs={obs} is not available; the valid one is obs=pose")
        self._files = [Path(file).expanduser() for file in files]
        self._tasks = kitchen.check_tasks(tasks)
        self._intents = check_key(intents)

    def load(self) -> Demonstrations:
        """Every episode of every file, in order. Raises `UserError` when no file holds the labels asked for."""
        episodes = [pair for file in self._files for pair in _episodes(file, self._intents)]
        if all(labels is None for _, labels in episodes):
            raise UserError(
                f"no dataset {self._intents!r} in {', '.join(map(str, self._files))}; data.intents names one of "
                f"whole numbers (N,), and the first file has {', '.join(_columns(self._files[0])) or 'none'}"
            )
        source = "d4rl: " + ", ".join(file.name for file in self._files)
        return make_demonstrations(episodes, self._tasks, source, concerns_of(self._intents, "pose"))


def _episodes(file: Path, intents: str | None) -> Iterator[tuple[Episode, Labels | None]]:
    arrays = _read(file)
    _check_shapes(file, arrays)
    check_actions(str(file), arrays["actions"])
    observations = arrays["observations"][:, : kitchen.POSE_DIM]
    check_observations(str(file), observations)
    ends = np.logical_or.reduce([arrays[key].reshape(-1) != 0 for key in _ENDS if key in arrays])
    own = None if intents is None else _own_labels(file, intents, len(ends))
    for start, stop in itertools.pairwise([0, *(np.flatnonzero(ends[:-1]) + 1), len(ends)]):
        poses = observations[start:stop]
        labels = next_tasks(poses, stop - start) if intents is None else own and own.part(start, stop)
        yield make_episode(poses, arrays["actions"][start:stop], "pose"), labels


def _read(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays that matter. Raises `UserError` for a file that is missing, truncated or no HDF5 file."""
    with _open(file) as content:
        keys = [key for key in ("observations", "actions", *_ENDS) if isinstance(content.get(key), h5py.Dataset)]
        return {key: np.asarray(content[key]) for key in keys}


def _own_labels(file: Path, key: str, steps: int) -> Labels | None:
    """The labels in the dataset `key`; None when the file lacks it. Raises `UserError` for labels that do not fit."""
    with _open(file) as content:
        dataset = content.get(key)
        if not isinstance(dataset, h5py.Dataset):
            return None
        column, given = np.asarray(dataset), dataset.attrs.get("names")
    if given is None:
        return check_labels(f"{file}: {key}", column, [steps])
    names = (name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in np.ravel(given))
    return check_labels(f"{file}: {key}", column, [steps], tuple(names))


def _columns(file: Path) -> list[str]:
    """The datasets of a file that could be labels."""
    with _open(file) as content:
        return [key for key, item in content.items() if isinstance(item, h5py.Dataset) and item.dtype.kind in "iu"]


@contextlib.contextmanager
def _open(file: Path) -> Iterator[h5py.File]:
    """The file, open to read. Raises `UserError` when it is missing, and when it turns out to be damaged."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file; data.path takes D4RL kitchen files (HDF5)")
    try:
        with h5py.File(file, "r") as content:
            yield content
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: damaged, truncated or no HDF5 file ({reason}); {_LAYOUT}") from error


def _check_shapes(file: Path, arrays: dict[str, NDArray[Any]]) -> None:
    missing = [key for key in ("observations", "actions") if key not in arrays]
    if missing or not any(key in arrays for key in _ENDS):
        raise UserError(f"{file}: no {missing[0] if missing else ' or '.join(_ENDS)} in it; {_LAYOUT}")
    rows = len(arrays["actions"]) if arrays["actions"].ndim else 0
    valid: dict[str, list[tuple[int, ...]]] = {
        "observations": [(rows, kitchen.POSE_DIM + GOAL_DIM)],
        "actions": [(rows, kitchen.ACTION_DIM)],
        **{key: [(rows,), (rows, 1)] for key in _ENDS},
    }
    for key, array in arrays.items():
        if not rows or array.shape not in valid[key] or array.dtype.kind not in "fiub":
            raise UserError(f"{file}: {key} has shape {array.shape} and type {array.dtype}; {_LAYOUT}, numbers, N >= 1")
