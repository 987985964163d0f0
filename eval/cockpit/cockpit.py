"""The cockpit without a page: what can be chosen, who drives, and the loop that plays it."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autonomy.checkpoint import load_assistant
from autonomy.checks import choice
from autonomy.run_directory import RunDirectory
from autonomy.types import Array, Assistant, Channels, Mask
from envs.world import World
from eval.cockpit.devices import DeadMan, Device, Keys, Sliders, Spectator
from eval.cockpit.handover import action_steps
from eval.cockpit.logbook import Logbook
from eval.cockpit.loop import Loop
from eval.cockpit.person import Person
from eval.cockpit.record import Recorder
from eval.cockpit.seats import Seats
from eval.cockpit.session import Session, Snapshot
from eval.cockpit.stage import Stage
from eval.cockpit.steering import Steering
from eval.cockpit.trial import ASKING, DRIVING, READY, Trial

PATIENCE = 10.0
"""Seconds that a tick may keep us waiting."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """What a person can choose from: assistants and channels by name; the world's corner has menus of its own.

    `intents`: the tasks that any of the assistants has a belief about.
    """

    assistants: Mapping[str, Path]
    channels: Mapping[str, Channels]
    precision: str = "float32"
    intents: tuple[str, ...] = ()


class Cockpit:
    """Everything that a page does goes through here; whatever changes the session is done between two ticks."""

    def __init__(
        self,
        stage: Stage,
        choices: Choices,
        device: Device,
        steering: Steering,
        channels: str,
        seed: int,
        trial: Trial | None = None,
    ) -> None:
        self.choices, self.device, self.steering, self.seats = choices, device, steering, Seats()
        self.stage, self.trial, self.logbook = stage, trial, Logbook(stage.world.period)
        self._rng = np.random.default_rng(seed)
        self._left: list[threading.Thread] = []
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._assistants: dict[str, Assistant] = {}
        self._show_to(device)
        pilot = DeadMan(device, len(steering.labels), lambda: self.seats.grip)
        first = next(iter(choices.assistants))
        self.chosen: dict[str, Any] = {"channels": channels, "assistant": first, **stage.chosen}
        self.chosen |= {"arbitration": "dims", "weight": 0.5}
        """What was chosen last, by what."""
        person = Person(pilot, steering, self._mask(channels))
        helper, limits = self.assistant(first), self._limits(first)
        self.session = Session(self._recorder(), helper, person, seed, limits)
        self.latest: Snapshot | None = None
        self.ticked = threading.Event()
        """Set after every tick, for who draws: then there is time."""
        self.saved: list[str] = []
        """Ids of the data sets with what was done here."""
        self.paused = trial is not None
        """While it is, nothing moves; what was chosen is done all the same."""
        self.loop = Loop(self._tick, stage.world.period)

    @property
    def simulator(self) -> Any:
        """What is drawn where it is MuJoCo's: it then has `model` and `data`."""
        return self.stage.world.simulators[0]

    def assistant(self, name: str) -> Assistant:
        """The assistant `name`, loaded once. Raises `UserError` for an unknown name or a damaged run."""
        choice("assistant", name, tuple(self.choices.assistants))
        if name not in self._assistants:
            self._assistants[name] = load_assistant(self.choices.assistants[name], precision=self.choices.precision)
        return self._assistants[name]

    def join(self, who: int) -> None:
        """Somebody opened the page; the world waits for the first to come."""
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
        """`channels`, `assistant`, `arbitration`, `weight`, or a menu of the world's corner, from the next tick on.

        What takes long, loading and building, is done here and not in the loop. Raises `UserError` for an unknown
        choice.
        """
        session = self.session
        if what == "channels":
            self._todo.put(partial(setattr, session, "mask", self._mask(value)))
        elif what == "assistant":
            helper = self.assistant(value)
            self._todo.put(partial(session.use, helper, self._limits(value)))
        elif what in ("arbitration", "weight"):
            self._todo.put(partial(session.arbitrate, **{what: value}))
        else:
            choice("setting", what, tuple(self.stage.corner.menus))
            left, _ = self.stage.world, self.stage.change(what, value)
            self._todo.put(partial(self._move_on, self._recorder(), left))
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
        self._todo.put(partial(self._move_on, self._recorder()))
        self._todo.put(moved.set)
        if moved.wait(PATIENCE):
            self._left[-1].join()

    def save(self) -> None:
        """Put what was recorded into the local Minari store, when the loop has ended; the ids are in `saved`."""
        for thread in self._left:
            thread.join()
        self._keep(self.session.recorder)

    def _keep(self, recorder: Recorder, left: World | None = None) -> None:
        """Save what was recorded, and close the world that was left for good."""
        name = recorder.save()
        self.saved += [name] if name else []
        if left is not None:
            left.close()

    def _move_on(self, recorder: Recorder, left: World | None = None) -> None:
        saving = threading.Thread(target=self._keep, args=[self.session.recorder, left])
        self._show_to(self.device)
        self.session.move_to(recorder, int(self._rng.integers(2**31)))
        saving.start()
        self._left.append(saving)

    def _show_to(self, device: Device) -> None:
        if isinstance(device, Spectator):
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

    def _limits(self, assistant: str) -> Array:
        run = RunDirectory.open(self.choices.assistants[assistant])
        return action_steps(run, len(self.stage.world.labels))

    def _mask(self, channels: str) -> Mask:
        choice("channels", channels, tuple(self.choices.channels))
        (mask,) = self.choices.channels[channels].sample(1, self._rng)
        return np.asarray(mask)

    def _recorder(self) -> Recorder:
        return Recorder(self.stage.world, self.stage.corner, self.choices.intents)
