"""The cockpit's page in a real browser, without a window."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.cockpit.__main__ import make
from eval.cockpit.cockpit import Cockpit
from tests.cockpit import configured

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120.0
"""That a browser without a graphics card may take on a busy machine."""
SOFTWARE_GL = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]


def browser_path() -> str:
    """Of the first browser there is; without one the tests are skipped."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"there is none of {', '.join(BROWSERS)} on this machine")
    return found[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=browser_path(), args=SOFTWARE_GL)
        yield browser
        browser.close()


def open_page(browser: Any, address: str) -> Any:
    """A tab in which the controls are there."""
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.set_default_timeout(1000 * SECONDS)
    page.goto(address)
    page.get_by_text("moved by").wait_for()
    return page


@pytest.fixture
def cockpit(smoke: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cockpit, str]]:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    page = pytest.importorskip("eval.cockpit.page", reason="viser or mjviser is not installed")
    cockpit = make(configured(f"run={{first: {smoke[0]}, second: {smoke[0]}}}"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shown = page.Page(cockpit, "127.0.0.1", port)
    cockpit.loop.start()
    yield cockpit, f"http://127.0.0.1:{port}"
    cockpit.loop.stop()
    shown.close()
    assert cockpit.loop.error is None


def eventually(true: Callable[[], Any], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def field(page: Any, label: str) -> Any:
    """The input beside a label of the controls."""
    found = page.locator("label").filter(has_text=re.compile(f"^{label}$"))
    return found.locator("xpath=ancestor::*[3]").locator("input:visible").first


def slide(page: Any, label: str, value: str) -> None:
    """Type a value into the field of a slider."""
    field(page, label).fill(value)
    field(page, label).press("Enter")


def test_a_person_drives_and_the_assistant_answers(browser: Any, cockpit: tuple[Cockpit, str]) -> None:
    drive, address = cockpit
    page = open_page(browser, address)
    eventually(lambda: drive.latest and not drive.latest.problem)
    before = drive.latest
    assert before is not None
    slide(page, "joint 1", "0.5")
    eventually(lambda: drive.latest.operator[0] == np.float32(0.5))  # type: ignore[union-attr]
    eventually(lambda: drive.latest.positions[0] > before.positions[0] + 0.1)  # type: ignore[union-attr]
    after = drive.latest
    assert after is not None
    assert after.executed[0] == np.float32(0.5)
    assert not np.array_equal(after.assistant[4:], before.assistant[4:])
    assert page.locator('tr[data-dim="0"]').inner_text().split()[:2] == ["joint", "1"]
    page.close()
    eventually(lambda: drive.seats.driver is None and "silent" in drive.latest.problem)  # type: ignore[union-attr]
    held = drive.latest
    assert held is not None
    assert not held.operator.any()


def test_assistants_and_channels_are_switched_while_it_runs(browser: Any, cockpit: tuple[Cockpit, str]) -> None:
    drive, address = cockpit
    page = open_page(browser, address)
    for label, option in (("assistant", "second"), ("channels", "wrist"), ("arbitration", "blend")):
        field(page, label).click()
        page.get_by_role("option", name=option, exact=True).click()
    second = drive.assistant("second")
    eventually(lambda: drive.session.assistant is second)
    eventually(lambda: drive.latest.mask.tolist() == [4 <= i < 7 for i in range(9)])  # type: ignore[union-attr]
    eventually(lambda: drive.session.arbitration == "blend")
    steps = drive.latest.step if drive.latest else 0
    page.get_by_role("button", name="Reset").click()
    eventually(lambda: drive.latest.step < steps)  # type: ignore[union-attr]
    page.close()
