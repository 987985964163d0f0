"""Browsers without a window that look at the page, for tests, pictures and measurements."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

from autonomy.types import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PLAIN = ("--no-sandbox", "--use-gl=angle", "--ignore-gpu-blocklist")
MESA, SWIFTSHADER = ("--use-angle=gl-egl",), ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
COARSE = "?fixedDpr=0.25"
"""After the address: the scene in a quarter of the resolution, which spares the processor that stands in for a graphics
card."""


def browsers() -> list[str]:
    """Where those of `BROWSERS` are that this machine has."""
    return [path for name in BROWSERS if (path := shutil.which(name))]


def browser_path() -> str:
    """Of the first browser there is. Raises `UserError` without one."""
    found = browsers()
    if not found:
        raise UserError(f"there is none of {', '.join(BROWSERS)} on this machine")
    return found[0]


def options() -> list[str]:
    """To draw without a graphics card: by Mesa where it is installed, which is some four times as fast, or else by the
    browser's own."""
    return [
        "--no-sandbox",
        "--use-gl=angle",
        "--ignore-gpu-blocklist",
        *(MESA if find_library("EGL_mesa") else SWIFTSHADER),
    ]


@contextmanager
def onlookers(address: str, n: int, folder: Path) -> Iterator[None]:
    """`n` browsers, each a process of its own with its profile in `folder`, that show `address`."""
    window = ("--headless=new", "--window-size=1000,700", "--remote-debugging-port=0")
    profiles = [f"--user-data-dir={folder / f'profile-{i}'}" for i in range(n)]
    command, null = [browser_path(), *options(), *window], subprocess.DEVNULL
    running = [
        subprocess.Popen([*command, profile, address + COARSE], stdout=null, stderr=null) for profile in profiles
    ]
    try:
        yield
    finally:
        for browser in running:
            browser.terminate()
        for browser in running:
            browser.wait()
