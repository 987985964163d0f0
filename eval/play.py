"""Plays episodes of one setting: world, operator and assistant in this process, one episode seed an environment."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from envs.shared_control import SharedControl
from envs.world import World
from eval.episodes import EpisodeRecord, Tally
from eval.probe import Probe
from eval.recognition import Witness
from eval.setting import Setting

Watch = Callable[[World, dict[str, Any]], None]
_KEPT: deque[tuple[Callable[..., World], int, World]] = deque(maxlen=2)
"""The worlds that this process made last, and of what."""


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
    bare = _kept_world(setting, batch)
    bare.stage(seeds)
    assistant, operator, channels = setting.assistant(), setting.operator(), setting.channels
    tell = assistant.intents if getattr(assistant, "told", False) else ()
    world = SharedControl(bare, operator, channels, setting.seed, tell=tell)
    names = (setting.name, str(operator.name), str(channels.name))
    probe = Probe(assistant, [setting.seed, *seeds])
    with one_thread():
        return _episodes(world, assistant, probe, names, seeds, watch and functools.partial(watch, bare))


def _kept_world(setting: Setting, n: int) -> World:
    """Making a world may take longer than a tenth of an episode, so a process keeps its last ones."""
    for factory, width, world in _KEPT:
        if factory == setting.world and width == n:
            return world
    made = setting.world(n=n)
    _KEPT.append((setting.world, n, made))
    return made


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
