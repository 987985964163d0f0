"""The lines of the report's tables: numbers as text, ready for a template."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from eval.benchmark.about import About
from eval.benchmark.summary import FEW
from eval.benchmark.verdict import p_text, seeds_text, shown

NOTHING, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
Text = tuple[str, str]
"""A number, and its interval or nothing."""
Group = tuple[str, list[dict[str, Any]]]
"""A row of the benchmark and its lines."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the matrix: `key` in the summary, what to print above it, and how to print it and its bounds."""

    key: str
    title: str
    text: Callable[[float], str]
    percent: bool = False


def _plain(value: float) -> str:
    return f"{value:.2f}"


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}"


def columns_of(summary: pd.DataFrame, tasks: Sequence[str]) -> tuple[list[Column], list[Column]]:
    """The columns about success and those about behaviour and time, without those that have no value at all."""
    success = [
        Column("reward", "reward [95%]", _plain),
        Column("iqm", "IQM [95%]", _plain),
        Column("success", "all tasks" if tasks else "success", _percent, percent=True),
        Column("first_intended", "first intended", _percent, percent=True),
        *(Column(f"done: {task}", task, _percent, percent=True) for task in tasks),
    ]
    behaviour = [
        Column("length", "steps", _whole),
        Column("deviation", "deviation", _plain),
        Column("improbable", "improbable", lambda value: f"{100 * value:.1f}", percent=True),
        Column("belief_right", "right task", _percent, percent=True),
        Column("steps_to_recognise", "recognised", _whole),
        Column("workload", "workload", _whole),
        Column("ms_p50", "ms p50", lambda value: f"{value:.1f}"),
        Column("ms_p99", "ms p99", lambda value: f"{value:.1f}"),
    ]
    filled = {key for key in summary if summary[key].notna().any()}
    first, second = ([column for column in group if column.key in filled] for group in (success, behaviour))
    return first, second


def matrix(summary: pd.DataFrame, columns: Sequence[Column], ends: tuple[float, float]) -> list[Group]:
    """The lines of every row of the benchmark; the reward's axis goes from one of the `ends` to the other."""
    return [
        (str(row), [_matrix_line(cell, columns, ends) for cell in part.to_dict("records")])
        for row, part in summary.groupby("row", sort=False)
    ]


def _matrix_line(cell: Mapping[Any, Any], columns: Sequence[Column], ends: tuple[float, float]) -> dict[str, Any]:
    return {
        "name": shown(cell["assistant"]),
        **_amount(cell["training_seeds"], cell["n"]),
        "plot": _places(cell, "reward", *ends),
        "cells": [_text(cell, column) for column in columns],
    }


def _amount(training_seeds: int, n: int) -> dict[str, Any]:
    """How many episodes of how many trained models; `few` warns of too few of the latter."""
    few = seeds_text(training_seeds) if 0 < training_seeds < FEW else None
    n_text = f"{training_seeds} {TIMES} {n // training_seeds}" if training_seeds else str(n)
    return {"n": n_text, "few": few, "seeds": training_seeds}


def _text(cell: Mapping[Any, Any], column: Column) -> Text:
    value, low, high = (cell.get(f"{column.key}{end}", float("nan")) for end in ("", "_low", "_high"))
    if pd.isna(value):
        return NOTHING, ""
    bounds = "" if pd.isna(low) else f"[{column.text(low)}, {column.text(high)}]"
    return column.text(value) + ("%" if column.percent else ""), bounds


def _places(cell: Mapping[Any, Any], key: str, left: float, right: float) -> dict[str, float]:
    """Where low, mean and high lie between `left` and `right`, in percent; and where zero does."""
    ends = {"low": f"{key}_low", "mean": key, "high": f"{key}_high"}
    at = {name: 100 * (cell[end] - left) / (right - left) for name, end in ends.items()}
    return {**{name: round(min(100.0, max(0.0, place)), 2) for name, place in at.items()}, "zero": _zero(left, right)}


def _zero(left: float, right: float) -> float:
    return round(100 * -left / (right - left), 2)


def differences(frame: pd.DataFrame) -> list[Group]:
    """The lines of the paired differences (`as_frame`), by row of the benchmark."""
    left = min(0.0, frame["difference_low"].min())
    right = max(left + 0.1, frame["difference_high"].max())
    return [
        (str(row), [_difference_line(line, left, right) for line in part.to_dict("records")])
        for row, part in frame.groupby("row", sort=False)
    ]


def _difference_line(line: Mapping[Any, Any], left: float, right: float) -> dict[str, Any]:
    ends = (line["difference_low"], line["difference_high"])
    share = [100 * line[f"improvement{end}"] for end in ("", "_low", "_high")]
    return {
        "name": shown(line["other"]),
        **_amount(line["training_seeds"], line["n"]),
        "plot": _places(line, "difference", left, right),
        "difference": (f"{line['difference']:+.2f}", f"[{ends[0]:+.2f}, {ends[1]:+.2f}]"),
        "p": [p_text(line[key]).removeprefix("p ").removeprefix("= ") for key in ("p_episodes", "p_seeds", "p_holm")],
        "improvement": (f"{share[0]:.0f}%", f"[{share[1]:.0f}, {share[2]:.0f}]"),
        "verdict": line["verdict"],
    }


def paper(summary: pd.DataFrame, about: About) -> pd.DataFrame:
    """Measured cells and, beside them, what others published on another simulator: never two entries in one line."""
    keys = ["assistant", "row", "training_seeds", "n", "reward", "reward_low", "reward_high"]
    ours = summary[keys].rename(columns={"assistant": "label"}).assign(source="measured here")
    theirs = pd.DataFrame([dict(entry) for entry in about.published], columns=["label", "value", "source"])
    return pd.concat([ours, theirs.rename(columns={"value": "published"})], ignore_index=True)


def paper_lines(summary: pd.DataFrame) -> tuple[list[str], list[tuple[str, list[dict[str, Any]]]]]:
    """The settings, and for each assistant its cells in them."""
    rows, names = (list(dict.fromkeys(summary[key])) for key in ("row", "assistant"))
    cells = {(cell["row"], cell["assistant"]): cell for cell in summary.to_dict("records")}
    reward = Column("reward", "reward", _plain)
    lines = []
    for name in names:
        found = [cells.get((row, name)) for row in rows]
        lines.append((shown(name), [_paper_cell(cell, reward) for cell in found]))
    return rows, lines


def _paper_cell(cell: Mapping[Any, Any] | None, reward: Column) -> dict[str, Any]:
    if cell is None:
        return {"text": (NOTHING, ""), "n": "", "few": None}
    return {"text": _text(cell, reward), **_amount(cell["training_seeds"], cell["n"])}


def budgets(about: About) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """What each assistant was given: the kinds of budget, and a line an assistant."""
    kinds = list(dict.fromkeys(kind for budget in about.budgets.values() for kind in budget))
    lines = [
        (shown(name), [_number(budget[kind]) if kind in budget else NOTHING for kind in kinds])
        for name, budget in about.budgets.items()
    ]
    return [kind.replace("_", " ") for kind in kinds], lines


def facts(about: About) -> list[tuple[str, str]]:
    """How the numbers came about."""
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    dataset = [(f"dataset {key}", _number(value)) for key, value in about.dataset.items()]
    entries = [
        *dataset,
        ("tasks", ", ".join(about.tasks)),
        ("training seeds", ", ".join(map(str, about.training_seeds))),
        ("episode seeds", span(about.episode_seeds)),
        ("versions", versions),
        ("machine", about.machine),
    ]
    return [(key, text) for key, text in entries if text]


def span(seeds: Sequence[int]) -> str:
    """`1000 to 1039` where the seeds are consecutive, otherwise all of them."""
    consecutive = len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{seeds[0]} to {seeds[-1]} ({len(seeds)})" if consecutive else ", ".join(map(str, seeds))


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
