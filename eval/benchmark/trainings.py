"""Trains many assistants side by side, each in a process of its own with one thread; never the same one twice."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from autonomy.checks import whole
from autonomy.types import UserError
from envs.parallel import available_cores
from eval.settings import compose_config

TRAININGS = "trainings"
"""The folder of a store that holds run directories."""
PLAY = "play:"
"""Begins an override of configs/rollout.yaml among those of a variant."""
_ALWAYS = ("threads=1", "evaluation.episodes=0")
_IRRELEVANT = ("run", "resume", "device", "threads", "evaluation")
"""Keys of configs/train.yaml that do not change what is learned."""


@dataclasses.dataclass(frozen=True)
class Training:
    """One training: what the report calls the `assistant`, its `seed`, and `overrides` of `python -m autonomy.train`.

    Its run directory is named by a hash of the whole configuration, so experiments with the same `folder` share it,
    whatever they call it. On a curve over trainings, `amount` is its place on the axis. `play`: more overrides of
    configs/rollout.yaml wherever it plays.
    """

    assistant: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path
    amount: float | None = None
    play: tuple[str, ...] = ()

    @functools.cached_property
    def config(self) -> DictConfig:
        """The composed configs/train.yaml. Raises Hydra's errors for an override that does not fit."""
        return compose_config("train", self._choices)

    @functools.cached_property
    def run(self) -> Path:
        """Name the run directory by a hash of what is learned, so that the same training is found again."""
        config = OmegaConf.masked_copy(self.config, [str(key) for key in self.config if key not in _IRRELEVANT])
        content = json.dumps(OmegaConf.to_container(config, resolve=True), sort_keys=True)
        return self.folder / f"{config.name}-seed{self.seed}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def finished(self) -> bool:
        """Whether it has been done."""
        return self._note.is_file()

    def command(self) -> list[str]:
        """The command line: a new training, or the rest of one that was interrupted."""
        program = [sys.executable, "-m", "autonomy.train", *_ALWAYS]
        if (self.run / "config.yaml").is_file():
            return [*program, f"resume={self.run}"]
        return [*program, f"run={self.run}", *self._choices]

    def train(self) -> None:
        """Do it. Raises `UserError` with the last line of its log when it fails."""
        log = self.folder / "logs" / f"{self.run.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            done = subprocess.run(self.command(), stdout=file, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode:
            last = (log.read_text().strip() or "it said nothing").splitlines()[-1]
            raise UserError(f"training {self.run} failed: {last.removeprefix('error: ')} (see {log})")
        self._note.touch()

    def load_data(self) -> None:
        """Make or check the demonstrations, so that trainings side by side find them ready."""
        instantiate(self.config.data).load()

    @property
    def _note(self) -> Path:
        return self.folder / f"{self.run.name}.finished"

    @property
    def _choices(self) -> list[str]:
        return [*self.overrides, f"seed={self.seed}"]


def train_all(trainings: Iterable[Training], processes: int | None = None) -> None:
    """Do those of `trainings` that are not finished, `processes` (default: all cores) at a time.

    Raises `UserError` when one fails; the others that had begun are finished first.
    """
    pending = list({training.run: training for training in trainings if not training.finished}.values())
    if not pending:
        return
    load_all_data(pending)
    with ThreadPoolExecutor(processes or available_cores()) as pool:
        futures = [pool.submit(training.train) for training in pending]
        try:
            for future in tqdm(as_completed(futures), total=len(futures), desc="trainings", unit="run"):
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def load_all_data(trainings: Iterable[Training]) -> None:
    """Make or check every set of demonstrations that the trainings read, each one once."""
    for training in {
        OmegaConf.to_yaml(training.config.data, resolve=True): training for training in trainings
    }.values():
        training.load_data()


def parted(overrides: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a variant's overrides into those that its training takes and those that its play takes, without "play:"."""
    play = tuple(one.removeprefix(PLAY) for one in overrides if one.startswith(PLAY))
    return tuple(one for one in overrides if not one.startswith(PLAY)), play


def filled(key: str, value: Any) -> None:
    """Raise `UserError` for anything but a list of one or more."""
    if not isinstance(value, list) or not value:
        raise UserError(f"{key} must be a list of one or more, got {value!r}")


def check_lists(assistants: Any, training_seeds: Any) -> None:
    """Raise `UserError` unless both are lists of different entries, the second one of whole numbers."""
    for key, value in (("assistants", assistants), ("training_seeds", training_seeds)):
        filled(key, value)
        if len(set(value)) < len(value):
            raise UserError(f"{key} must be different from each other, got {value}")
    for seed in training_seeds:
        whole("training_seeds", seed, 0)


def plan_trainings(
    assistants: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
    folder: Path,
    variants: Mapping[str, Sequence[str]] | None = None,
    amount: float | None = None,
    seeds_of: Mapping[str, Sequence[int]] | None = None,
) -> list[Training]:
    """Every assistant with every training seed, or with those that `seeds_of` has for it.

    An assistant is a name in `variants`, which gives its overrides, or a configuration of the group `assistant`. An
    override that begins with "play:" is one of configs/rollout.yaml.
    """
    trainings = []
    for name in assistants:
        chosen = (variants or {}).get(name, [f"assistant={name}"])
        learn, play = parted(chosen)
        own = (seeds_of or {}).get(name, seeds)
        trainings += [Training(name, seed, (*overrides, *learn), folder, amount, play) for seed in own]
    return trainings
