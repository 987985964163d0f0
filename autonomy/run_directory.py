"""A run directory: the only thing that programs hand to each other. No pickles; every file is replaced atomically."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from autonomy.legacy import modern
from autonomy.types import UserError

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def atomic_write(path: Path, content: bytes) -> None:
    """Write all of `content` to `path`, or leave what was there: temporary file, fsync, rename.

    Raises `UserError` when the disk is full, OSError for any other trouble; the temporary file is removed either way.
    One that a killed process left is overwritten by the next write.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        refuse_full_disk(error, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def refuse_full_disk(error: OSError, path: Path) -> NoReturn:
    """Raise `UserError` for an error of a full disk, and `error` itself otherwise."""
    if error.errno in FULL_DISK:
        raise UserError(
            f"cannot write {path}: {error.strerror}; what was saved before is intact, make room and go on with"
            f" resume={path.parent}"
        ) from error
    raise error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RunDirectory:
    """`config.yaml`, `card.json`, `metrics.jsonl`, `budget.json`, `model.safetensors` and, to resume,
    `training.safetensors`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.card_file = self.path / "card.json"
        self.metrics_file = self.path / "metrics.jsonl"
        self.budget_file = self.path / "budget.json"
        self.model_file = self.path / "model.safetensors"
        self.training_file = self.path / "training.safetensors"

    @classmethod
    def create(cls, path: str | Path, config: DictConfig) -> RunDirectory:
        """A new run directory that holds the resolved `config`. Raises `UserError` when `path` is already in use."""
        run = cls(path)
        run.require_unused()
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the run directory {run.path}: {error.strerror}") from error
        run.write_config(config)
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """An existing run directory. Raises `UserError` when there is none at `path`."""
        run = cls(path)
        if not run.path.is_dir():
            raise UserError(
                f"there is no run directory {run.path}; a run directory is what training printed as `run: ...`"
            )
        run.require(run.config_file)
        return run

    def require_unused(self) -> None:
        """Raise `UserError` when the path is a file or holds anything but hidden files."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.glob("[!.]*"))):
            raise UserError(
                f"{self.path} is already in use; give another run=..., or resume={self.path} to go on with it"
            )

    def require(self, file: Path) -> Path:
        """`file` itself. Raises `UserError` when the run directory lacks it."""
        if not file.is_file():
            raise UserError(
                f"the run directory {self.path} has no {file.name}; it is not a run, or training has not saved yet"
            )
        return file

    def broken(self, file: Path, reason: object) -> UserError:
        """The error for a file that is there and cannot be used."""
        return UserError(f"{file} is corrupted or of another program: {' '.join(str(reason).split())}")

    def config(self) -> DictConfig:
        """The configuration of the run. Raises `UserError` when the file is missing or unreadable."""
        try:
            config = OmegaConf.load(self.require(self.config_file))
            OmegaConf.resolve(config)
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
            raise self.broken(self.config_file, str(error)) from error
        groups = [config.get(key) for key in ("env", "assistant")] if isinstance(config, DictConfig) else []
        if not isinstance(config, DictConfig) or not all(isinstance(group, DictConfig) for group in groups):
            raise self.broken(self.config_file, "it lacks the groups env and assistant")
        return modern(config)

    def write_config(self, config: DictConfig) -> None:
        """Write the resolved `config`, atomically."""
        atomic_write(self.config_file, OmegaConf.to_yaml(config, resolve=True).encode())

    def write_json(self, file: Path, value: Any) -> None:
        """Write `value` as indented JSON, atomically."""
        atomic_write(file, (json.dumps(value, indent=2) + "\n").encode())

    def read_json(self, file: Path) -> dict[str, Any]:
        """The JSON object in `file`. Raises `UserError` when it is missing, corrupted or something else."""
        try:
            value = json.loads(self.require(file).read_text())
        except ValueError as error:
            raise self.broken(file, error) from error
        if not isinstance(value, dict):
            raise self.broken(file, "it holds no JSON object")
        return value

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one line to metrics.jsonl. Raises `UserError` when the disk is full."""
        try:
            with self.metrics_file.open("a") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            refuse_full_disk(error, self.metrics_file)

    def metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl up to the first line that a kill cut off; empty when there is no file."""
        records: list[dict[str, Any]] = []
        lines = self.metrics_file.read_bytes().splitlines() if self.metrics_file.is_file() else []
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                break
            if not isinstance(record, dict) or "step" not in record:
                break
            records.append(record)
        return records

    def truncate_metrics(self, step: int) -> None:
        """Forget the records after `step`: a resumed run writes them again."""
        kept = [json.dumps(record) + "\n" for record in self.metrics() if record["step"] <= step]
        atomic_write(self.metrics_file, "".join(kept).encode())
