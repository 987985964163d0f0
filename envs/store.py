"""The local Minari store: is a data set there, and putting one there in a single move."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import minari
from minari.dataset.minari_dataset import parse_dataset_id
from minari.dataset.minari_storage import METADATA_FILE_NAME, MinariStorage
from minari.namespace import create_namespace, list_local_namespaces
from minari.storage import get_dataset_path

from autonomy.types import UserError

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


def publish(storage: MinariStorage, dataset_id: str, settings: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Name the storage, called `data` in a folder of its own inside a staging folder, and move it to its place.

    One rename does it, so that nobody ever sees a part of it. `settings` are those that `is_recorded` compares, plain
    JSON values; `metadata` is what else is kept of the whole data set.
    """
    own = {"dataset_id": dataset_id, "minari_version": minari.__version__, _SETTINGS: settings}
    storage.update_metadata({**own, **metadata})
    namespace = parse_dataset_id(dataset_id)[0]
    if namespace is not None and namespace not in list_local_namespaces():
        create_namespace(namespace)
    try:
        storage.data_path.parent.rename(get_dataset_path(dataset_id))
    except OSError:  # another process has finished the same recording first
        if not is_recorded(dataset_id, settings):
            raise


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
