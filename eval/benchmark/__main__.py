"""Compares assistants over training seeds and channels on paired episodes: one command, one report, resumable.

    python -m eval.benchmark experiment=intent
    python -m eval.benchmark experiment=paper-table 'data.path=[a.hdf5,b.hdf5]'

Trainings and cells go to runs/benchmark/{trainings,cells}; the report to runs/benchmark/<name>.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TypeVar

from omegaconf import DictConfig

from autonomy.cli import CONFIGS, main
from autonomy.run_directory import RunDirectory, atomic_write
from eval.benchmark.cells import play_all, read_all
from eval.benchmark.plan import Plan
from eval.benchmark.table import frame, report
from eval.benchmark.trainings import train_all

Unit = TypeVar("Unit")


@main("benchmark", CONFIGS / "benchmark")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/benchmark/benchmark.yaml."""
    plan = Plan(cfg)
    if cfg.stage == "data":
        plan.trainings[0].load_data()
    if cfg.stage in ("train", "all"):
        train_all(_share(plan.trainings, cfg), cfg.processes)
    if cfg.stage in ("play", "all"):
        play_all(_share(plan.cells(), cfg), plan.seeds, plan.store / "cells", cfg.processes)
    if cfg.stage == "all" and cfg.shards == 1:
        _report(plan)


def _share(units: Sequence[Unit], cfg: DictConfig) -> Sequence[Unit]:
    """The units of this shard."""
    return units[cfg.shard :: cfg.shards]


def _report(plan: Plan) -> None:
    cells = plan.cells()
    results = list(zip(cells, read_all(cells, plan.seeds, plan.store / "cells"), strict=True))
    table = report(results, plan.assistants, plan.training_seeds, plan.seeds)
    text = f"{table}{_origin(RunDirectory.open(plan.assisting[0].run))}\n"
    plan.out.mkdir(parents=True, exist_ok=True)
    atomic_write(plan.out / "table.md", text.encode())
    atomic_write(plan.out / "cells.csv", frame(results).to_csv(index=False).encode())
    print(text)
    print(f"out: {plan.out}")


def _origin(run: RunDirectory) -> str:
    """What the assistants learned from, and on which simulator."""
    card = run.read_json(run.card_file)
    size = f"{card['episodes']} episodes, {card['steps']} transitions, hash {card['content_hash'][:12]}"
    return f"Data: {card['source']}, {size}. MuJoCo {version('mujoco')}, torch {version('torch')}."


if __name__ == "__main__":
    run()
