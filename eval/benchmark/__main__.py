"""Compares assistants over training seeds and channels on paired episodes: one command, one table, resumable.

    python -m eval.benchmark experiment=intent
    python -m eval.benchmark experiment=human 'data.path=[a.hdf5,b.hdf5]'

Run directories, cells, `table.md` and `cells.csv` (a line an episode) go to runs/benchmark/<name>.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from autonomy.checks import whole
from autonomy.cli import CONFIGS, main
from autonomy.run_directory import RunDirectory, atomic_write
from autonomy.types import UserError
from eval.benchmark.cells import Cell, play_all
from eval.benchmark.table import frame, report
from eval.benchmark.trainings import Training, plan, train_all
from eval.settings import ZERO, compose_rollout, setting_of, usable_folder


@main("benchmark", CONFIGS / "benchmark")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/benchmark/benchmark.yaml."""
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
    atomic_write(home / "cells.csv", frame(results).to_csv(index=False).encode())
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


if __name__ == "__main__":
    run()
