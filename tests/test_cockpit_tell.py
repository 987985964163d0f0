"""The cockpit's page in a real browser: the belief, what is told and vetoed by clicks, and hands that change."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest

from eval.cockpit.cockpit import Cockpit
from eval.cockpit.wishes import NOT_TOLD, Belief
from tests.cockpit import TASKS, believing_run, eventually
from tests.pages import browser, drive, field, open_page, press, served

__all__ = ["browser"]
LIMIT = 0.2
KETTLE = TASKS.index("kettle")


def bars(page: Any) -> list[float]:
    """What the bars show, in percent: those of the tasks and of none of them."""
    shown = page.get_by_role("progressbar").evaluate_all("all => all.map(bar => Number(bar.ariaValueNow))")
    return [float(value) for value in shown]


def task(page: Any, words: str) -> Any:
    """The button of a task that says `words`, a pattern."""
    return page.get_by_role("button", name=re.compile(f"^{words}"))


def believed(cockpit: Cockpit) -> Belief:
    assert cockpit.latest is not None
    assert cockpit.latest.belief is not None
    return cockpit.latest.belief


def at(cockpit: Cockpit, index: int, value: float) -> bool:
    return bool(cockpit.device.read().values[index] == np.float32(value))


def is_chosen(cockpit: Cockpit, what: str, option: str) -> bool:
    return bool(cockpit.chosen[what] == option)


def choose(page: Any, label: str, option: str) -> None:
    field(page, label).click()
    page.get_by_role("option", name=option, exact=True).click()


def caught_up(cockpit: Cockpit) -> None:
    """Returns when no dimension walks, after some have had time to begin."""
    before = cockpit.loop.ticks
    eventually(lambda: cockpit.loop.ticks > before + 3 and not cockpit.latest.walking.any())  # type: ignore[union-attr]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return believing_run(tmp_path / "run", LIMIT)


def test_bars_move_and_a_click_tells_and_vetoes(
    browser: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, monkeypatch, f"run={run}") as (cockpit, address):
        page = open_page(browser, address)
        eventually(lambda: len(bars(page)) == len(TASKS) + 1 and sum(bars(page)) == pytest.approx(100, abs=0.1))
        before = bars(page)
        drive(page, "joint 1", "0.9", lambda: cockpit.latest and cockpit.latest.operator[0] == np.float32(0.9))
        eventually(lambda: np.abs(np.subtract(bars(page), before)).max() > 2)
        task(page, "kettle").click()
        task(page, "kettle 100%, told, the assistant helps with it").wait_for()
        assert bars(page) == [100.0 * (index == KETTLE) for index in range(len(TASKS) + 1)]
        assert (believed(cockpit).told, believed(cockpit).committed) == (KETTLE, KETTLE)
        task(page, "kettle").click()
        task(page, "kettle 0%, vetoed$").wait_for()
        assert believed(cockpit).shares[KETTLE] == 0
        watcher = open_page(browser, address)
        task(watcher, "microwave").click()
        task(page, "kettle").click()
        task(page, r"kettle \d+%(, the assistant helps with it)?$").wait_for()
        assert believed(cockpit).told == NOT_TOLD, "a watcher's clicks do not count"
        assert not believed(cockpit).vetoed.any()
        watcher.close()
        page.close()


def test_hands_that_change_in_mid_motion_do_not_jump(
    browser: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, monkeypatch, f"run={run}") as (cockpit, address):
        page = open_page(browser, address)
        for label, value in (("joint 1", "0.9"), ("joint 3", "-0.9"), ("joint 6", "0.9")):
            drive(page, label, value, partial(at, cockpit, int(label[-1]) - 1, float(value)))
        caught_up(cockpit)
        assert cockpit.latest is not None
        first = cockpit.latest.step
        for label, option in (("channels", "wrist"), ("channels", "shoulder"), ("arbitration", "off")):
            choose(page, label, option)
            eventually(partial(is_chosen, cockpit, label, option))
            caught_up(cockpit)
        task(page, "kettle").click()
        eventually(lambda: believed(cockpit).told == KETTLE)
        choose(page, "arbitration", "dims")
        caught_up(cockpit)
        other = open_page(browser, address)
        press(other, "Take over")
        eventually(lambda: cockpit.seats.watching == 1)
        press(other, "Let go")
        eventually(lambda: not cockpit.device.read().values.any())
        caught_up(cockpit)
        last = cockpit.latest.step
        other.close()
        page.close()
    (name,) = cockpit.saved
    (episode,) = minari.load_dataset(name).iterate_episodes()
    steps = np.abs(np.diff(episode.actions, axis=0))[first:last]
    assert LIMIT - 1e-6 < steps.max() <= LIMIT + 1e-6
    assert np.abs(episode.actions[first - 1 : last, [0, 2]]).max(0).tolist() == pytest.approx([0.9, 0.9])
    walked = np.asarray(episode.infos["handed_over"])[1:]
    assert walked[first:last, [0, 2, 5]].sum(0).min() > 0
    assert KETTLE in episode.infos["told"]
