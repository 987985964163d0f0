"""Learning-rate schedules: a factor as a pure function of the step, so that there is no state to save."""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

from autonomy.checks import number, whole


class Schedule(Protocol):
    """step in 0..steps-1 -> the factor on the learning rate."""

    def __call__(self, step: int, steps: int) -> float: ...


@dataclasses.dataclass(frozen=True)
class Constant:
    """The factor is 1 throughout."""

    def __call__(self, step: int, steps: int) -> float:
        return 1.0


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Linear warm-up over `warmup` steps, then half a cosine to `final` (Loshchilov & Hutter, arXiv:1608.03983)."""

    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        whole("schedule.warmup", self.warmup, 0)
        number("schedule.final", self.final, 0, 1)

    def __call__(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        progress = (step - self.warmup) / max(1, steps - self.warmup)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


@dataclasses.dataclass(frozen=True)
class Step:
    """factor = decay ** floor(step / every)."""

    every: int = 200
    decay: float = 0.99

    def __post_init__(self) -> None:
        whole("schedule.every", self.every, 1)
        number("schedule.decay", self.decay, 0, 1, above=True)

    def __call__(self, step: int, steps: int) -> float:
        return float(self.decay ** (step // self.every))
