"""Recording what an operator does alone in a world, as a Minari data set, once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from hydra.utils import get_method, instantiate
from minari.data_collector.episode_buffer import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from omegaconf import DictConfig, OmegaConf

from autonomy.types import ActionBox, Array, Operator, UserError
from envs.store import is_recorded, publish, staging
from envs.world import World, at_least_one

VERSION = 1
"""Raise it whenever worlds or operators change what is recorded with the same settings."""
INTENT = "intent"
"""The step info that labels each step with what the operator was after."""
_SIDE_BY_SIDE = 10
_MOST_TRIES = 4
"""Give up when fewer than one episode in so many is a success."""
Config = Mapping[str, Any] | DictConfig


@dataclasses.dataclass
class Take:
    """One episode: states (T + 1, S), actions (T, D) in [-1, 1], rewards (T,), and what each step was for.

    `late` says that it ended by the limit of time, `good` that the world does not call it a failure.
    """

    seed: int
    states: list[Array] = dataclasses.field(default_factory=list)
    actions: list[Array] = dataclasses.field(default_factory=list)
    rewards: list[float] = dataclasses.field(default_factory=list)
    intents: list[str | None] = dataclasses.field(default_factory=list)
    over: bool = False
    late: bool = False
    good: bool = False

    def add(self, state: Array, action: Array, reward: float, intent: str | None) -> None:
        """Note one step: what was seen, what the operator did, what it brought, and what it was for."""
        self.states.append(state.copy())
        self.actions.append(action)
        self.rewards.append(reward)
        self.intents.append(intent)

    def end(self, info: Mapping[str, Any]) -> None:
        """Note how it ended, by the info of its last step."""
        self.states.append(info["terminal_observation"])
        self.over, self.late = True, bool(info["TimeLimit.truncated"])
        self.good = info.get("success") is not False and "world_error" not in info

    def buffer(self, box: ActionBox, names: Sequence[str]) -> EpisodeBuffer:
        """It as Minari keeps it: the actions in the robot's units, the intents as places in `names`, -1 for none."""
        last = [False] * (len(self.actions) - 1)
        return EpisodeBuffer(
            seed=self.seed,
            observations=np.stack(self.states),
            actions=box.unscaled(np.stack(self.actions)).astype(np.float32),
            rewards=self.rewards,
            terminations=[*last, not self.late],
            truncations=[*last, self.late],
            infos={INTENT: np.array([-1 if name is None else names.index(name) for name in self.intents])},
        )


def record_operator(
    dataset_id: str | None = None,
    *,
    n_episodes: int,
    seed: int,
    name: str,
    world: Config | None,
    operator: Config | None,
    noise: float = 0.0,
) -> str:
    """Make sure that the data set is in the local Minari store, and return its id; a second call returns at once.

    `world` and `operator` are configurations with a `_target_`, of a `World` and of an operator that holds all of its
    dimensions; `name` is the environment's. What is recorded are states, the operator's own actions, and as step infos
    `intent` what it pursues: places in the names that the data set's metadata has as `labels`. Executed is the action
    plus Gaussian noise of the standard deviation `noise`, so that the demonstrations show how to recover. Episodes that
    the world calls a failure are replaced by the next ones. Without `dataset_id` the id names the settings. Raises
    `UserError` for an unusable setting, for an environment without a world or demonstrator, when too few episodes
    succeed, and when `dataset_id` was recorded with other settings.
    """
    settings = _settings(name, n_episodes, seed, noise, world, operator)
    dataset_id = dataset_id or _default_id(settings)
    if is_recorded(dataset_id, settings):
        return dataset_id
    options, demonstrator = dict(settings["world"]), instantiate(settings["operator"])
    made: World = get_method(options.pop("_target_"))(n=min(n_episodes, _SIDE_BY_SIDE), **options)
    takes, tried = _record(made, demonstrator, n_episodes, seed, noise)
    with staging() as folder:
        names = sorted({intent for take in takes for intent in take.intents if intent is not None})
        storage = _write(takes, folder / "whole", made, names)
        publish(storage, dataset_id, settings, _description(names, n_episodes, tried))
    made.close()
    print(f"recorded {n_episodes} episodes as {dataset_id}, the first of {tried} that were no failure")
    return dataset_id


def _settings(
    name: str, n_episodes: int, seed: int, noise: float, world: Config | None, operator: Config | None
) -> dict[str, Any]:
    """All that decides the content, as plain JSON values. Raises `UserError` for what cannot be recorded."""
    at_least_one("n_episodes", n_episodes)
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < np.inf:
        raise UserError(f"the noise of recorded demonstrations must be a number of at least 0, got {noise!r}")
    for what, part in (("simulator", world), ("demonstrator", operator)):
        if part is None:
            raise UserError(f"env={name} has no {what}, so there is nothing to record; give other data=...")
    plain = {"world": _plain(world), "operator": _plain(operator)}
    numbers = {"n_episodes": n_episodes, "seed": seed, "noise": float(noise), "recorder": VERSION}
    return dict(json.loads(json.dumps({"name": name, **numbers, **plain})))


def _plain(config: Any) -> Any:
    return OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else dict(config)


def _default_id(settings: Mapping[str, Any]) -> str:
    """A Minari id that two different settings do not share."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    numbers = f"n{settings['n_episodes']}-seed{settings['seed']}"
    return f"autonomy/{settings['name']}/operator-{numbers}-{digest}-v{VERSION}"


def _record(world: World, operator: Operator, n_episodes: int, seed: int, noise: float) -> tuple[list[Take], int]:
    """The first `n_episodes` good takes by number, and how many were tried; the same for any number side by side."""
    takes: list[Take] = []
    tried = 0
    while len(takes) < n_episodes:
        if tried > _MOST_TRIES * n_episodes:
            raise UserError(f"only {len(takes)} of {tried} demonstrations were a success; lower the noise")
        wave = _play(world, operator, [[seed, tried + index] for index in range(world.num_envs)], noise)
        takes += [take for take in wave if take.good]
        tried += world.num_envs
    return takes[:n_episodes], tried


def _play(world: World, operator: Operator, numbers: Sequence[Sequence[int]], noise: float) -> list[Take]:
    """One episode in each environment, of which each depends on its own of the `numbers` alone."""
    dim = len(world.labels)
    draws = [np.random.default_rng(number).spawn(3) for number in numbers]
    takes = [Take(int(own[2].integers(2**31))) for own in draws]
    world.stage([take.seed for take in takes])
    states, infos = np.asarray(world.reset()), world.reset_infos
    for index, own in enumerate(draws):
        operator.reset(index, own[0], np.ones(dim, np.bool_))
    while not all(take.over for take in takes):
        actions = np.clip(np.asarray(operator.act(states, world.simulators), np.float32), -1.0, 1.0)
        offsets = np.stack([own[1].normal(0.0, noise, dim) for own in draws])
        before, completed = states, [info["completed"] for info in infos]
        moved, rewards, dones, infos = world.step(np.clip(actions + offsets, -1.0, 1.0).astype(np.float32))
        states = np.asarray(moved)
        for index, take in enumerate(takes):
            if not take.over:
                pursued = next((task for task in operator.intent(index) if task not in completed[index]), None)
                take.add(before[index], actions[index], float(rewards[index]), pursued)
                if dones[index]:
                    take.end(infos[index])
    return takes


def _write(takes: Sequence[Take], folder: Path, world: World, names: Sequence[str]) -> MinariStorage:
    """The takes as one data set called `data` in a new `folder`."""
    folder.mkdir()
    low, high = (np.asarray(bound, np.float32) for bound in (world.box.low, world.box.high))
    storage = MinariStorage.new(folder / "data", world.observation_space, spaces.Box(low, high, dtype=np.float32))
    storage.update_episodes(take.buffer(world.box, names) for take in takes)
    return storage


def _description(names: Sequence[str], n_episodes: int, tried: int) -> dict[str, Any]:
    """The data set's metadata."""
    return {
        "labels": {INTENT: list(names)},
        "algorithm_name": "scripted operator (envs.record)",
        "author": {"shared-autonomy"},
        "description": f"What an operator did alone; {tried} episodes tried, {n_episodes} kept.",
    }
