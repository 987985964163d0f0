"""What a person holds: devices that give commands, and the dead man's switch that stops a silent one."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from autonomy.checks import choice, number, whole
from autonomy.types import Array, UserError

SILENCE = 0.5
"""Seconds without a sign of life after which the operator's dimensions hold still."""
MAPPED = 9
"""A map of keys or of a gamepad may name so many things; it leaves out those that are not there to be steered."""
Clock = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Command:
    """`values` (N,), one for each thing that can be steered, in [-1, 1]; `at`: the device's last sign of life, in
    seconds of its clock."""

    values: Array
    at: float


class Device(Protocol):
    """A source of commands. Reading takes no time: whoever listens to hardware does so elsewhere."""

    def read(self) -> Command:
        """The present command."""
        ...


@runtime_checkable
class Spectator(Protocol):
    """A device that sees what it moves: it is given the simulator, and another one with another world."""

    simulator: Any


class Reading(NamedTuple):
    """`values` (N,) in [-1, 1]; `problem`: a sentence that says why they are zeros, or nothing; `holder`: in whose
    hands the device is, None for nobody's."""

    values: Array
    problem: str
    holder: Hashable | None

    @property
    def failed(self) -> bool:
        """Whether a device in somebody's hands could not be trusted."""
        return bool(self.problem) and self.holder is not None


class DeadMan:
    """Reads a device of `width` values and holds still when it cannot be trusted, or when `holder()` says that it is in
    nobody's hands."""

    def __init__(
        self,
        device: Device,
        width: int,
        holder: Callable[[], Hashable | None] = lambda: "somebody",
        clock: Clock = time.monotonic,
    ) -> None:
        self._device, self._width, self._holder, self._clock = device, width, holder, clock

    def read(self) -> Reading:
        """The command, clipped; or zeros with the problem."""
        holder = self._holder()
        problem = "nobody drives" if holder is None else ""
        values = np.zeros(self._width, np.float32)
        if not problem:
            values, problem = self._trusted()
        if problem:
            return Reading(np.zeros_like(values), f"{problem}: the operator's dimensions hold still", holder)
        return Reading(np.clip(values, -1, 1), "", holder)

    def _trusted(self) -> tuple[Array, str]:
        """What the device says, and why it must not be believed, or nothing."""
        nothing = np.zeros(self._width, np.float32)
        try:
            command = self._device.read()
            values = np.asarray(command.values, np.float32)
        except Exception as error:  # whatever hardware and its drivers raise must not stop the loop
            return nothing, f"the device failed: {error}"
        if values.shape != (self._width,) or not np.isfinite(values).all():
            return nothing, f"the device must give {self._width} finite numbers"
        silent = self._clock() - command.at
        return values, f"the device has been silent for {silent:.1f} s" if silent > SILENCE else ""


class Sliders:
    """Values that stay until they are set again or released."""

    def __init__(self, width: int, clock: Clock = time.monotonic) -> None:
        self._values, self._clock, self._lock = np.zeros(width, np.float32), clock, threading.Lock()

    def set(self, index: int, value: float) -> None:
        """Move one of them. A value that is not finite is ignored."""
        if np.isfinite(value):
            with self._lock:
                self._values[index] = value

    def release(self) -> None:
        """All of them to the middle."""
        with self._lock:
            self._values[:] = 0

    def read(self) -> Command:
        with self._lock:
            return Command(self._values.copy(), self._clock())


class Keys:
    """Keys of a keyboard: each moves one thing at `speed`, for `pulse` seconds from its last press on.

    `keys`: name -> [index, direction]. Browsers tell of presses, and repeat them while a key is held, but not of
    releases. Raises `UserError` for a direction other than -1 and 1 or an index that nothing has.
    """

    def __init__(
        self,
        keys: Mapping[str, Sequence[int]],
        width: int,
        speed: float = 0.5,
        pulse: float = 0.35,
        clock: Clock = time.monotonic,
    ) -> None:
        made = {name.upper(): _key(name, where, width) for name, where in keys.items()}
        self.keys = {name: key for name, key in made.items() if key[0] < width}
        self._width, self._clock = width, clock
        self._speed, self._pulse = number("device.speed", speed, 0, 1, above=True), number("device.pulse", pulse, 0)
        self._until: dict[str, float] = {}
        self._seen = clock()

    def press(self, key: str) -> None:
        """A key went down. Raises `UserError` for one that is not mapped."""
        name = choice("key", key.upper(), tuple(self.keys))
        self._seen = self._clock()
        self._until[name] = self._seen + self._pulse

    def read(self) -> Command:
        values, now = np.zeros(self._width, np.float32), self._clock()
        for name, until in list(self._until.items()):
            if now < until:
                index, direction = self.keys[name]
                values[index] += direction * self._speed
        return Command(values, self._seen if any(values) else now)


def _key(name: str, where: Sequence[int], width: int) -> tuple[int, int]:
    index, direction = where
    if direction not in (-1, 1):
        raise UserError(f"the key {name} must move in direction 1 or -1, got {direction}")
    return steered(f"key {name}", index, width), direction


def steered(what: str, index: int, width: int) -> int:
    """The index itself. One beyond the `width` things that are steered is left out by who asks, so that one preset
    serves for many joints, for few, and for a hand. Raises `UserError` for one that nothing has."""
    most = max(width, MAPPED)
    if whole(f"the index that {what} moves", index, 0) >= most:
        raise UserError(f"{what} moves index {index}, but only 0 to {most - 1} can be steered")
    return index
