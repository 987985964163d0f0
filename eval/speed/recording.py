"""Recording a demonstration beside the physics in it."""

from __future__ import annotations

import os
import tempfile
import time
from unittest.mock import patch

from envs.kitchen.expert.recipe import Recipe
from envs.kitchen.expert.studio import record_take
from envs.kitchen.simulation import Simulation
from eval.speed.timing import Row

EPISODES = 8


def measure(batch: int, repeats: int) -> list[Row]:
    """Episodes of the default recipe in this process; neither argument is read. Processes share nothing: what holds for
    one core holds for all."""
    physics, advance = 0.0, Simulation._advance

    def timed(simulation: Simulation, row: int) -> None:
        nonlocal physics
        started = time.perf_counter()
        advance(simulation, row)
        physics += time.perf_counter() - started

    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"MINARI_DATASETS_PATH": folder}):
        record_take((Recipe(), 0))
        with patch.object(Simulation, "_advance", timed):
            started = time.perf_counter()
            for index in range(1, EPISODES + 1):
                record_take((Recipe(), index))
            seconds = time.perf_counter() - started
    share = f"{physics / seconds:.0%} of the limit"
    return [Row("a demonstration", seconds / EPISODES, None, "-", physics / EPISODES, "its mj_step", share)]
