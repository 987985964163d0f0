"""The records of a benchmark as one table, a row an episode."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from eval.benchmark.cells import Cell
from eval.episodes import EPISODES, EpisodeRecord, read_episodes


def frame(cells: Sequence[Cell], records: Sequence[Sequence[EpisodeRecord]]) -> pd.DataFrame:
    """Where each episode belongs (row, curve, strength, assistant, training seed), then what `EpisodeRecord` holds."""
    return pd.DataFrame(
        [
            {**dataclasses.asdict(record), **_place(cell)}
            for cell, played in zip(cells, records, strict=True)
            for record in played
        ]
    )


def of_people(folders: Sequence[Path]) -> pd.DataFrame:
    """The same columns for the trials in `folders` (see `eval.cockpit.trial`): a row of the benchmark for each.

    Raises `UserError` for a folder without a trial's episodes.
    """
    return pd.DataFrame(
        [
            {
                **dataclasses.asdict(record),
                "row": f"{record.operator}-{record.channels}, {folder.name}",
                **dict.fromkeys(("curve", "strength", "training_seed")),
            }
            for folder in folders
            for record in read_episodes(folder / EPISODES)
        ]
    )


def _place(cell: Cell) -> dict[str, object]:
    return {key: getattr(cell, key) for key in ("row", "curve", "strength", "assistant", "training_seed")}
