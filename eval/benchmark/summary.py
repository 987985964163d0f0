"""From a table with a row an episode to one with a row a cell: means, intervals, and over how many of what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from autonomy.types import UserError
from envs.world import Score
from eval.scores import bounded
from eval.stats import Interval, clustered_interval, interquartile_mean

NEEDED = ("row", "channels", "assistant", "training_seed", "seed", "reward")
SHARES = ("success", "first_intended", "improbable", "belief_right")
INTERVALS = ("reward", *SHARES, "deviation", "length", "workload", "steps_to_recognise")
MEANS = ("ms_p50", "ms_p99")
UNTRAINED = -1
"""The training seed of what was never trained, such as the operator alone."""
FEW = 3
"""With fewer training seeds than these a cell says so."""
Cells = Mapping[tuple[str, str], pd.DataFrame]
"""The episodes of each (row, assistant), in order of appearance, by training seed and episode seed."""


def tidy(frame: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """`frame` with numbers where numbers belong, a column `done: TASK` a task, and one `row` a setting.

    Raises `UserError` for a column without which there is no report, and for an episode that is there twice.
    """
    missing = [column for column in NEEDED if column not in frame]
    if missing or frame.empty:
        raise UserError(f"a benchmark's table needs episodes with the columns {', '.join(NEEDED)}; missing: {missing}")
    optional = ("curve", "strength", "completed", "first_intended")
    tidied = frame.assign(**{column: None for column in optional if column not in frame})
    numbers = [column for column in (*INTERVALS, *MEANS, "strength") if column in tidied]
    tidied[numbers] = tidied[numbers].astype(float)
    tidied["training_seed"] = tidied["training_seed"].astype(float).fillna(UNTRAINED).astype(int)
    tidied["row"] = _labels(tidied)
    for task in tasks if "completed" in frame else ():
        tidied[f"done: {task}"] = tidied["completed"].map(lambda completed, task=task: float(task in completed))
    twice = tidied[tidied.duplicated(["row", "assistant", "training_seed", "seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise UserError(f"episode {first.seed} of {first.assistant} in {first.row} is twice in the benchmark's table")
    return tidied


def _labels(frame: pd.DataFrame) -> pd.Series:
    """The name of each row; with its place on the strength curve where several settings share a name."""
    places = frame[["row", "curve", "strength"]].drop_duplicates()
    shared = set(places["row"][places["row"].duplicated()])
    names = [
        f"{row}, {curve} {strength:g}" if row in shared and not pd.isna(strength) else str(row)
        for row, curve, strength in frame[["row", "curve", "strength"]].itertuples(index=False)
    ]
    return pd.Series(names, frame.index, dtype=object)


def cells_of(tidied: pd.DataFrame) -> Cells:
    """The episodes of each row and assistant."""
    indexed = tidied.set_index(["training_seed", "seed"])
    return {(row, name): part for (row, name), part in indexed.groupby(["row", "assistant"], sort=False)}


def table_of(cells: Cells, row: str, assistant: str, column: str) -> pd.DataFrame | None:
    """`column` as a table (training seeds, episode seeds), of the episodes that have a value for every training seed.

    None where there is no such cell or no such episode.
    """
    part = cells.get((row, assistant))
    if part is None or column not in part:
        return None
    table = part[column].unstack().dropna(axis=1)
    return None if table.empty else table


def summarised(cells: Cells, tasks: Sequence[str], score: Score) -> pd.DataFrame:
    """A row a cell: `training_seeds` (0 for the untrained), `episodes` and means, with NaN for what has no value.

    `NAME_low` and `NAME_high` bound the 95% interval of the mean NAME, `iqm` is the interquartile mean of the reward.
    """
    return pd.DataFrame([_summary(cells, row, assistant, tasks, score) for row, assistant in cells])


def _summary(cells: Cells, row: str, assistant: str, tasks: Sequence[str], score: Score) -> dict[str, object]:
    reward = table_of(cells, row, assistant, "reward")
    if reward is None:
        raise UserError(f"{assistant} in {row} has no episode that every training seed played")
    trained = 0 if reward.index[0] == UNTRAINED else len(reward)
    entry: dict[str, object] = {
        "row": row,
        "assistant": assistant,
        "training_seeds": trained,
        "episodes": reward.shape[1],
        "n": reward.size,
        **_columns("iqm", bounded(interquartile_mean(reward.to_numpy()), score)),
    }
    for column in INTERVALS:
        table = table_of(cells, row, assistant, column)
        range_of = score if column == "reward" else Score(column, 0.0, 1.0 if column in SHARES else None)
        entry |= _columns(column, None if table is None else bounded(clustered_interval(table.to_numpy()), range_of))
    for column in (*(f"done: {task}" for task in tasks), *MEANS):
        table = table_of(cells, row, assistant, column)
        entry[column] = float("nan") if table is None else table.to_numpy().mean()
    return entry


def _columns(name: str, interval: Interval | None) -> dict[str, float]:
    keys = (name, f"{name}_low", f"{name}_high")
    values = (interval.mean, interval.low, interval.high) if interval else (float("nan"),) * 3
    return dict(zip(keys, values, strict=True))


def judged_rows(tidied: pd.DataFrame, chosen: Sequence[str] = ()) -> list[str]:
    """The rows that the verdict rests on: those `chosen`, or else all on no strength curve, or else all."""
    rows = list(dict.fromkeys(tidied["row"]))
    unknown = [row for row in chosen if row not in rows]
    if unknown:
        raise UserError(f"no row is called {unknown[0]!r}; there are {', '.join(rows)}")
    plain = set(tidied["row"][tidied["curve"].isna()])
    return list(chosen) or [row for row in rows if row in plain] or rows


def rows_with_intent(tidied: pd.DataFrame, rows: Sequence[str]) -> list[str]:
    """Those of `rows` in which the operator has a plan and a dimension to show it with."""
    shown = set(tidied["row"][tidied["first_intended"].notna()])
    return [row for row in rows if row in shown]
