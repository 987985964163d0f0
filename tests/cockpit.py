"""For tests of the cockpit: its configuration as composed, a clock and a device that are set by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from autonomy.cli import CONFIGS
from eval.cockpit.devices import Command

DIM = 9


def configured(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS / "cockpit"), version_base="1.3"):
        return compose("cockpit", list(overrides))


class Watch:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Given:
    """A device that gives what it was told to."""

    def __init__(self, values: Any = None, at: float = 100.0) -> None:
        self.values, self.at = np.zeros(DIM, np.float32) if values is None else values, at

    def read(self) -> Command:
        if isinstance(self.values, Exception):
            raise self.values
        return Command(self.values, self.at)
