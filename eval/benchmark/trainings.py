"""Trains many assistants side by side, each in a process of its own with one thread; never the same one twice."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from hydra.utils import instantiate
from tqdm import tqdm

from autonomy.types import UserError
from envs.parallel import available_cores
from eval.episodes import write_summary
from eval.settings import compose_config

_ALWAYS = ("threads=1", "evaluation.episodes=0")


@dataclasses.dataclass(frozen=True)
class Training:
    """One training: the name of the `assistant`, its `seed`, and the `overrides` of `python -m autonomy.train`."""

    assistant: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.folder / f"{self.assistant}-seed{self.seed}"

    def finished(self) -> bool:
        """Whether it has been done. Raises `UserError` when the folder holds one with other overrides."""
        note = self._note
        if not note.is_file():
            return False
        state = json.loads(note.read_text())
        if state["overrides"] != list(self.overrides):
            theirs = " ".join(state["overrides"])
            raise UserError(f"{self.run} was trained with {theirs}; remove it or choose another folder with out=...")
        return bool(state["finished"])

    def command(self) -> list[str]:
        """The command line: a new training, or the rest of one that was interrupted."""
        program = [sys.executable, "-m", "autonomy.train", *_ALWAYS]
        if (self.run / "config.yaml").is_file():
            return [*program, f"resume={self.run}"]
        return [*program, f"run={self.run}", *self._choices()]

    def train(self) -> None:
        """Do it. Raises `UserError` with the last line of its log when it fails."""
        self._record(finished=False)
        log = self.folder / "logs" / f"{self.run.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            done = subprocess.run(self.command(), stdout=file, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode:
            last = (log.read_text().strip() or "it said nothing").splitlines()[-1]
            raise UserError(f"training {self.run} failed: {last.removeprefix('error: ')} (see {log})")
        self._record(finished=True)

    def load_data(self) -> None:
        """Make or check the demonstrations, so that trainings side by side find them ready."""
        instantiate(compose_config("train", self._choices()).data).load()

    @property
    def _note(self) -> Path:
        return self.folder / f"{self.run.name}.json"

    def _choices(self) -> list[str]:
        return [*self.overrides, f"seed={self.seed}"]

    def _record(self, finished: bool) -> None:
        write_summary(self._note, {"overrides": list(self.overrides), "finished": finished})


def train_all(trainings: Iterable[Training], processes: int | None = None) -> None:
    """Do those of `trainings` that are not finished, `processes` (default: all cores) at a time.

    Raises `UserError` when one fails; the others that had begun are finished first.
    """
    pending = [training for training in trainings if not training.finished()]
    if not pending:
        return
    pending[0].load_data()
    with ThreadPoolExecutor(processes or available_cores()) as pool:
        futures = [pool.submit(training.train) for training in pending]
        try:
            for future in tqdm(as_completed(futures), total=len(futures), desc="trainings", unit="run"):
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def plan(
    assistants: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
    folder: Path,
    variants: Mapping[str, Sequence[str]] | None = None,
) -> list[Training]:
    """Every assistant with every training seed. An assistant is a name in `variants`, which gives its overrides, or a
    configuration of the group `assistant`."""
    choices = {name: (variants or {}).get(name, [f"assistant={name}"]) for name in assistants}
    return [Training(name, seed, (*overrides, *choices[name]), folder) for name in assistants for seed in seeds]
