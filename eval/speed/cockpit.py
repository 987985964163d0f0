"""How punctual the cockpit's control loop is, alone and while two pages watch."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from eval.cockpit.browser import browser_path, onlookers
from eval.cockpit.cockpit import Cockpit
from eval.cockpit.serve import compose_cockpit, serving
from eval.speed.timing import Row

PAGES, SECONDS, SETTLING, PATIENCE = 2, 30.0, 5.0, 120.0
_RUN = ("env=kitchen-mixed", "data.n_episodes=4", "training.steps=1", "evaluation.episodes=0")


def measure(batch: int, repeats: int) -> list[Row]:
    """The small preset after one step of training; half a minute of each. Neither argument is read.

    Raises `UserError` without the cockpit's packages or a browser.
    """
    browser_path()
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"MINARI_DATASETS_PATH": folder}):
        run = Path(folder) / "run"
        subprocess.run([sys.executable, "-m", "autonomy.train", *_RUN, f"run={run}"], check=True, capture_output=True)
        with serving(compose_cockpit([f"run={run}", "port=0"])) as (cockpit, page):
            cockpit.join(-1)
            period = cockpit.stage.world.period
            alone, _ = _lateness(cockpit)
            with onlookers(page.address, PAGES, Path(folder)):
                _until(lambda: cockpit.seats.watching == PAGES)
                watched, rate = _lateness(cockpit)
    note = f"{rate:.2f} ticks a second, the period is {1e3 * period:.0f} ms; {1e3 * alone:.2g} ms with no page"
    return [Row(f"lateness of the cockpit's ticks, p99, {PAGES} pages", watched, None, "-", note=note)]


def _lateness(cockpit: Cockpit) -> tuple[float, float]:
    """The 99th percentile in seconds, and ticks a second."""
    time.sleep(SETTLING)
    cockpit.loop.forget()
    before, started = cockpit.loop.ticks, time.perf_counter()
    time.sleep(SECONDS)
    return cockpit.loop.jitter(), (cockpit.loop.ticks - before) / (time.perf_counter() - started)


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("the browsers did not open the page")
        time.sleep(0.1)
