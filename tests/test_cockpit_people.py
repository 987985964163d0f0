"""The cockpit's page and several people: who drives, who may, and a trial."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from eval.cockpit.trial import ASKING, OVER, READY
from eval.episodes import PERSON, read_episodes
from tests.cockpit import eventually
from tests.conftest import Program
from tests.pages import browser, drive, enter, field, open_page, press, served

__all__ = ["browser"]
Smoke = tuple[Path, Path]


def test_one_of_two_browsers_drives_until_the_other_takes_over(
    browser: Any, smoke: Smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, monkeypatch, f"run={smoke[0]}") as (cockpit, address):
        first, second = open_page(browser, address), open_page(browser, address)
        driver = cockpit.seats.driver
        assert cockpit.seats.watching == 1
        enter(second, "joint 1", "0.5")
        drive(first, "joint 2", "0.25", lambda: cockpit.device.read().values[1] == np.float32(0.25))
        assert cockpit.device.read().values[0] == 0
        field(second, "channels").click()
        second.get_by_role("option", name="wrist", exact=True).click()
        eventually(lambda: field(second, "channels").input_value() == "shoulder")
        assert cockpit.chosen["channels"] == "shoulder"
        press(second, "Take over")
        eventually(lambda: cockpit.seats.driver not in (None, driver))
        drive(second, "joint 1", "0.4", lambda: cockpit.device.read().values[0] == np.float32(0.4))
        first.close()
        eventually(lambda: cockpit.seats.watching == 0)
        assert cockpit.seats.driver is not None
        second.close()


def test_only_who_has_the_token_drives(
    browser: Any, smoke: Smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, monkeypatch, f"run={smoke[0]}", "token=open-sesame") as (cockpit, address):
        page = open_page(browser, address, "nobody drives")
        press(page, "Take over")
        field(page, "token").fill("open-barley")
        assert cockpit.latest is None
        field(page, "token").fill("open-sesame")
        eventually(lambda: cockpit.latest and not cockpit.latest.problem)
        page.close()


def test_a_trial_is_driven_and_answered_and_goes_on_where_it_was_left(
    browser: Any, smoke: Smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = tmp_path / "short", tmp_path / "trial"
    shutil.copytree(smoke[0], run)
    config = OmegaConf.load(run / "config.yaml")
    OmegaConf.update(config, "env.world.max_episode_steps", 12)
    OmegaConf.save(config, run / "config.yaml")
    options = (f"run={run}", "trial=ab", "pairs=1", "seed=3", f"out={out}")
    with served(tmp_path, monkeypatch, *options) as (cockpit, address):
        page = open_page(browser, address, "episode 1 of 2")
        trial = cockpit.trial
        assert trial is not None
        assert not page.get_by_text("moved by").count()
        press(page, "Start")
        eventually(lambda: trial.state == ASKING)
        enter(page, "effort", "80")
        press(page, "Submit")
        eventually(lambda: trial.state == READY)
        page.close()
    (half,) = read_episodes(out / "episodes.jsonl")
    assert (half.operator, half.seed, half.length, half.workload) == (PERSON, 3, 12, 55.0)
    with served(tmp_path, monkeypatch, *options) as (cockpit, address):
        page = open_page(browser, address, "episode 2 of 2")
        press(page, "Start")
        page.get_by_role("button", name="Submit").click()
        page.get_by_text("The trial is over").wait_for()
        assert cockpit.trial is not None
        assert cockpit.trial.state == OVER
        assert "assisted minus unassisted, 1 pairs" in cockpit.trial.report()
        page.close()
    assert {record.assistant for record in read_episodes(out / "episodes.jsonl")} == {"mac", "nobody"}


@pytest.mark.usefixtures("browser")
def test_the_page_is_filmed_in_use(smoke: Smoke, tmp_path: Path, program: Program) -> None:
    done = program("eval.cockpit.film", f"run={smoke[0]}", "clip=3", f"to={tmp_path}", timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'cockpit.webp'}: " in done.stdout
    with Image.open(tmp_path / "cockpit.webp") as clip:
        assert clip.format == "WEBP"
        assert clip.n_frames > 2  # type: ignore[attr-defined]
    with Image.open(tmp_path / "cockpit.png") as still:
        assert len(still.resize((40, 25)).convert("L").getcolors() or ()) > 20, "the picture is blank"
