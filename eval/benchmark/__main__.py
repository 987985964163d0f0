"""Compares assistants over training seeds and channels on paired episodes: one command, one report, resumable.

    python -m eval.benchmark experiment=intent
    python -m eval.benchmark experiment=paper-table 'data.path=[a.hdf5,b.hdf5]'

Trainings and cells go to runs/benchmark/{trainings,cells}; the report to runs/benchmark/<name>.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pandas as pd
from omegaconf import DictConfig

from autonomy.cli import main
from autonomy.configs import CONFIGS
from autonomy.run_directory import atomic_write
from eval.benchmark.cells import play_all, read_all
from eval.benchmark.frame import frame, of_people
from eval.benchmark.gallery import exhibits
from eval.benchmark.origin import about
from eval.benchmark.plan import Plan
from eval.benchmark.report import MARKDOWN, write_report
from eval.benchmark.trainings import load_all_data, train_all

Unit = TypeVar("Unit")


@main("benchmark", CONFIGS / "benchmark")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/benchmark/benchmark.yaml."""
    plan = Plan(cfg)
    if cfg.stage == "data":
        load_all_data(plan.trainings)
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
    """Write cells.csv and the report, and print the report's text."""
    cells, home = plan.cells(), plan.store / "cells"
    played = frame(cells, read_all(cells, plan.seeds, home))
    table = pd.concat([played, of_people(plan.people)], ignore_index=True) if plan.people else played
    plan.out.mkdir(parents=True, exist_ok=True)
    atomic_write(plan.out / "cells.csv", table.to_csv(index=False).encode())
    page = write_report(plan.out, table, about(plan), exhibits(cells, table, home, plan.gallery))
    print((plan.out / MARKDOWN).read_text())
    print(f"report: {page}")


if __name__ == "__main__":
    run()
