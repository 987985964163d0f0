"""The records of a benchmark as one table, a row an episode."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from eval.benchmark.cells import Cell
from eval.episodes import EpisodeRecord


def frame(cells: Sequence[Cell], records: Sequence[Sequence[EpisodeRecord]]) -> pd.DataFrame:
    """Where each episode belongs (row, curve, strength, assistant, training seed), then what `EpisodeRecord` holds."""
    return pd.DataFrame(
        [
            {**dataclasses.asdict(record), **_place(cell)}
            for cell, played in zip(cells, records, strict=True)
            for record in played
        ]
    )


def _place(cell: Cell) -> dict[str, object]:
    return {key: getattr(cell, key) for key in ("row", "curve", "strength", "assistant", "training_seed")}
