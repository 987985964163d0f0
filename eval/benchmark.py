"""Compares assistants over training seeds and channels on paired episodes: one command, one table, resumable.

    python -m eval.benchmark experiment=intent
    python -m eval.benchmark experiment=human 'data.path=[a.hdf5,b.hdf5]'

Run directories, cells, `table.md` and `cells.csv` (a line an episode) go to runs/benchmark/<name>.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from autonomy.checks import whole
from autonomy.cli import main
from autonomy.run_directory import RunDirectory, atomic_write
from autonomy.types import UserError
from eval.cells import Cell, play_all
from eval.episodes import EpisodeRecord
from eval.settings import ZERO, compose_rollout, setting_of, usable_folder
from eval.stats import caveat, clustered_interval, compare
from eval.trainings import Training, plan, train_all

Value = Callable[[EpisodeRecord], float | None]
Results = Sequence[tuple[Cell, Sequence[EpisodeRecord]]]
METRICS: dict[str, Value] = {
    "reward": lambda record: record.reward,
    "deviation": lambda record: record.deviation,
    "first intended": lambda record: record.first_intended,
}


@main("benchmark")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/benchmark.yaml."""
    config = _plain(cfg)
    home, seeds = usable_folder(Path(config["out"])), _seeds(config)
    _check_cells(config)
    trainings = plan(config["assistants"], config["training_seeds"], config["train"], home, config["variants"])
    partner = [] if config["partner_seed"] is None else plan(["bc"], [config["partner_seed"]], config["train"], home)
    train_all([*partner, *trainings], config["processes"])
    cells = _cells(config, trainings)
    results = list(zip(cells, play_all(cells, seeds, home, config["processes"]), strict=True))
    table = report(results, config["assistants"], config["training_seeds"], seeds)
    text = f"{table}{_origin(RunDirectory.open(trainings[0].run))}\n"
    atomic_write(home / "table.md", text.encode())
    atomic_write(home / "cells.csv", _frame(results).to_csv(index=False).encode())
    print(text)
    print(f"out: {home}")


def _origin(run: RunDirectory) -> str:
    """What the assistants learned from, and on which simulator."""
    card = run.read_json(run.card_file)
    size = f"{card['episodes']} episodes, {card['steps']} transitions, hash {card['content_hash'][:12]}"
    return f"Data: {card['source']}, {size}. MuJoCo {version('mujoco')}, torch {version('torch')}."


def _plain(cfg: DictConfig) -> dict[str, Any]:
    """Plain containers. Raises `UserError` when something that has to be given was not."""
    try:
        return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    except InterpolationToMissingValueError as error:
        key = str(error).splitlines()[0].rpartition(": ")[2]
        raise UserError(f"{key} has no value; give {key}=...") from error


def _seeds(config: dict[str, Any]) -> list[int]:
    """The episode seeds. Raises `UserError` for a number out of its range or an empty list."""
    for key in ("assistants", "training_seeds", "cells"):
        if not isinstance(config[key], list) or not config[key]:
            raise UserError(f"{key} must be a list of one or more, got {config[key]!r}")
    for seed in config["training_seeds"]:
        whole("training_seeds", seed, 0)
    if config["processes"] is not None:
        whole("processes", config["processes"], 1)
    first = whole("seed", config["seed"], 0)
    return list(range(first, first + whole("episodes", config["episodes"], 1)))


def _check_cells(config: dict[str, Any]) -> None:
    """Raise `UserError` (or Hydra's error) for a cell that does not compose: before hours of training, not after."""
    for key in ("cells", "references"):
        for overrides in config[key]:
            if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
                raise UserError(f"{key} must be lists such as [operator=expert, channels=shoulder], got {overrides!r}")
            compose_rollout([*overrides, "run=zero"])


def _cells(config: dict[str, Any], trainings: Sequence[Training]) -> list[Cell]:
    """Every cell with every trained assistant, then the references."""
    env = RunDirectory.open(trainings[0].run).config().env
    cells = [
        _cell(overrides, env, training.assistant, training.seed, str(training.run))
        for overrides in config["cells"]
        for training in trainings
    ]
    return cells + [_cell(overrides, env, "nobody", None, ZERO) for overrides in config["references"]]


def _cell(overrides: Sequence[str], env: DictConfig, assistant: str, seed: int | None, run: str) -> Cell:
    setting = setting_of(run, overrides, env)
    _, operator, channels = setting.labels()
    return Cell(f"{operator}-{channels}", assistant, seed, run, setting)


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
    lines = ["| operator-channels | difference | reward | deviation |", "|---|---|---|---|"]
    for row in rows:
        for other in assistants[1:]:
            texts = [_difference(results, row, (assistants[0], other), METRICS[key]) for key in ("reward", "deviation")]
            if any(text != "-" for text in texts):
                lines.append(f"| {row} | {assistants[0]} minus {other} | {' | '.join(texts)} |")
    return lines


def _difference(results: Results, row: str, names: tuple[str, str], value: Value) -> str:
    ours, theirs = (values_of(results, row, name, value) for name in names)
    return "-" if ours is None or theirs is None else str(compare(ours, theirs))


def values_of(results: Results, row: str, assistant: str, value: Value) -> NDArray[np.float64] | None:
    """`value` of the records, (training seeds, episodes); None without such cells or when a record has no value."""
    chosen = [records for cell, records in results if (cell.row, cell.assistant) == (row, assistant)]
    table = [[value(record) for record in records] for records in chosen]
    if not table or any(entry is None for entries in table for entry in entries):
        return None
    return np.array(table, dtype=float)


def _interval(values: NDArray[np.float64] | None) -> str:
    return "-" if values is None else str(clustered_interval(values))


def _notes(training_seeds: Sequence[int], seeds: Sequence[int]) -> list[str]:
    trained = ", ".join(map(str, training_seeds))
    return [
        f"Mean [95% interval]. Training seeds {trained}; {len(seeds)} episodes each (n: their product), with the seeds",
        f"{seeds[0]} to {seeds[-1]} in every line. Intervals: two-level bootstrap over training seeds and episodes.",
        caveat(training_seeds),
        "p: paired permutation test over the episodes, for these trained models. Reward: tasks done an episode.",
        "Deviation: mean of executed minus the operator's own action, without sign, on the filled dimensions.",
        "First intended: the first task done was the one that the operator meant to do first.",
        "nobody: the other dimensions stand still, so this is the operator alone; on `all` it is the full operator.",
    ]


def _frame(results: Results) -> pd.DataFrame:
    """A row an episode."""
    return pd.DataFrame(
        [
            {"row": cell.row, "training_seed": cell.training_seed, **dataclasses.asdict(record)}
            for cell, records in results
            for record in records
        ]
    )


if __name__ == "__main__":
    run()
