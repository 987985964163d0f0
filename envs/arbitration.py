"""Who has the last word on each dimension of an action: strategies of `SharedControl`."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import numpy as np

from autonomy.types import Array, Mask, UserError


class Arbitration(abc.ABC):
    """Makes one action of two wishes.

    `alone`: whether the assistant's wish on the operator's dimensions counts, too. An assistant leaves those as it is
    shown them, so it is then to be asked with an empty mask.
    """

    name: ClassVar[str]
    alone: ClassVar[bool] = False

    @abc.abstractmethod
    def combine(self, operator: Array, assistant: Array, mask: Mask) -> Array:
        """What is executed (B, D) when `operator` and `assistant` wish (B, D), inside the box of actions, and the
        operator holds `mask` (B, D)."""


@dataclasses.dataclass(frozen=True)
class Dims(Arbitration):
    """The operator moves what it holds, bit for bit, and the assistant the rest."""

    name: ClassVar[str] = "dims"

    def combine(self, operator: Array, assistant: Array, mask: Mask) -> Array:
        return np.where(mask, operator, assistant)


@dataclasses.dataclass(frozen=True)
class Blend(Arbitration):
    """On what the operator holds `weight` times its wish and the rest of the assistant's own; else as `Dims`.

    Raises `UserError` for a weight outside [0, 1].
    """

    weight: float = 0.5
    name: ClassVar[str] = "blend"
    alone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 <= self.weight <= 1:
            raise UserError(f"weight must be a number of at least 0 and at most 1, got {self.weight!r}")

    def combine(self, operator: Array, assistant: Array, mask: Mask) -> Array:
        blended = (self.weight * operator + (1 - self.weight) * assistant).astype(np.float32)
        return np.where(mask, blended, assistant)


@dataclasses.dataclass(frozen=True)
class Off(Arbitration):
    """The operator moves what it holds, and nobody moves the rest."""

    name: ClassVar[str] = "off"

    def combine(self, operator: Array, assistant: Array, mask: Mask) -> Array:
        return np.where(mask, operator, np.float32(0))


DIMS = Dims()
ARBITRATIONS = (Dims.name, Blend.name, Off.name)


def arbitration_of(name: str, weight: float = 0.5) -> Arbitration:
    """The arbitration `name`; `weight` is that of `Blend`. Raises `UserError` for an unknown name, and as `Blend`."""
    if name not in ARBITRATIONS:
        raise UserError(f"unknown arbitration {name!r}; the valid ones are {', '.join(ARBITRATIONS)}")
    return Blend(weight) if name == Blend.name else Off() if name == Off.name else DIMS
