"""Serves the cockpit until Ctrl-C.

python -m eval.cockpit run=DIR held=base device=keyboard
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from autonomy.checks import number
from autonomy.cli import main
from eval.cockpit.cockpit import Cockpit
from eval.cockpit.serve import HOME, serving

if TYPE_CHECKING:
    from eval.cockpit.page import Page


@main("cockpit", HOME)
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/cockpit."""
    seconds = math.inf if cfg.seconds is None else number("seconds", cfg.seconds, 0)
    with serving(cfg) as (cockpit, page):
        print(page.address, flush=True)
        _wait(cockpit, page, time.monotonic() + seconds)
    print(_farewell(cockpit))


def _wait(cockpit: Cockpit, page: Page, until: float) -> None:
    """For Ctrl-C, the end of the loop or of the page, or the time."""
    with contextlib.suppress(KeyboardInterrupt):
        while cockpit.loop.running and page.error is None and time.monotonic() < until:
            cockpit.loop.join(0.2)


def _farewell(cockpit: Cockpit) -> str:
    """What was done: the trial's report or a line an episode, and the recordings."""
    lines = ["  ".join(line) for line in cockpit.logbook.table()] if cockpit.trial is None else [cockpit.trial.report()]
    return "\n".join([*lines, *(f"recorded: {name}" for name in cockpit.saved)])


if __name__ == "__main__":
    run()
