"""The local Minari store: is a data set there, and putting one there in a single move."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import minari
from minari.dataset.minari_dataset import parse_dataset_id
from minari.dataset.minari_storage import METADATA_FILE_NAME, MinariStorage
from minari.namespace import create_namespace, list_local_namespaces
from minari.storage import get_dataset_path

from autonomy.types import UserError
from envs.kitchen.expert.studio import Take

_SETTINGS = "recording"
"""The metadata key under which the settings of a recording are kept."""
_STAGING = ".recording-"


def is_recorded(dataset_id: str, settings: dict[str, Any]) -> bool:
    """Whether the store holds `dataset_id`. Raises `UserError` for a malformed id, or when it has other settings."""
    try:
        parse_dataset_id(dataset_id)
    except (ValueError, TypeError):
        raise UserError(f"{dataset_id!r} is not a Minari id; a valid one looks like namespace/name-v1") from None
    path = get_dataset_path(dataset_id) / "data" / METADATA_FILE_NAME
    if not path.is_file():
        return False
    found = json.loads(path.read_text()).get(_SETTINGS, {})
    different = sorted(key for key in settings if found.get(key) != settings[key])
    if different:
        raise UserError(
            f"the Minari data set {dataset_id} was recorded with other settings ({', '.join(different)}); "
            "choose another id, or none for one of its own, or delete it with: minari delete " + dataset_id
        )
    return True


@contextlib.contextmanager
def staging() -> Iterator[Path]:
    """A hidden folder inside the store, removed at the end; what killed recordings have left is removed first."""
    root = get_dataset_path()
    for left in root.glob(f"{_STAGING}*"):
        if not _alive(int(left.name.removeprefix(_STAGING).split("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(takes: Sequence[Take], folder: Path, dataset_id: str, metadata: dict[str, Any]) -> None:
    """Join the takes in the staging `folder` and move the result to its place in the store with one rename."""
    whole = folder / "whole"
    _join(takes, whole / "data", {"dataset_id": dataset_id, "minari_version": minari.__version__, **metadata})
    namespace = parse_dataset_id(dataset_id)[0]
    if namespace is not None and namespace not in list_local_namespaces():
        create_namespace(namespace)
    try:
        whole.rename(get_dataset_path(dataset_id))
    except OSError:  # another process has finished the same recording first
        if not is_recorded(dataset_id, metadata[_SETTINGS]):
            raise


def describe(settings: dict[str, Any], tried: int) -> dict[str, Any]:
    """The data set's metadata."""
    return {
        _SETTINGS: settings,
        "algorithm_name": "scripted expert (envs.kitchen.expert)",
        "author": {"shared-autonomy"},
        "description": f"Scripted FrankaKitchen demonstrations; {tried} episodes tried, {settings['n_episodes']} kept.",
    }


def _join(takes: Sequence[Take], path: Path, metadata: dict[str, Any]) -> None:
    """One data set out of many of one episode each, in their order."""
    first = minari.MinariDataset(takes[0].path)
    path.parent.mkdir()
    storage = MinariStorage.new(path, first.observation_space, first.action_space, first.spec.env_spec)
    for take in takes:
        storage.update_from_storage(minari.MinariDataset(take.path).storage)
    storage.update_metadata(metadata)
    storage.update_episode_metadata([take.metadata() for take in takes])


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
