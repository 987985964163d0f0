"""One demonstration, recorded by Minari's DataCollector in a worker process."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
from minari.data_collector.callbacks import StepDataCallback
from minari.dataset.step_data import StepData

import envs  # noqa: F401  (registers the ids)
from autonomy.types import Array
from envs.kitchen.expert.expert import Expert
from envs.kitchen.expert.noise import perturbed_action
from envs.kitchen.expert.orders import MIXTURES
from envs.kitchen.expert.recipe import Recipe

STUDIO_ID = "autonomy/kitchen-v1"
MAX_RETRIES = 20
"""The expert is patient: a lapse may cost it an attempt."""


@dataclass(frozen=True)
class Take:
    """A recorded episode: `path` of a one-episode Minari data set, what was asked for and what was completed."""

    path: Path
    seed: int
    order: tuple[str, ...]
    completed: tuple[str, ...]
    ended_well: bool

    @property
    def good(self) -> bool:
        """It did its tasks, in order, and no other, and the expert was content before time ran out."""
        return self.ended_well and self.completed == self.order

    def metadata(self) -> dict[str, Any]:
        """What is stored with the episode; HDF5 attributes take no tuples of strings, so these are JSON."""
        return {"seed": self.seed, "order": json.dumps(self.order), "completed": json.dumps(self.completed)}


class _Intent(StepDataCallback):
    """Stores the expert's intended action in place of the executed one."""

    def __init__(self) -> None:
        self.action: Array | None = None

    def __call__(
        self, env: gymnasium.Env[Any, Any], obs: Any, info: dict[str, Any], *args: Any, **step: Any
    ) -> StepData:
        data = super().__call__(env, obs, info, *args, **step)
        if data["action"] is not None:
            data["action"] = self.action
        return data


@cache
def _studio(max_steps: int) -> tuple[minari.DataCollector, _Intent]:
    """This process's kitchen with its recorder."""
    intent = _Intent()
    env = gymnasium.make(STUDIO_ID, obs="full", max_episode_steps=max_steps, disable_env_checker=True)
    return minari.DataCollector(env, step_data_callback=lambda: intent), intent


def record_take(job: tuple[Recipe, int]) -> Take:
    """Record candidate episode number `job[1]` of the recipe `job[0]`; it depends on nothing else.

    The data set is written to the store that MINARI_DATASETS_PATH names. The episode ends with the expert's last phase.
    """
    recipe, index = job
    order_rng, expert_rng, noise_rng, lapse_rng, seed_rng = np.random.default_rng([recipe.seed, index]).spawn(5)
    order = MIXTURES[recipe.mixture](order_rng)
    seed = int(seed_rng.integers(2**31))
    expert = Expert(order, expert_rng, max_retries=MAX_RETRIES, **recipe.style())
    offsets, faults = recipe.noise.offsets(noise_rng), recipe.lapses.begin(lapse_rng, **recipe.style())
    recorder, intent = _studio(recipe.max_steps)
    _, info = recorder.reset(seed=seed)
    intent.action = expert.act(recorder.unwrapped)
    ended = False
    while not (ended or expert.done):
        executed = faults.executed(intent.action, recorder.unwrapped)
        _, _, terminated, truncated, info = recorder.step(perturbed_action(executed, next(offsets)))
        ended = terminated or truncated
        intent.action = expert.act(recorder.unwrapped)
    with warnings.catch_warnings():  # Minari asks for metadata that only the whole data set has
        warnings.simplefilter("ignore", UserWarning)
        dataset = recorder.create_dataset(f"take-{index}-v0")
    return Take(Path(dataset.spec.data_path), seed, order, tuple(info["completed"]), expert.done)
