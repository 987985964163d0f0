"""How a benchmark's numbers came about: command, versions, machine, data, budgets, calibration."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from autonomy.checkpoint import load_assistant
from autonomy.run_directory import RunDirectory
from envs.parallel import available_cores
from eval.benchmark.about import About
from eval.benchmark.plan import Plan
from eval.episodes import write_summary
from eval.intent import calibration
from eval.probe import KnowsIntent
from eval.scores import score_of

_PACKAGES = ("mujoco", "gymnasium-robotics", "torch", "numpy", "shared-autonomy")


def about(plan: Plan) -> About:
    """What the report says beside the numbers of a `plan` whose trainings are done."""
    return About(
        name=plan.name,
        command=f"python -m eval.benchmark {shlex.join(sys.argv[1:])}",
        versions={"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        machine=f"{platform.system()} {platform.machine()}, {available_cores()} cores",
        dataset=_dataset(plan),
        budgets={training.assistant: _budget(training.run) for training in reversed(plan.assisting)},
        training_seeds=plan.training_seeds,
        episode_seeds=plan.seeds,
        tasks=list(plan.env.tasks),
        published=plan.published,
        calibration=_calibration(plan),
        rows=_rows(plan),
        grows=plan.grows,
        score=score_of(plan.env),
    )


def _dataset(plan: Plan) -> Mapping[str, object]:
    """What the data card says; of several sets of demonstrations, all of it in the order of their sizes."""
    runs = {training.amount: RunDirectory.open(training.run) for training in reversed(plan.assisting)}
    cards = [run.read_json(run.card_file) for _, run in sorted(runs.items(), key=lambda item: item[0] or 0)]
    keys = {"source": "source", "episodes": "episodes", "transitions": "steps", "hash": "content_hash"}
    found = {name: list(dict.fromkeys(card[key] for card in cards)) for name, key in keys.items()}
    return {name: values[0] if len(values) == 1 else "; ".join(map(str, values)) for name, values in found.items()}


def _rows(plan: Plan) -> list[str]:
    """The rows on which the verdict rests, where it is not on all: not on people's, nor where training seeds lack."""
    cells = plan.cells()
    if plan.grows:
        seeds = {cell.row: {one.training_seed for one in cells if one.row == cell.row} for cell in cells}
        return [row for row, found in seeds.items() if found >= {*plan.training_seeds}]
    return list(dict.fromkeys(cell.row for cell in cells if cell.curve is None)) if plan.people else []


def _budget(run: Path) -> Mapping[str, float | str]:
    """Of an assistant's first training seed; what does not apply is left out."""
    directory = RunDirectory.open(run)
    return {key: value for key, value in directory.read_json(directory.budget_file).items() if value is not None}


def _calibration(plan: Plan) -> Mapping[str, Sequence[float]]:
    """Ranks of held-out actions under the first assistant's density, kept in the report's folder; {} without one."""
    run, channels = plan.assisting[0].run, plan.channels
    wanted = {"run": run.name, "rows": plan.calibration_rows, "channels": channels}
    if not plan.calibration_rows or not channels or not isinstance(load_assistant(run), KnowsIntent):
        return {}
    file = plan.out / "calibration.json"
    kept: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    if {key: kept.get(key) for key in wanted} != wanted:
        ranks = calibration(run, channels, plan.calibration_rows, torch.Generator().manual_seed(0))
        kept = {**wanted, "ranks": {name: found.tolist() for name, found in ranks.items()}}
        write_summary(file, kept)
    return dict(kept["ranks"])
