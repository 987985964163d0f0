"""For tests of the cockpit: a clock and a device that are set by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from eval.cockpit.devices import Command

DIM = 9
SECONDS = 120.0
"""That a browser without a graphics card, or a loop on a busy machine, may take."""


def eventually(true: Callable[[], Any], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


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
