"""A gamepad at this machine, by pygame; configs/cockpit/device maps its axes and buttons to commands."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from autonomy.checks import number, whole
from autonomy.types import UserError
from eval.cockpit.devices import Clock, Command, steered


@dataclasses.dataclass(frozen=True)
class Axis:
    """The axis `axis` moves `index` by `scale` times its deflection beyond `dead_zone`, a share of the whole."""

    axis: int
    index: int
    scale: float = 1.0
    dead_zone: float = 0.1

    def __post_init__(self) -> None:
        whole("the axis of a gamepad", self.axis, 0)
        number("device.axes: scale", self.scale, -1, 1)
        number("device.axes: dead_zone", self.dead_zone, 0, 0.99)

    def value(self, deflection: float) -> float:
        """Continuous at the edge of the dead zone, `scale` at full deflection."""
        beyond = max(0.0, abs(deflection) - self.dead_zone) / (1 - self.dead_zone)
        return float(np.copysign(min(beyond, 1.0), deflection) * self.scale)


class Pad(Protocol):
    """The hardware: deflections in [-1, 1] and buttons; raises OSError when it is unplugged."""

    def poll(self) -> tuple[Sequence[float], Sequence[bool]]: ...


class Gamepad:
    """A device of `width` values from a pad. `axes`: `Axis` or its fields; `buttons`: number -> [index, value]."""

    def __init__(
        self,
        axes: Iterable[Axis | Mapping[str, Any]],
        buttons: Mapping[int, Sequence[float]],
        width: int,
        pad: Pad | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._axes = [axis if isinstance(axis, Axis) else Axis(**axis) for axis in axes]
        self._buttons = {int(button): (int(index), float(value)) for button, (index, value) in buttons.items()}
        for index in [axis.index for axis in self._axes] + [index for index, _ in self._buttons.values()]:
            steered("the gamepad", index, width)
        self._axes = [axis for axis in self._axes if axis.index < width]
        self._buttons = {button: (index, value) for button, (index, value) in self._buttons.items() if index < width}
        self._width, self._clock = width, clock
        self._pad = PygamePad() if pad is None else pad

    def read(self) -> Command:
        deflections, pressed = self._pad.poll()
        values = np.zeros(self._width, np.float32)
        for axis in self._axes:
            if axis.axis < len(deflections):
                values[axis.index] += axis.value(deflections[axis.axis])
        for button, (index, value) in self._buttons.items():
            if button < len(pressed) and pressed[button]:
                values[index] += value
        return Command(values, self._clock())


class PygamePad:
    """The first gamepad that pygame finds. Raises `UserError` without pygame or a gamepad."""

    def __init__(self) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        try:
            import pygame
        except ImportError as error:
            raise UserError("a gamepad needs pygame; install it with: pip install '.[cockpit]'") from error
        pygame.init()
        if not pygame.joystick.get_count():
            raise UserError("there is no gamepad at this machine; plug one in, or choose device=sliders or keyboard")
        self._pygame, self._pad = pygame, pygame.joystick.Joystick(0)

    def poll(self) -> tuple[list[float], list[bool]]:
        self._pygame.event.pump()
        if not self._pygame.joystick.get_count():
            raise OSError("the gamepad is unplugged")
        axes = [self._pad.get_axis(i) for i in range(self._pad.get_numaxes())]
        return axes, [bool(self._pad.get_button(i)) for i in range(self._pad.get_numbuttons())]
