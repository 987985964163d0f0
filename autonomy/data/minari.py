"""Kitchen demonstrations from the local Minari store, downloaded only when asked."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import minari
import numpy as np
from minari.dataset.minari_dataset import parse_dataset_id
from minari.storage.datasets_root_dir import get_dataset_path
from minari.storage.remotes import DEFAULT_REMOTE
from numpy.typing import NDArray

from autonomy.checks import choice
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
from autonomy.types import ActionBox, Demonstrations, Episode, UserError

CONNECTION_SECONDS = 5.0
SHORTEST_EPISODE = 2
"""D4RL's kitchen sets on Minari hold left-overs of a single step."""
_HOSTS = {"hf": "https://huggingface.co", "gcp": "https://storage.googleapis.com"}
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AssertionError, RuntimeError)
"""What Minari and h5py raise for data sets that are incomplete, damaged or of another version."""


class MinariSource:
    """Kitchen demonstrations from a Minari data set.

    Observations are (59,) or (30,), flat or under "observation" in a dict; `obs`: "pose" (30) or "full" (59). Rewards
    are never read: what an episode completed is worked out from the object positions. Episodes of length 1 are dropped.
    With `download`, a set that the local store lacks is fetched first. Labels are the task completed next, from the
    object positions too, or the set's own: the step infos that `intents` names (LeRobot's are `task_index`), (T,) or
    (T + 1,) whole numbers, -1 for none; episodes that lack them have no labels. Raises `UserError` for an unusable id,
    task or `obs`.
    """

    def __init__(
        self, id: str, tasks: Iterable[str], obs: str = "pose", download: bool = False, intents: str | None = None
    ) -> None:
        self._id = _check_id(id)
        self._tasks = kitchen.check_tasks(tasks)
        self._obs = choice("obs", obs, kitchen.OBSERVATIONS)
        self._download = download
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
        concerns = concerns_of(self._intents, self._obs)
        box = ActionBox.unit(kitchen.ACTION_DIM)
        return make_demonstrations(self._episodes(), self._tasks, f"minari: {self._id}", concerns, box)

    def _episodes(self) -> Iterator[tuple[Episode, Labels | None]]:
        infos: set[str] = set()
        for number, (observations, actions, info) in enumerate(_stored(self._id)):
            where = f"Minari data set {self._id}, episode {number}"
            _check_shapes(where, observations, actions, self._obs)
            check_actions(where, actions)
            check_observations(where, observations)
            infos |= info.keys()
            if len(actions) >= SHORTEST_EPISODE:
                yield make_episode(observations, actions, self._obs), self._labels(where, observations, info)
        if self._intents is not None and self._intents not in infos:
            raise UserError(
                f"no episode of Minari data set {self._id} has infos {self._intents!r}; "
                f"data.intents names one of: {', '.join(sorted(infos)) or 'none are there'}"
            )

    def _labels(self, where: str, observations: NDArray[Any], info: Mapping[str, Any]) -> Labels | None:
        """The labels of an episode of T steps with `observations` (T + 1, S)."""
        steps = len(observations) - 1
        if self._intents is None:
            return next_tasks(observations, steps)
        if self._intents not in info:
            return None
        column = np.asarray(info[self._intents])
        return check_labels(f"{where}: infos {self._intents!r}", column, [steps, steps + 1]).part(0, steps)


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


def _stored(id: str) -> Iterator[tuple[NDArray[Any], NDArray[Any], Mapping[str, Any]]]:
    """Observations, actions and infos of each episode. Raises `UserError` for a damaged data set."""
    try:
        for episode in minari.load_dataset(id):
            observations = episode.observations
            if isinstance(observations, dict):
                observations = observations["observation"]
            yield np.asarray(observations), np.asarray(episode.actions), episode.infos or {}
    except _DAMAGED as error:
        if isinstance(error, UserError):
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"Minari data set {id} is damaged or no kitchen set ({reason}); {_choices()}") from error


def _check_shapes(where: str, observations: NDArray[Any], actions: NDArray[Any], obs: str) -> None:
    dims = (kitchen.FULL_DIM,) if obs == "full" else (kitchen.POSE_DIM, kitchen.FULL_DIM)
    steps = len(actions)
    if actions.shape != (steps, kitchen.ACTION_DIM) or observations.shape not in [(steps + 1, dim) for dim in dims]:
        raise UserError(
            f"{where}: observations {observations.shape} and actions {actions.shape}; valid shapes with obs={obs} are "
            f"(T + 1, {' or '.join(map(str, dims))}) and (T, {kitchen.ACTION_DIM})"
        )


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
