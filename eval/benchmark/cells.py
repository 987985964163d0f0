"""The cells of a benchmark: one setting, one assistant, paired episodes. A finished one is never played again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from autonomy.types import UserError
from eval.episodes import EPISODES, EpisodeRecord, read_episodes
from eval.play import Setting
from eval.rollout import evaluate_all, save
from eval.settings import ZERO


@dataclasses.dataclass(frozen=True)
class Cell:
    """`setting` as the assistant of `run` (a run directory or "zero") plays it; `row` is its place in the table."""

    row: str
    assistant: str
    training_seed: int | None
    run: str
    setting: Setting

    def folder(self, home: Path, seeds: Sequence[int]) -> Path:
        """Its own folder, named by a hash of all that its records depend on: setting, episode seeds and weights."""
        model = b"" if self.run == ZERO else Path(self.run, "model.safetensors").read_bytes()
        content = json.dumps([dataclasses.asdict(self.setting), list(seeds)], sort_keys=True).encode() + model
        who = self.assistant if self.training_seed is None else f"{self.assistant}-seed{self.training_seed}"
        return home / "cells" / f"{self.row}-{who}-{hashlib.sha256(content).hexdigest()[:12]}"


def play_all(
    cells: Sequence[Cell], seeds: Sequence[int], home: Path, processes: int | None = None
) -> list[list[EpisodeRecord]]:
    """The records of every cell, in order; those that are not in `home` yet are played, and written as each one ends.

    Raises `UserError` for a cell whose records are damaged.
    """
    folders = [cell.folder(home, seeds) for cell in cells]
    pending = [(c, f) for c, f in zip(cells, folders, strict=True) if not (f / EPISODES).is_file()]
    if pending:
        settings = [cell.setting for cell, _ in pending]
        for index, records in evaluate_all(settings, seeds, processes=processes, label="cells"):
            save(pending[index][1], [records], settings[index].env["tasks"])
    results = [read_episodes(folder / EPISODES) for folder in folders]
    for folder, records in zip(folders, results, strict=True):
        if [record.seed for record in records] != list(seeds):
            raise UserError(f"{folder / EPISODES} does not hold the episodes {seeds[0]} to {seeds[-1]}; remove it")
    return results
