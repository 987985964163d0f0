"""The page in use, as pictures for a README: the scripted demonstrator drives, a browser without a window looks.

    python -m eval.cockpit.film run=DIR held=shoulder

Writes a still, cockpit.png, and a clip in real time, cockpit.webp, into the folder `to`.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from tqdm import tqdm

from autonomy.checks import number
from autonomy.cli import main
from autonomy.run_directory import atomic_write
from autonomy.types import UserError
from eval.cockpit.browser import browser_path, options
from eval.cockpit.serve import HOME, serving
from eval.settings import usable_folder

WINDOW, CLIP = (1120, 700), (800, 500)
LOADING, STILL_AFTER, PATIENCE = 5.0, 6.0, 60.0
"""Seconds for the scene to appear; of the episode before the still is taken; that a browser may take at most."""
QUALITY = 30
Frame = tuple[float, Image.Image]
"""When it was taken, in seconds, and what was seen."""


@main("film", HOME)
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/cockpit/film.yaml."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UserError("pictures need playwright; install it with: pip install '.[dev]'") from error
    seconds, folder = number("clip", cfg.clip, 1), usable_folder(Path(str(cfg.to)))
    with serving(cfg) as (cockpit, page), sync_playwright() as api:
        cockpit.paused = True
        browser = api.chromium.launch(executable_path=browser_path(), args=options())
        tab = browser.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]})
        tab.goto(page.address, timeout=1000 * PATIENCE)
        tab.get_by_text("drives").wait_for(timeout=1000 * PATIENCE)
        time.sleep(LOADING)
        notice = tab.get_by_text("Software WebGL")
        if notice.count():
            notice.locator("xpath=following::button[1]").click()
        cockpit.paused = False
        while cockpit.latest is None and cockpit.loop.running:  # the first decision takes longer
            tab.wait_for_timeout(20)
        frames = _frames(tab, seconds)
        browser.close()
        done = cockpit.logbook.entries[-1]
    still = next((image for at, image in frames if at >= STILL_AFTER), frames[-1][1])
    for path in (_write(folder / "cockpit.png", [(0.0, still)]), _write(folder / "cockpit.webp", frames)):
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    print(f"{len(frames)} frames; reward {done.reward:.0f} after {done.steps} steps: {', '.join(done.completed)}")


def _frames(tab: Any, seconds: float) -> list[Frame]:
    """As many as the browser draws."""
    frames: list[Frame] = []
    chrome = tab.context.new_cdp_session(tab)

    def keep(event: dict[str, Any]) -> None:
        image = Image.open(io.BytesIO(base64.b64decode(event["data"]))).convert("RGB")
        frames.append((float(event["metadata"]["timestamp"]), image))
        chrome.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    chrome.on("Page.screencastFrame", keep)
    chrome.send("Page.startScreencast", {"format": "png"})
    for _ in tqdm(range(round(seconds)), desc="filming", unit="s"):
        tab.wait_for_timeout(1000)
    chrome.send("Page.stopScreencast")
    frames.sort(key=lambda frame: frame[0])  # Chromium tells of them in another order when it is busy
    return [(at - frames[0][0], image) for at, image in frames]


def _write(path: Path, frames: Sequence[Frame]) -> Path:
    """A picture of one frame, a clip of several at the pace at which they were taken."""
    content, times = io.BytesIO(), [at for at, _ in frames]
    if len(frames) == 1:
        frames[0][1].save(content, "PNG", optimize=True)
    else:
        first, *others = (image.resize(CLIP, Image.Resampling.LANCZOS) for _, image in frames)
        lasting = [round(1000 * step) for step in np.diff([*times, times[-1] + 1.0])]
        options = {"append_images": others, "duration": lasting, "loop": 0, "quality": QUALITY, "method": 4}
        first.save(content, "WEBP", save_all=True, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content.getvalue())
    return path


if __name__ == "__main__":
    run()
