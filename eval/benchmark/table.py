"""The benchmark's results as text and as rows: a line for each cell and assistant, then the paired differences."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eval.benchmark.cells import Cell
from eval.episodes import EpisodeRecord
from eval.stats import LEVEL, Comparison, caveat, clustered_interval, compare, holm

Value = Callable[[EpisodeRecord], float | None]
Results = Sequence[tuple[Cell, Sequence[EpisodeRecord]]]
METRICS: dict[str, Value] = {
    "reward": lambda record: record.reward,
    "deviation": lambda record: record.deviation,
    "first intended": lambda record: record.first_intended,
}


def report(results: Results, assistants: Sequence[str], training_seeds: Sequence[int], seeds: Sequence[int]) -> str:
    """The table as Markdown: per row the assistants and the operator alone; then the paired differences."""
    lines = ["| operator-channels | assistant | n | reward | deviation | first intended |", "|---|---|---|---|---|---|"]
    rows = list(dict.fromkeys(cell.row for cell, _ in results))
    for row in rows:
        for name in [*assistants, "nobody"]:
            values = {key: values_of(results, row, name, value) for key, value in METRICS.items()}
            if values["reward"] is not None:
                cells = [_interval(values[key]) for key in METRICS]
                lines.append(f"| {' | '.join([row, name, str(values['reward'].size), *cells])} |")
    lines += ["", *_differences(results, rows, assistants), "", *_notes(training_seeds, seeds)]
    return "\n".join(lines) + "\n"


def _differences(results: Results, rows: Sequence[str], assistants: Sequence[str]) -> list[str]:
    """The first assistant minus each of the others."""
    pairs = [(row, other) for row in rows for other in assistants[1:]]
    columns = [_column(results, assistants[0], pairs, METRICS[key]) for key in ("reward", "deviation")]
    lines = ["| operator-channels | difference | reward | deviation |", "|---|---|---|---|"]
    for (row, other), *texts in zip(pairs, *columns, strict=True):
        if any(text != "-" for text in texts):
            lines.append(f"| {row} | {assistants[0]} minus {other} | {' | '.join(texts)} |")
    return lines


def _column(results: Results, first: str, pairs: Sequence[tuple[str, str]], value: Value) -> list[str]:
    """`first` minus the other in each row, with a star where Holm's adjustment over the column leaves p_seeds low."""
    found: list[Comparison | None] = []
    for row, other in pairs:
        ours, theirs = (values_of(results, row, name, value) for name in (first, other))
        found.append(None if ours is None or theirs is None else compare(ours, theirs))
    adjusted = iter(holm([comparison.p_seeds for comparison in found if comparison is not None]))
    return ["-" if each is None else f"{each}{' *' if next(adjusted) < LEVEL else ''}" for each in found]


def values_of(results: Results, row: str, assistant: str, value: Value) -> NDArray[np.float64] | None:
    """`value` of the records, (training seeds, episodes); None without such cells or when a record has no value."""
    chosen = [records for cell, records in results if (cell.row, cell.assistant) == (row, assistant)]
    table = [[value(record) for record in records] for records in chosen]
    if not table or any(entry is None for entries in table for entry in entries):
        return None
    return np.array(table, dtype=float)


def _interval(values: NDArray[np.float64] | None) -> str:
    return "-" if values is None else str(clustered_interval(values).within(0.0, math.inf))  # no metric is below 0


def _notes(training_seeds: Sequence[int], seeds: Sequence[int]) -> list[str]:
    trained = ", ".join(map(str, training_seeds))
    return [
        f"Mean [95% interval]. Training seeds {trained}; {len(seeds)} episodes each (n: their product), with the seeds",
        f"{seeds[0]} to {seeds[-1]} in every line. Intervals: two-level bootstrap over training seeds and episodes.",
        caveat(training_seeds),
        "p: paired permutation test over the episodes, for these trained models. p_seeds: for models trained again as",
        "well, below 0.05 when the interval excludes 0. *: significant, p_seeds < 0.05 after Holm's adjustment over",
        "the column. Reward: tasks done an episode.",
        "Deviation: mean of executed minus the operator's own action, without sign, on the filled dimensions.",
        "First intended: the first task done was the one that the operator meant to do first.",
        "nobody: the other dimensions stand still, so this is the operator alone; on `all` it is the full operator.",
    ]


def frame(results: Results) -> pd.DataFrame:
    """A row an episode."""
    return pd.DataFrame(
        [
            {"row": cell.row, "training_seed": cell.training_seed, **dataclasses.asdict(record)}
            for cell, records in results
            for record in records
        ]
    )
