"""The cockpit without a page: what can be chosen, who drives, and the loop that plays it."""

from __future__ import annotations

import dataclasses
import queue
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from omegaconf import DictConfig

import envs  # noqa: F401  (registers the ids)
from autonomy.checkpoint import load_assistant
from autonomy.checks import choice
from autonomy.types import Assistant, Mask
from eval.cockpit.devices import DeadMan, Device, Keys, Sliders
from eval.cockpit.loop import Loop
from eval.cockpit.record import Recorder
from eval.cockpit.seats import Seats
from eval.cockpit.session import Session, Snapshot
from eval.cockpit.steering import Steering
from eval.settings import channels_of

STEP_LIMIT = 100_000
"""Of an episode that a person ends: two hours."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a person can choose from: assistants by name, channels, task sets and noise."""

    assistants: Mapping[str, Path]
    channels: tuple[str, ...]
    task_sets: tuple[str, ...]
    noises: tuple[str, ...]


class Cockpit:
    """Everything that a page does goes through here; whatever changes the session is done between two ticks."""

    def __init__(
        self, env: DictConfig, choices: Choices, device: Device, steering: Steering, channels: str, seed: int
    ) -> None:
        self.choices, self.device, self.steering, self.seats = choices, device, steering, Seats()
        self._env, self._rng = env, np.random.default_rng(seed)
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._assistants: dict[str, Assistant] = {}
        self._kitchen = self._make_kitchen()
        pilot = DeadMan(device, len(steering.labels))
        first = next(iter(choices.assistants))
        self.chosen: dict[str, Any] = {"channels": channels, "assistant": first, "noise": env.noise}
        """What was chosen last, by what."""
        self.session = Session(self._kitchen, self.assistant(first), pilot, steering, self._mask(channels), seed)
        self.latest: Snapshot | None = None
        self.saved: list[str] = []
        """Ids of the data sets with what was done here."""
        self.loop = Loop(self._tick)

    @property
    def simulator(self) -> Any:
        """What is drawn: MuJoCo's `model` and `data`."""
        return self._kitchen.unwrapped

    def assistant(self, name: str) -> Assistant:
        """The assistant `name`, loaded once. Raises `UserError` for an unknown name or a damaged run."""
        choice("assistant", name, tuple(self.choices.assistants))
        if name not in self._assistants:
            self._assistants[name] = load_assistant(self.choices.assistants[name])
        return self._assistants[name]

    def join(self, who: int) -> None:
        """Somebody opened the page."""
        self.seats.join(who)
        self._seated()

    def leave(self, who: int) -> None:
        """Somebody closed it."""
        self.seats.leave(who)
        self._seated()

    def take_over(self, who: int) -> None:
        """Somebody wants to drive."""
        self.seats.take(who)
        self._seated()

    def _seated(self) -> None:
        if isinstance(self.device, Sliders):
            self.device.present(self.seats.driver is not None)

    def slide(self, who: int | None, index: int, value: float) -> bool:
        """A slider was moved; False when it was not the driver's hand."""
        mine = who is not None and who == self.seats.driver
        if mine and isinstance(self.device, Sliders):
            self.device.set(index, value)
        return mine

    def press(self, who: int | None, key: str) -> None:
        """A key was pressed; only the driver's count."""
        if who is not None and who == self.seats.driver and isinstance(self.device, Keys):
            self.device.press(key)

    def choose(self, what: str, value: Any) -> None:
        """`channels`, `assistant`, `arbitration`, `weight`, `task set` or `noise`, from the next tick on.

        What takes long, loading and building, is done here and not in the loop. Raises `UserError` for an unknown
        choice.
        """
        session = self.session
        if what in ("channels", "assistant"):
            made: Any = self._mask(value) if what == "channels" else self.assistant(value)
            self._todo.put(partial(setattr, session, "mask" if what == "channels" else what, made))
        elif what in ("arbitration", "weight"):
            self._todo.put(partial(session.arbitrate, **{what: value}))
        else:
            choice("setting", what, ("task set", "noise"))
            self._env["tasks" if what == "task set" else what] = value
            self._todo.put(partial(self._move_to, self._make_kitchen()))
        self.chosen[what] = value

    def reset(self) -> None:
        """Begin a new episode before the next tick."""
        self._todo.put(lambda: self.session.reset(int(self._rng.integers(2**31))))

    def save(self) -> None:
        """Put what was recorded into the local Minari store; the ids are in `saved`."""
        name = self._kitchen.save(tuple(self.simulator.tasks))
        self.saved += [name] if name else []

    def _move_to(self, kitchen: Recorder) -> None:
        self.save()
        self._kitchen = self.session.kitchen = kitchen
        self.session.reset(int(self._rng.integers(2**31)))

    def _tick(self) -> None:
        while not self._todo.empty():
            self._todo.get()()
        self.latest = self.session.tick()

    def _mask(self, channels: str) -> Mask:
        (mask,) = channels_of(channels, self._env).sample(1, self._rng)
        return np.asarray(mask)

    def _make_kitchen(self) -> Recorder:
        tasks = self._env.tasks if isinstance(self._env.tasks, str) else tuple(self._env.tasks)
        options = {"obs": "full", "noise": self._env.noise, "max_episode_steps": STEP_LIMIT}
        kitchen = gymnasium.make("autonomy/kitchen-v1", tasks=tasks, disable_env_checker=True, **options)
        return Recorder(kitchen, self._env.obs)
