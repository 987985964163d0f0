"""Small kitchen data for the tests: poses that complete given tasks, written in D4RL's and in Minari's layout."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer
from numpy.typing import NDArray

from envs.kitchen.tasks import GOALS

HUMAN = Path(__file__).resolve().parents[2] / "shared" / "data" / "kitchen"
START = np.zeros(30)
START[23:] = (-0.269, 0.35, 1.62, 1.0, 0.0, 0.0, 0.0)  # the kettle on its burner


def poses(order: Sequence[str], steps: int) -> NDArray[np.float64]:
    """Poses (steps, 30): the tasks come to their goals one by one, at even distances, the last one in the last row."""
    rows = np.tile(START, (steps, 1))
    for number, task in enumerate(order, start=1):
        indices, goal = GOALS[task]
        rows[number * (steps - 1) // len(order) :, list(indices)] = goal
    rows[:, 0] = np.linspace(0.0, 1.0, steps)  # so that no two rows are equal
    return rows


def actions(steps: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (steps, 9)).astype(np.float32)


def full(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Observations (T, 59) in the layout of FrankaKitchen-v1; all velocities are 7."""
    seven = np.full((len(pose), 29), 7.0)
    return np.concatenate([pose[:, :9], seven[:, :9], pose[:, 9:], seven[:, 9:]], axis=1)


def d4rl_arrays(orders: Sequence[Sequence[str]], steps: int = 9) -> dict[str, NDArray[Any]]:
    """The arrays of a D4RL file with an episode of `steps` rows for each order; the rewards are nonsense."""
    total = steps * len(orders)
    pose = np.concatenate([poses(order, steps) for order in orders])
    goal = np.full((total, 30), 3.0)
    ends = np.zeros(total, np.float32)
    ends[steps - 1 :: steps] = 1.0
    return {
        "observations": np.concatenate([pose, goal], axis=1).astype(np.float32),
        "actions": actions(total),
        "rewards": np.full(total, 99.0, np.float32),
        "terminals": ends,
    }


def write_hdf5(file: Path, arrays: dict[str, NDArray[Any]], **names: Sequence[str]) -> Path:
    """A file of `arrays`; `names` become the attribute `names` of the array with that key."""
    with h5py.File(file, "w") as content:
        for key, array in arrays.items():
            content[key] = array
        for key, given in names.items():
            content[key].attrs["names"] = list(given)
    return file


def write_minari(
    id: str,
    episodes: Sequence[tuple[Any, NDArray[Any]]],
    observation_space: gymnasium.Space[Any],
    infos: Sequence[dict[str, Any] | None] | None = None,
    action_space: gymnasium.Space[Any] | None = None,
) -> None:
    """A data set in the local store, of (observations (T + 1, ...), actions (T, D)) pairs; the rewards are nonsense.

    `infos`: those of each episode, none by default.
    """
    buffers = [
        EpisodeBuffer(
            observations=observations,
            actions=list(action),
            rewards=[99.0] * len(action),
            terminations=[False] * len(action),
            truncations=[False] * (len(action) - 1) + [True],
            infos=info,
        )
        for (observations, action), info in zip(episodes, infos or [None] * len(episodes), strict=True)
    ]
    if action_space is None:
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (episodes[0][1].shape[1],), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no environment is named
        minari.create_dataset_from_buffers(
            id,
            buffers,
            observation_space=observation_space,
            action_space=action_space,
            algorithm_name="a test",
            author="a test",
            author_email="nobody@example.org",
            code_permalink="none",
            description="a test",
        )
