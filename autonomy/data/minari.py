"""Demonstrations from the local Minari store, downloaded only when asked."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import minari
import numpy as np
from minari.dataset.minari_dataset import parse_dataset_id
from minari.storage.datasets_root_dir import get_dataset_path
from minari.storage.remotes import DEFAULT_REMOTE
from numpy.typing import NDArray

from autonomy.data.labels import NUMBERS, Labels, check_key, check_labels
from autonomy.data.source import Reading, Recording, read_all
from autonomy.types import Demonstrations, UserError

CONNECTION_SECONDS = 5.0
SHORTEST_EPISODE = 2
"""D4RL's sets on Minari hold left-overs of a single step."""
_HOSTS = {"hf": "https://huggingface.co", "gcp": "https://storage.googleapis.com"}
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AssertionError, RuntimeError)
"""What Minari and h5py raise for data sets that are incomplete, damaged or of another version."""
Stored = tuple[Any, Any, Mapping[str, Any]]
"""Observations, actions and infos of an episode."""


class MinariSource:
    """Demonstrations of any robot from a Minari data set whose observations are vectors, or a Dict of them.

    `keys` are the parts of a Dict that are read, laid end to end in this order; None: all of them, in theirs. `intents`
    names the step infos that are labels (LeRobot's are `task_index`): (T,) or (T + 1,) whole numbers, -1 for none;
    episodes that lack them have no labels. What the numbers stand for is a list in the set's metadata, where they have
    `labels: {NAME: [...]}`; otherwise they are names themselves. `reading` is how a world reads its recordings, None
    where nothing is known but the numbers. Episodes of length 1 are dropped. With `download`, a set that the local
    store lacks is fetched first. Raises `UserError` for an unusable id, and `load` for a set that is missing, damaged,
    or of another kind.
    """

    def __init__(
        self,
        id: str,
        keys: Sequence[str] | None = None,
        download: bool = False,
        intents: str | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._id, self._keys = _check_id(id), None if keys is None else list(keys)
        self._download, self._reading = download, reading
        self._intents = check_key(intents)

    def load(self) -> Demonstrations:
        """Every episode of two steps or more, in the order of the data set."""
        if not (get_dataset_path(self._id) / "data").is_dir():
            if not self._download:
                raise UserError(
                    f"Minari data set {self._id} is not in the local store; {_choices()}; "
                    "data.download=true fetches it from Minari's server"
                )
            _fetch(self._id)
        stored = list(_stored(self._id))
        keys = self._keys or next((list(seen) for seen, _, _ in stored if isinstance(seen, Mapping)), None)
        source = f"minari: {self._id}" + (f" ({', '.join(keys)})" if keys else "")
        return read_all(self._recordings(stored, keys), source, self._reading, self._intents)

    def _recordings(self, stored: Sequence[Stored], keys: Sequence[str] | None) -> Iterator[Recording]:
        infos: set[str] = set()
        names = NUMBERS if self._intents is None else _names(self._id, self._intents)
        for number, (observations, actions, info) in enumerate(stored):
            where = f"Minari data set {self._id}, episode {number}"
            states, moves = _vectors(where, observations, keys), _actions(where, actions)
            if len(states) != len(moves) + 1:
                raise UserError(f"{where}: {len(states)} observations and {len(moves)} actions; there is one more")
            infos |= info.keys()
            if len(moves) >= SHORTEST_EPISODE:
                yield Recording(where, states, moves, self._labels(where, len(moves), info, names))
        if self._intents is not None and self._intents not in infos:
            raise UserError(
                f"no episode of Minari data set {self._id} has infos {self._intents!r}; "
                f"data.intents names one of: {', '.join(sorted(infos)) or 'none are there'}"
            )

    def _labels(self, where: str, steps: int, info: Mapping[str, Any], names: tuple[str, ...]) -> Labels | None:
        if self._intents is None or self._intents not in info:
            return None
        column = np.asarray(info[self._intents])
        return check_labels(f"{where}: infos {self._intents!r}", column, [steps, steps + 1], names).part(0, steps)


def _check_id(id: str) -> str:
    try:
        parse_dataset_id(id)
    except (ValueError, TypeError) as error:
        raise UserError(f"{id!r} is no Minari id; a valid one is D4RL/kitchen/mixed-v2, and {_choices()}") from error
    return id


def _choices() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about other sets that are damaged
        ids = ", ".join(minari.list_local_datasets()) or "none"
    return f"the ids that are there: {ids}"


def _stored(id: str) -> Iterator[Stored]:
    """Observations, actions and infos of each episode. Raises `UserError` for a damaged data set."""
    try:
        for episode in minari.load_dataset(id):
            yield episode.observations, episode.actions, episode.infos or {}
    except _DAMAGED as error:
        if isinstance(error, UserError):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"Minari data set {id} is damaged ({reason}); {_choices()}") from error


def _names(id: str, key: str) -> tuple[str, ...]:
    """What the metadata of a data set call its labels `key`; their numbers where it says nothing."""
    labels = minari.load_dataset(id).storage.metadata.get("labels")
    names = labels.get(key) if isinstance(labels, Mapping) else None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else NUMBERS


def _vectors(where: str, observations: Any, keys: Sequence[str] | None) -> NDArray[Any]:
    """The observations of an episode as vectors (T + 1, S)."""
    parts = observations if isinstance(observations, Mapping) else {"observation": observations}
    if unknown := [key for key in keys or () if key not in parts]:
        raise UserError(f"{where}: no observation {unknown[0]!r}; data.keys names some of {', '.join(parts)}")
    return np.concatenate([_numbers(where, f"observation {key}", parts[key]) for key in keys or parts], axis=1)


def _actions(where: str, actions: Any) -> NDArray[Any]:
    moves = np.asarray(actions) if not isinstance(actions, Mapping) else np.empty(0, object)
    if moves.dtype.kind == "i" or moves.dtype == object:
        raise UserError(f"{where}: actions are discrete or no vectors; supported are vectors of numbers (T, D)")
    return _numbers(where, "actions", moves)


def _numbers(where: str, what: str, rows: Any) -> NDArray[Any]:
    array = np.empty(0, object) if isinstance(rows, Mapping | tuple) else np.asarray(rows)
    if array.dtype.kind not in "fiu" or array.ndim != 2:
        raise UserError(
            f"{where}: {what} have shape {array.shape} and type {array.dtype}; supported are vectors of numbers, "
            "(steps, width), no images and no texts"
        )
    return array


def _fetch(id: str) -> None:
    """Download a data set, or leave nothing. Raises `UserError` at once when the server cannot be reached."""
    try:
        _check_connection()
        minari.download_dataset(id)
    except BaseException as error:
        shutil.rmtree(get_dataset_path(id), ignore_errors=True)
        if not isinstance(error, Exception):  # Ctrl-C
            raise
        # Each of Minari's remotes has errors of its own, a package that is not installed among them.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"downloading Minari data set {id} failed ({reason}); {_choices()}") from error


def _check_connection() -> None:
    """One quick question to the server, by way of the system's proxy: Minari itself retries for some 25 seconds.

    Any answer will do. Raises `OSError` when there is none within `CONNECTION_SECONDS`.
    """
    remote = os.environ.get("MINARI_REMOTE", DEFAULT_REMOTE).partition("://")[0]
    url = os.environ.get("HF_ENDPOINT", _HOSTS["hf"]) if remote == "hf" else _HOSTS.get(remote)
    if url is None:
        raise OSError(f"MINARI_REMOTE names an unknown server {remote!r}; the valid ones are {', '.join(_HOSTS)}")
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECTION_SECONDS).close()
    except urllib.error.HTTPError:
        return
    except OSError as error:
        raise OSError(f"no connection to {url}: {getattr(error, 'reason', error)}") from error
