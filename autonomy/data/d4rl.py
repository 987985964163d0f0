"""D4RL's kitchen files: flat HDF5 with one row a step, episodes one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from autonomy.data import kitchen
from autonomy.data.hdf5 import ENDS, check_found, dataset, opened, own_labels, stops_of
from autonomy.data.labels import Labels, check_key
from autonomy.data.source import (
    check_actions,
    check_observations,
    concerns_of,
    make_demonstrations,
    make_episode,
    next_tasks,
    paths_of,
)
from autonomy.types import ActionBox, Demonstrations, Episode, UserError

GOAL_DIM = 30
_LAYOUT = (
    f"a D4RL kitchen file holds observations (N, {kitchen.POSE_DIM + GOAL_DIM}), actions (N, {kitchen.ACTION_DIM}) "
    "and terminals (N,) or timeouts (N,)"
)


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
        self._files = paths_of("d4rl", path)
        if obs != "pose":
            raise UserError(f"D4RL files hold no velocities, so obs={obs} is not available; the valid one is obs=pose")
        self._tasks = kitchen.check_tasks(tasks)
        self._intents = check_key(intents)

    def load(self) -> Demonstrations:
        """Every episode of every file, in order. Raises `UserError` when no file holds the labels asked for."""
        episodes = [pair for file in self._files for pair in _episodes(file, self._intents)]
        check_found(self._files, self._intents, [labels for _, labels in episodes])
        source, box = "d4rl: " + ", ".join(file.name for file in self._files), ActionBox.unit(kitchen.ACTION_DIM)
        return make_demonstrations(episodes, self._tasks, source, concerns_of(self._intents, "pose"), box)


def _episodes(file: Path, intents: str | None) -> Iterator[tuple[Episode, Labels | None]]:
    arrays = _read(file)
    _check_shapes(file, arrays)
    check_actions(str(file), arrays["actions"])
    observations = arrays["observations"][:, : kitchen.POSE_DIM]
    check_observations(str(file), observations)
    stops = stops_of({key: arrays[key] for key in ENDS if key in arrays})
    own = None if intents is None else own_labels(file, intents, stops[-1])
    for start, stop in itertools.pairwise([0, *stops]):
        poses = observations[start:stop]
        labels = next_tasks(poses, stop - start) if intents is None else own and own.part(start, stop)
        yield make_episode(poses, arrays["actions"][start:stop], "pose"), labels


def _read(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays that matter. Raises `UserError` for a file that is missing, truncated or no HDF5 file."""
    with opened(file, _LAYOUT) as content:
        arrays = {key: dataset(content, key) for key in ("observations", "actions", *ENDS)}
    return {key: array for key, array in arrays.items() if array is not None}


def _check_shapes(file: Path, arrays: dict[str, NDArray[Any]]) -> None:
    missing = [key for key in ("observations", "actions") if key not in arrays]
    if missing or not any(key in arrays for key in ENDS):
        raise UserError(f"{file}: no {missing[0] if missing else ' or '.join(ENDS)} in it; {_LAYOUT}")
    rows = len(arrays["actions"]) if arrays["actions"].ndim else 0
    valid: dict[str, list[tuple[int, ...]]] = {
        "observations": [(rows, kitchen.POSE_DIM + GOAL_DIM)],
        "actions": [(rows, kitchen.ACTION_DIM)],
        **{key: [(rows,), (rows, 1)] for key in ENDS},
    }
    for key, array in arrays.items():
        if not rows or array.shape not in valid[key] or array.dtype.kind not in "fiub":
            raise UserError(f"{file}: {key} has shape {array.shape} and type {array.dtype}; {_LAYOUT}, numbers, N >= 1")
