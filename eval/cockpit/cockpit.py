"""The cockpit without a page: what can be chosen, who drives, and the loop that plays it."""

from __future__ import annotations

import dataclasses
import queue
import threading
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
from autonomy.run_directory import RunDirectory
from autonomy.types import Array, Assistant, Mask
from eval.cockpit.demonstrator import Demonstrator
from eval.cockpit.devices import DeadMan, Device, Keys, Sliders
from eval.cockpit.handover import action_steps
from eval.cockpit.logbook import Logbook
from eval.cockpit.loop import Loop
from eval.cockpit.record import Recorder
from eval.cockpit.seats import Seats
from eval.cockpit.session import Session, Snapshot
from eval.cockpit.steering import Steering
from eval.cockpit.trial import ASKING, DRIVING, READY, Trial
from eval.play import channels_of

STEP_LIMIT, PATIENCE = 100_000, 10.0
"""Of an episode that a person ends, two hours; seconds that a tick may keep us waiting."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a person can choose from: assistants by name, channels, task sets and noise.

    `intents`: the tasks that any of the assistants has a belief about.
    """

    assistants: Mapping[str, Path]
    channels: tuple[str, ...]
    task_sets: tuple[str, ...]
    noises: tuple[str, ...]
    precision: str = "float32"
    intents: tuple[str, ...] = ()


class Cockpit:
    """Everything that a page does goes through here; whatever changes the session is done between two ticks."""

    def __init__(
        self,
        env: DictConfig,
        choices: Choices,
        device: Device,
        steering: Steering,
        channels: str,
        seed: int,
        trial: Trial | None = None,
    ) -> None:
        self.choices, self.device, self.steering, self.seats = choices, device, steering, Seats()
        self.trial, self.logbook = trial, Logbook()
        self._env, self._rng = env, np.random.default_rng(seed)
        self._left: list[threading.Thread] = []
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._assistants: dict[str, Assistant] = {}
        self._kitchen = self._make_kitchen()
        self._show_to(device)
        pilot = DeadMan(device, len(steering.labels), lambda: self.seats.grip)
        first = next(iter(choices.assistants))
        self.chosen: dict[str, Any] = {"channels": channels, "assistant": first, "noise": env.noise}
        self.chosen |= {"arbitration": "dims", "weight": 0.5, "task set": env.get("task_set") or choices.task_sets[0]}
        """What was chosen last, by what."""
        mask = self._mask(channels)
        helper, limits = self.assistant(first), self._limits(first, len(mask))
        self.session = Session(self._kitchen, helper, pilot, steering, mask, seed, limits)
        self.latest: Snapshot | None = None
        self.ticked = threading.Event()
        """Set after every tick, for who draws: then there is time."""
        self.saved: list[str] = []
        """Ids of the data sets with what was done here."""
        self.paused = trial is not None
        """While it is, nothing moves; what was chosen is done all the same."""
        self.loop = Loop(self._tick)

    @property
    def simulator(self) -> Any:
        """What is drawn: MuJoCo's `model` and `data`."""
        return self._kitchen.unwrapped

    def assistant(self, name: str) -> Assistant:
        """The assistant `name`, loaded once. Raises `UserError` for an unknown name or a damaged run."""
        choice("assistant", name, tuple(self.choices.assistants))
        if name not in self._assistants:
            self._assistants[name] = load_assistant(self.choices.assistants[name], precision=self.choices.precision)
        return self._assistants[name]

    def join(self, who: int) -> None:
        """Somebody opened the page; the kitchen waits for the first to come."""
        self.seats.join(who)

    def leave(self, who: int) -> None:
        """Somebody closed it; a driver lets go of the sliders."""
        drove = self.seats.driver == who
        self.seats.leave(who)
        if drove and isinstance(self.device, Sliders):
            self.device.release()

    def let_go(self, who: int | None) -> None:
        """The driver lets go of all sliders before the next tick; they go back to the middle."""
        if self._drives(who) and isinstance(self.device, Sliders):
            self._todo.put(self.seats.let_go)
            self._todo.put(self.device.release)

    def wish(self, who: int | None, task: str) -> bool:
        """The driver pressed a task: see `Wishes.press`. False when it was not the driver.

        Raises `UserError` for a task that the present assistant has no belief about.
        """
        wishes = self.session.copilot.wishes
        choice("task", task, wishes.names)
        if self._drives(who):
            self._todo.put(partial(wishes.press, task))
        return self._drives(who)

    def take_over(self, who: int) -> None:
        """Somebody wants to drive."""
        self.seats.take(who)

    def slide(self, who: int | None, index: int, value: float) -> bool:
        """A slider was moved; False when it was not the driver's hand."""
        mine = self._drives(who)
        if mine and isinstance(self.device, Sliders):
            self.device.set(index, value)
        return mine

    def press(self, who: int | None, key: str) -> None:
        """A key was pressed; only the driver's count."""
        if self._drives(who) and isinstance(self.device, Keys):
            self.device.press(key)

    def choose(self, what: str, value: Any) -> None:
        """`channels`, `assistant`, `arbitration`, `weight`, `task set` or `noise`, from the next tick on.

        What takes long, loading and building, is done here and not in the loop. Raises `UserError` for an unknown
        choice.
        """
        session = self.session
        if what == "channels":
            self._todo.put(partial(setattr, session, "mask", self._mask(value)))
        elif what == "assistant":
            helper = self.assistant(value)
            self._todo.put(partial(session.use, helper, self._limits(value, len(session.mask))))
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

    def begin(self) -> None:
        """Start the trial's next episode."""
        if self.trial is not None and self.trial.state == READY:
            leg = self.trial.leg
            self._todo.put(partial(self.session.arbitrate, "dims" if leg.assisted else "off"))
            self._todo.put(partial(self.session.reset, leg.seed))
            self.trial.began()
            self.paused = False

    def answer(self, ratings: Mapping[str, float]) -> None:
        """What the person says of the trial's last episode. Raises `UserError` as `Trial.answer`."""
        if self.trial is not None and self.trial.state == ASKING:
            self.trial.answer(ratings, self.logbook.entries[-1])

    def finish(self) -> None:
        """Save what was done and pause before a new episode. For a cockpit whose loop runs."""
        self.paused, moved = True, threading.Event()
        kitchen = self._make_kitchen()
        self._todo.put(partial(self._move_to, kitchen))
        self._todo.put(moved.set)
        if moved.wait(PATIENCE):
            self._left[-1].join()

    def save(self) -> None:
        """Put what was recorded into the local Minari store, when the loop has ended; the ids are in `saved`."""
        for thread in self._left:
            thread.join()
        self._keep(self._kitchen)

    def _keep(self, kitchen: Recorder) -> None:
        name = kitchen.save(tuple(kitchen.unwrapped.tasks))  # type: ignore[attr-defined]
        self.saved += [name] if name else []

    def _move_to(self, kitchen: Recorder) -> None:
        self._left.append(threading.Thread(target=self._keep, args=[self._kitchen]))
        self._left[-1].start()
        self._kitchen = self.session.kitchen = kitchen
        self._show_to(self.device)
        self.session.reset(int(self._rng.integers(2**31)))

    def _show_to(self, device: Device) -> None:
        if isinstance(device, Demonstrator):
            device.simulator = self.simulator

    def _tick(self) -> None:
        self._advance()
        self.ticked.set()

    def _advance(self) -> None:
        while not self._todo.empty():
            self._todo.get()()
        if self.paused or (self.latest is None and self.seats.driver is None):
            return
        self.latest = self.session.tick()
        self.logbook.add(self.latest, self.chosen["assistant"])
        if self.latest.ended and self.trial is not None and self.trial.state == DRIVING:
            self.trial.ended()
            self.paused = True

    def _drives(self, who: int | None) -> bool:
        return who is not None and who == self.seats.driver

    def _limits(self, assistant: str, dim: int) -> Array:
        return action_steps(RunDirectory.open(self.choices.assistants[assistant]), dim)

    def _mask(self, channels: str) -> Mask:
        (mask,) = channels_of(channels, self._env).sample(1, self._rng)
        return np.asarray(mask)

    def _make_kitchen(self) -> Recorder:
        tasks = self._env.tasks if isinstance(self._env.tasks, str) else tuple(self._env.tasks)
        limit = STEP_LIMIT if self.trial is None else self._env.max_episode_steps
        options = {"obs": "full", "noise": self._env.noise, "max_episode_steps": limit}
        kitchen = gymnasium.make("autonomy/kitchen-v1", tasks=tasks, disable_env_checker=True, **options)
        return Recorder(kitchen, self._env.obs, self.choices.intents)
