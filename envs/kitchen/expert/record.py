"""Recording the expert's demonstrations as a Minari data set, once."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minari
from minari.dataset.minari_storage import MinariStorage

from autonomy.types import UserError
from envs.kitchen.expert.lapses import Lapses
from envs.kitchen.expert.noise import ActionNoise
from envs.kitchen.expert.recipe import Recipe
from envs.kitchen.expert.studio import Take, record_take
from envs.parallel import map_episodes
from envs.store import is_recorded, publish, staging

_SPARE = 1.3
"""How many episodes are begun for each one that is missing, since some will not do their tasks."""
_MOST_TRIES = 4
"""Give up when fewer than one episode in so many completes its tasks."""


def record_demonstrations(
    dataset_id: str | None = None,
    n_episodes: int = 150,
    seed: int = 0,
    mixture: str | None = None,
    *,
    noise: ActionNoise | None = None,
    lapses: Lapses | None = None,
    processes: int | None = None,
    **style: Any,
) -> str:
    """Make sure that the data set is in the local Minari store, and return its id; a second call returns at once.

    Observations are the full kitchen's (59,), actions (9,) the expert's intent: noise and lapses are executed, not
    recorded.
    `style`: `speed`, `smooth`, `jitter` and `max_steps` of `Recipe`. Episodes that did not complete just their tasks
    within `max_steps` are dropped and replaced. Each episode's metadata hold `seed`, `order` and `completed` (the
    last two JSON). The content depends on the recipe only, not on `processes`; a process killed half-way leaves no
    half data set. Without `dataset_id` the id names the recipe:
    `autonomy/kitchen-mixed/scripted-n150-seed0-<digest>-v1`. Raises `UserError` for an unusable setting, and when
    `dataset_id` was recorded with other settings.
    """
    recipe = Recipe(mixture or "mixed", n_episodes, seed, noise or ActionNoise(), lapses or Lapses(), **style)
    dataset_id = dataset_id or recipe.default_id()
    if is_recorded(dataset_id, recipe.settings()):
        return dataset_id
    if importlib.util.find_spec("jax") is None:
        raise UserError(
            "recording demonstrations needs an extra of Minari; install it with: pip install 'minari[create]'"
        )
    with staging() as folder:
        takes, tried = _record(recipe, folder, processes)
        publish(_join(takes, folder / "whole"), dataset_id, recipe.settings(), _description(n_episodes, tried))
    print(f"recorded {n_episodes} episodes as {dataset_id}, the first of {tried} that did their tasks")
    return dataset_id


def _record(recipe: Recipe, folder: Path, processes: int | None) -> tuple[list[Take], int]:
    """The first `n_episodes` good takes by number, and how many were tried; the same for any number of processes."""
    takes: list[Take] = []
    tried = 0
    while len(takes) < recipe.n_episodes:
        wave_size = math.ceil(_SPARE * (recipe.n_episodes - len(takes)))
        if tried + wave_size > _MOST_TRIES * recipe.n_episodes + _SPARE:
            raise UserError(
                f"only {len(takes)} of {tried} demonstrations did their tasks; lower the noise or raise max_steps"
            )
        wave = map_episodes(
            record_take,
            [(recipe, index) for index in range(tried, tried + wave_size)],
            processes=processes,
            label="demonstrations",
            environment={"MINARI_DATASETS_PATH": str(folder)},
        )
        takes += [take for take in wave if take.good]
        tried += wave_size
    return takes[: recipe.n_episodes], tried


def _join(takes: Sequence[Take], folder: Path) -> MinariStorage:
    """One data set out of many of one episode each, in their order."""
    first = minari.MinariDataset(takes[0].path)
    folder.mkdir()
    storage = MinariStorage.new(folder / "data", first.observation_space, first.action_space, first.spec.env_spec)
    for take in takes:
        storage.update_from_storage(minari.MinariDataset(take.path).storage)
    storage.update_episode_metadata([take.metadata() for take in takes])
    return storage


def _description(n_episodes: int, tried: int) -> dict[str, Any]:
    """The data set's metadata."""
    return {
        "algorithm_name": "scripted expert (envs.kitchen.expert)",
        "author": {"shared-autonomy"},
        "description": f"Scripted FrankaKitchen demonstrations; {tried} episodes tried, {n_episodes} kept.",
    }
