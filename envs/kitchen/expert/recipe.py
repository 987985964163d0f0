"""What a data set of demonstrations is made from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from autonomy.types import UserError
from envs.kitchen.expert.lapses import Lapses
from envs.kitchen.expert.noise import ActionNoise
from envs.kitchen.expert.orders import MIXTURES

GENERATOR_VERSION = 1
"""Raise it whenever the expert, the mixtures or the noise change what is recorded."""


@dataclass(frozen=True)
class Recipe:
    """All that decides a data set's content. Raises `UserError` for an unusable setting.

    `speed`, `smooth`, `jitter`: see `Expert`; these give about 250 steps an episode, close to a person's tempo.
    """

    mixture: str = "mixed"
    n_episodes: int = 150
    seed: int = 0
    noise: ActionNoise = field(default_factory=ActionNoise)
    lapses: Lapses = field(default_factory=Lapses)
    speed: float = 0.6
    smooth: float = 0.0
    jitter: float = 0.3
    max_steps: int = 400

    def __post_init__(self) -> None:
        if self.mixture not in MIXTURES:
            raise UserError(f"unknown mixture {self.mixture!r}; the valid ones are {', '.join(MIXTURES)}")
        if self.n_episodes < 1 or self.seed < 0 or self.max_steps < 1:
            raise UserError("n_episodes and max_steps must be at least 1 and seed at least 0")
        if not (0 < self.speed <= 1 and 0 <= self.smooth < 1 and 0 <= self.jitter <= 1):
            raise UserError("speed must be in (0, 1], smooth in [0, 1) and jitter in [0, 1]")

    def style(self) -> dict[str, float]:
        """How the expert moves, by `Expert`'s names."""
        return {"speed": self.speed, "smooth": self.smooth, "jitter": self.jitter}

    def settings(self) -> dict[str, Any]:
        """The recipe and the generator's version as plain JSON values."""
        return dict(json.loads(json.dumps({**asdict(self), "generator": GENERATOR_VERSION})))

    def default_id(self) -> str:
        """A Minari id that two different recipes do not share."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:8]
        name = f"scripted-n{self.n_episodes}-seed{self.seed}-{digest}"
        return f"autonomy/kitchen-{self.mixture}/{name}-v{GENERATOR_VERSION}"
