"""Plays episodes of one setting: world, operator and assistant in this process, one episode seed an environment."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf

from autonomy.channels import parse_channels
from autonomy.facts import is_playable
from autonomy.types import Channels, UserError
from envs.shared_control import SharedControl
from envs.world import World
from eval.episodes import EpisodeRecord, Tally
from eval.probe import Probe
from eval.recognition import Witness

Watch = Callable[[World, dict[str, Any]], None]


@dataclasses.dataclass(frozen=True)
class Setting:
    """Who plays what, as plain resolved configuration that any process can instantiate.

    `assistant` and `operator` have a `_target_`; `channels` is a value that `channels_of` reads; `env` is a
    configuration of the group `env`; `name` is the assistant's name in records; `seed` is that of the operator's and
    the channels' draws, which also depend on the episode seed and on nothing else. Raises `UserError` for channels that
    the environment has not.
    """

    name: str
    assistant: Mapping[str, Any]
    operator: Mapping[str, Any]
    channels: str | Sequence[int]
    env: Mapping[str, Any]
    seed: int = 0

    def __post_init__(self) -> None:
        channels_of(self.channels, self.env)

    def labels(self) -> tuple[str, str, str]:
        """The names of assistant, operator and channels. Makes all three, so mistakes in them show early."""
        instantiate(self.assistant)
        return self.name, str(instantiate(self.operator).name), channels_of(self.channels, self.env).name


def channels_of(value: Any, env: Mapping[str, Any] | DictConfig) -> Channels:
    """Return the channels `value`, such as base, random-3 or [0, 3], of the configuration `env`. Raises `UserError`."""
    return parse_channels(value, env["action_dim"], env.get("channels") or {})


def world_of(env: Mapping[str, Any]) -> dict[str, Any]:
    """How to make the world of a configuration of the group `env`. Raises `UserError` for one without a simulator."""
    if not is_playable(env):
        raise UserError(
            f"env={env['name']} has no simulator, so nothing can be played; eval.offline judges without one"
        )
    return dict(env["world"])


def make_world(env: Mapping[str, Any], n: int) -> World:
    """`n` environments of the configuration `env`. Raises `UserError` for an option that the world does not have."""
    plain: Any = OmegaConf.to_container(env, resolve=True) if isinstance(env, DictConfig) else env
    options = world_of(plain)
    world: World = get_method(options.pop("_target_"))(n=n, **options)
    return world


def check_world(env: Mapping[str, Any]) -> None:
    """Raise `UserError` for an option in `env` that the world does not have, without playing anything."""
    make_world(env, 1).close()


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes are the parallelism here, and sums must not depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def play(setting: Setting, seeds: Sequence[int], batch: int, watch: Watch | None = None) -> list[EpisodeRecord]:
    """The episodes `seeds` of `setting`, at most `batch` of them, side by side in `batch` environments.

    The assistant is made anew for each call, so that the generator of a sampling one starts from its own seed. Together
    with the fixed width of the batch this makes the records a function of `setting`, `seeds` and `batch` alone.
    `watch(world, info of the first episode)` is called after every step; where the assistant has a belief, the info has
    it as `belief` (see `eval.recognition.Belief`). An assistant that is `told` hears what the operator pursues.
    """
    bare = _kept_world(json.dumps(dict(setting.env)), batch)
    bare.stage(seeds)
    assistant, operator = instantiate(setting.assistant), instantiate(setting.operator)
    channels = channels_of(setting.channels, setting.env)
    tell = assistant.intents if getattr(assistant, "told", False) else ()
    world = SharedControl(bare, operator, channels, setting.seed, tell=tell)
    names = (setting.name, str(operator.name), str(channels.name))
    probe = Probe(assistant, [setting.seed, *seeds])
    with one_thread():
        return _episodes(world, assistant, probe, names, seeds, watch and functools.partial(watch, bare))


@functools.lru_cache(maxsize=2)
def _kept_world(env: str, n: int) -> World:
    """Making a world may take longer than a tenth of an episode, so a process keeps its last worlds."""
    return make_world(json.loads(env), n)


def _episodes(
    world: SharedControl,
    assistant: Any,
    probe: Probe,
    names: tuple[str, str, str],
    seeds: Sequence[int],
    watch: Callable[[dict[str, Any]], None] | None,
) -> list[EpisodeRecord]:
    tallies = {index: Tally() for index in range(len(seeds))}
    records: dict[int, EpisodeRecord] = {}
    observation: Any = world.reset()
    state, starts, witness = None, np.ones(world.num_envs, dtype=bool), Witness(assistant)
    while tallies:
        seen, began = observation, time.perf_counter()
        actions, state = assistant.predict(observation, state, starts, deterministic=True)
        ms = 1e3 * (time.perf_counter() - began)
        observation, rewards, starts, infos = world.step(actions)
        witness.note(state, infos, starts)
        if watch and 0 in tallies:
            watch(infos[0])
        intents = probe.measure(seen, [index for index in tallies if "operator_error" not in infos[index]])
        for index in list(tallies):
            tallies[index].add(float(rewards[index]), infos[index], ms, intents.get(index))
            if starts[index]:
                records[index] = tallies.pop(index).record(infos[index], names, seeds[index])
    return [records[index] for index in range(len(seeds))]
