"""The cells of a benchmark: one setting, one assistant, paired episodes. A finished one is never played again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from autonomy.types import UserError
from eval.episodes import EPISODES, EpisodeRecord, read_episodes
from eval.rollout import evaluate_all, save
from eval.setting import Setting
from eval.settings import ZERO


@dataclasses.dataclass(frozen=True)
class Cell:
    """`setting` as the assistant of `run` (a run directory or "zero") plays it; `row` is its place in the table.

    On a `curve`, `strength` is its place on the axis.
    """

    row: str
    assistant: str
    training_seed: int | None
    run: str
    setting: Setting
    curve: str | None = None
    strength: float | None = None

    def folder(self, home: Path, seeds: Sequence[int]) -> Path:
        """Its own folder, named by a hash of what its records depend on: setting, episode seeds, weights, simulator.

        Experiments with the same `home` share it, whatever they call the assistant.
        """
        model = b"" if self.run == ZERO else Path(self.run, "model.safetensors").read_bytes()
        content = json.dumps([self.setting.description(), list(seeds), version("mujoco")], sort_keys=True)
        who = self.assistant if self.training_seed is None else Path(self.run).name.rpartition("-")[0]
        return home / f"{self.row}-{who}-{hashlib.sha256(content.encode() + model).hexdigest()[:12]}"


def play_all(cells: Sequence[Cell], seeds: Sequence[int], home: Path, processes: int | None = None) -> None:
    """Play those of `cells` that are not in `home` yet; each is written as its last episode ends."""
    folders = {cell.folder(home, seeds): cell for cell in cells}  # two curves may share a cell
    pending = [(cell, folder) for folder, cell in folders.items() if not (folder / EPISODES).is_file()]
    if pending:
        settings = [cell.setting for cell, _ in pending]
        for index, records in evaluate_all(settings, seeds, processes=processes, label="cells"):
            save(pending[index][1], [records], settings[index].env)


def read_all(cells: Sequence[Cell], seeds: Sequence[int], home: Path) -> list[list[EpisodeRecord]]:
    """The records of every cell, in order. Raises `UserError` for a cell whose records are damaged or missing."""
    files = [cell.folder(home, seeds) / EPISODES for cell in cells]
    results = [read_episodes(file) for file in files]
    for file, records in zip(files, results, strict=True):
        if [record.seed for record in records] != list(seeds):
            raise UserError(f"{file} does not hold the episodes {seeds[0]} to {seeds[-1]}; remove it")
    return results
