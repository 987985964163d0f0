"""Tables of a benchmark whose answers are known, for the tests of its report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from eval.benchmark.about import About

TASKS = ("microwave", "kettle", "bottom burner", "light switch")
ABOUT = About(
    name="known",
    command="python -m eval.benchmark experiment=known",
    versions={"torch": "2.13.0"},
    machine="two cores",
    dataset={"source": "scripted", "episodes": 150, "transitions": 44693, "hash": "36779e05b426"},
    budgets={"mac": {"parameters": 1234567, "steps": 4000}, "bc": {"parameters": 99, "seconds": 12.5}},
    training_seeds=(0, 1, 2, 3, 4),
    episode_seeds=tuple(range(1000, 1030)),
    tasks=TASKS,
    published=(
        {"label": "shared autonomy", "value": "1.81 ± 0.08", "source": "a paper"},
        {"label": "full autonomy", "value": "2.15 ± 0.06", "source": "another"},
    ),
)
GAINS = {"mac": 2.0, "weak": 0.9, "twin": 2.0, "strong": 3.0}
"""The mean reward of each assistant in the row `plain`; in the row `turned` the strong one is weak and vice versa."""


def episodes(row: str, assistant: str, mean: float, seeds: int = 5, **columns: Any) -> pd.DataFrame:
    """30 episodes a training seed whose rewards vary about the mean with episode and training."""
    rng = np.random.default_rng(31 * len(row) + len(assistant))
    hardness = np.tile(np.random.default_rng(len(row)).normal(0, 0.4, 30), (max(1, seeds), 1))
    reward = np.clip(np.round(mean + hardness + rng.normal(0, 0.45, hardness.shape)), 0, 4)
    count = reward.size
    table = {
        "row": row, "operator": row.partition("-")[0], "channels": "shoulder", "curve": None, "strength": np.nan,
        "assistant": assistant, "training_seed": np.repeat(np.arange(float(seeds)) if seeds else [np.nan], 30),
        "seed": np.tile(np.arange(1000, 1030), max(1, seeds)), "reward": reward.ravel(),
        "success": reward.ravel() == 4, "length": 280 - 10 * reward.ravel().astype(int),
        "completed": [TASKS[: int(value)] for value in reward.ravel()], "intended": [TASKS] * count,
        "first_intended": reward.ravel() > 0, "deviation": np.linspace(0.1, 0.3, count), "improbable": np.nan,
        "ms_p50": 2.0, "ms_p99": 5.0,
    }  # fmt: skip
    return pd.DataFrame({**table, **columns})


def matrix() -> pd.DataFrame:
    turned = {**GAINS, "weak": 3.0, "strong": 0.9}
    rows = {"plain": GAINS, "turned": turned}
    parts = [episodes(row, name, mean) for row, means in rows.items() for name, mean in means.items()]
    return pd.concat([*parts, episodes("plain", "nobody", 0.0, 0), episodes("turned", "nobody", 0.0, 0)])
