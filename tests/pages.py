"""For tests of the cockpit's page: a real browser without a window, and what a person does with it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autonomy.types import UserError
from eval.cockpit.browser import COARSE, browser_path, options
from eval.cockpit.cockpit import Cockpit
from eval.cockpit.serve import compose_cockpit, serving
from tests.cockpit import SECONDS


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    try:
        path = browser_path()
    except UserError as error:
        pytest.skip(str(error))
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=path, args=options())
        yield browser
        browser.close()


@contextmanager
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Iterator[tuple[Cockpit, str]]:
    """The cockpit with its page, and the address."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with serving(compose_cockpit([*overrides, "port=0"])) as (cockpit, page):
        yield cockpit, page.address


def open_page(browser: Any, address: str, text: str = "moved by") -> Any:
    """A window of its own in which `text` is there."""
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.set_default_timeout(1000 * SECONDS)
    page.goto(address + COARSE)
    page.get_by_text(text).first.wait_for()
    return page


def field(page: Any, label: str) -> Any:
    """The input beside a label of the controls."""
    found = page.locator("label").filter(has_text=re.compile(f"^{label}$"))
    return found.locator("xpath=ancestor::*[3]").locator("input:visible").first


def enter(page: Any, label: str, value: str) -> None:
    """Type a value into a field, such as that of a slider."""
    field(page, label).fill(value)
    field(page, label).press("Enter")


def drive(page: Any, label: str, value: str, arrived: Callable[[], Any]) -> None:
    """Type a value into a field, again when a page that is slow to redraw has overwritten it."""
    end = time.monotonic() + SECONDS
    while not arrived():
        assert time.monotonic() < end, f"{label} never became {value}"
        enter(page, label, value)
        time.sleep(1)


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name).click()
