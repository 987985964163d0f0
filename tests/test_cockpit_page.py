"""The cockpit's page in a real browser: what one person does with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest

from autonomy.run_directory import RunDirectory
from eval.cockpit.cockpit import Cockpit
from eval.cockpit.session import Snapshot
from eval.play import play
from eval.settings import setting_of
from tests.cockpit import eventually
from tests.pages import browser, drive, field, open_page, press, served

__all__ = ["browser"]
Smoke = tuple[Path, Path]


def now(cockpit: Cockpit) -> Snapshot:
    assert cockpit.latest is not None
    return cockpit.latest


def test_a_person_drives_and_the_assistant_answers(
    browser: Any, smoke: Smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, monkeypatch, f"run={smoke[0]}") as (cockpit, address):
        page = open_page(browser, address)
        before = now(cockpit)
        drive(page, "joint 1", "0.5", lambda: now(cockpit).operator[0] == np.float32(0.5))
        eventually(lambda: now(cockpit).positions[0] > before.positions[0] + 0.1)
        after = now(cockpit)
        assert after.executed[0] == np.float32(0.5)
        assert not np.array_equal(after.assistant[4:], before.assistant[4:])
        assert page.locator('tr[data-dim="0"]').inner_text().split()[:2] == ["joint", "1"]
        page.close()
        eventually(lambda: "nobody drives" in now(cockpit).problem)
        assert not now(cockpit).operator.any()
        again = open_page(browser, address)
        eventually(lambda: not now(cockpit).problem)
        assert not now(cockpit).operator.any()
        again.close()


def test_assistants_and_channels_are_switched_while_it_runs(
    browser: Any, smoke: Smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = f"run={{first: {smoke[0]}, second: {smoke[0]}}}"
    with served(tmp_path, monkeypatch, both) as (cockpit, address):
        page = open_page(browser, address)
        for label, option in (("assistant", "second"), ("channels", "wrist"), ("arbitration", "blend")):
            field(page, label).click()
            page.get_by_role("option", name=option, exact=True).click()
        second = cockpit.assistant("second")
        eventually(lambda: cockpit.session.copilot.assistant is second)
        eventually(lambda: now(cockpit).mask.tolist() == [4 <= i < 7 for i in range(9)])
        eventually(lambda: cockpit.session.arbitration == "blend")
        steps = now(cockpit).step
        press(page, "Reset")
        eventually(lambda: now(cockpit).step < steps)
        page.close()


def test_a_session_is_recorded_and_replayed_to_the_same_states(
    browser: Any, smoke: Smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, monkeypatch, f"run={smoke[0]}", "seed=6") as (cockpit, address):
        page = open_page(browser, address)
        for label, value in (("joint 1", "0.3"), ("joint 4", "-0.4")):
            drive(page, label, value, lambda value=value: np.float32(value) in now(cockpit).operator)
        press(page, "Finish")
        page.get_by_text("recorded: autonomy/cockpit").wait_for()
        (entry,), last = cockpit.logbook.entries, now(cockpit)
        assert (entry.seed, entry.steps) == (6, last.step)
        page.close()
    (name,) = cockpit.saved
    (episode,) = minari.load_dataset(name).iterate_episodes()
    assert len(episode.actions) == last.step
    replay = ["operator=replay", "data@operator.source=minari", f"operator.source.id={name}", "channels=shoulder"]
    setting, seen = setting_of(str(smoke[0]), replay, RunDirectory.open(smoke[0]).config().env), list[Any]()
    play(setting, [6], 1, lambda kitchens, _: seen.append(kitchens.simulators[0].data.qpos.copy()))
    assert np.array_equal(seen[last.step - 1], last.positions)
    assert not np.array_equal(seen[last.step - 2], last.positions)
