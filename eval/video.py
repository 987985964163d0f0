"""A video of one episode: the world, and beside it who moves which dimension of the action."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from envs.parallel import imap_episodes
from envs.rendering import rendering_problem
from envs.world import World
from eval.figures import intent_colours
from eval.play import play
from eval.recognition import NONE_OF_THEM, Belief
from eval.setting import Setting

Job = TypeVar("Job")
Result = TypeVar("Result")
Frame = NDArray[np.uint8]
VIDEO, FRAMES = "rollout.mp4", "frames"
SCENE, PANEL = 352, 208
"""Pixels: the scene is square, the panel beside it is as high; H.264 wants multiples of 16."""
EVERY, FPS = 2, 12
"""Every second decision (80 ms each) is shown, about twice as fast as it happened."""
STILLS = 4
OPERATOR, ASSISTANT, INK, FAINT, PAPER = (217, 95, 2), (31, 119, 180), (30, 30, 30), (190, 190, 190), (250, 250, 248)
_PALE = {OPERATOR: (253, 226, 204), ASSISTANT: (211, 229, 243)}
_BAR, _TOP, _ROW = (112, 48), 56, 22
_SHARES = (100, PANEL - 6)


def record_video(setting: Setting, seed: int, folder: Path) -> Path | None:
    """Play the episode `seed` and write `rollout.mp4` and `frames/*.png` into `folder`; the video's path.

    None, with one printed sentence, where frames cannot be rendered.
    """
    return in_renderer(_film, (setting, seed, folder))


def in_renderer(function: Callable[[Job], Result], job: Job) -> Result | None:
    """`function(job)` in a process that can render, or None with one printed sentence where nothing can.

    Rendering has a process of its own, since the OpenGL backend is chosen when MuJoCo is imported.
    """
    problem = rendering_problem()
    if problem is None:
        try:
            return next(imap_episodes(function, [job], processes=1, fresh=True))[1]
        except BrokenProcessPool:
            problem = "No video: the OpenGL driver ended the process that rendered it."
    print(problem)
    return None


def _film(job: tuple[Setting, int, Path]) -> Path:
    setting, seed, folder = job
    film = _Film()
    play(rendered(setting, SCENE), [seed], 1, film.watch)
    return film.write(folder)


def rendered(setting: Setting, size: int) -> Setting:
    """`setting` in a world that renders frames: squares of `size` pixels where the world can choose."""
    options = {"render_mode": "rgb_array", "size": size}
    return dataclasses.replace(setting, world=functools.partial(setting.world, **options))


def fitted(frame: Frame, size: int) -> Frame:
    """The middle of a frame, a square of `size` pixels."""
    height, width = frame.shape[:2]
    if (height, width) == (size, size):
        return frame
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(frame[top : top + side, left : left + side])
    return np.asarray(square.resize((size, size)), dtype=np.uint8)


class _Film:
    """Collects the frames of one episode."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._steps = 0
        self._close: Callable[[], None] = lambda: None

    def watch(self, world: World, info: dict[str, Any]) -> None:
        if self._steps == 0:
            render_quickly(world)
            self._close = world.close
        if self._steps % EVERY == 0:
            scene = fitted(world.frame(0), SCENE)
            self._frames.append(np.hstack([scene, panel(info, self._steps)]))
        self._steps += 1

    def write(self, folder: Path) -> Path:
        self._close()  # a renderer that is left open complains when its process ends
        stills = folder / FRAMES
        stills.mkdir(parents=True, exist_ok=True)
        for old in stills.glob("*.png"):
            old.unlink()
        for index in np.linspace(0, len(self._frames) - 1, STILLS).astype(int):
            imageio.imwrite(stills / f"{index * EVERY:03d}.png", self._frames[index])
        return write_video(folder / VIDEO, self._frames)


def render_quickly(world: World) -> None:
    """Without shadows and with less smoothing a software renderer takes a tenth of the time (1.4 s a frame before)."""
    vis = getattr(getattr(world.simulators[0], "model", None), "vis", None)  # MuJoCo's
    if vis is not None:
        vis.quality.shadowsize, vis.quality.offsamples = 0, 4


def write_video(path: Path, frames: Sequence[Frame], fps: int = FPS) -> Path:
    """H.264 in an mp4 that browsers play; the file appears when it is whole."""
    part = path.with_name(f".{path.name}.part.mp4")
    try:
        quality = ["-crf", "30", "-preset", "slow", "-movflags", "+faststart"]
        with imageio.get_writer(part, fps=fps, codec="libx264", quality=None, output_params=quality) as writer:
            for frame in frames:
                writer.append_data(frame)  # type: ignore[attr-defined]
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def panel(info: dict[str, Any], step: int) -> Frame:
    """Who moves what, (SCENE, PANEL, 3): a row per dimension, in its mover's colour, with the executed value as a bar.

    A dark tick marks the operator's own action on the dimensions that the assistant fills. Below are the tasks: with a
    belief in `info`, a bar for the probability of each one.
    """
    image = Image.new("RGB", (PANEL, SCENE), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    draw.text((8, 8), _time(step + 1, info.get("period")), INK, font)
    if info.get("operator_error"):
        draw.text((104, 8), "command refused", OPERATOR, font)
    for left, who, colour in ((8, "operator", OPERATOR), (104, "assistant", ASSISTANT)):
        draw.rectangle((left, 30, left + 12, 42), fill=colour)
        draw.text((left + 18, 28), who, colour, font)
    dims = len(info["operator_mask"])
    for dim in range(dims):
        _row(draw, font, dim, info)
    (_beliefs if "belief" in info else _tasks)(draw, font, info, _TOP + dims * _ROW + 8)
    return np.asarray(image, dtype=np.uint8)


def _time(steps: int, period: float | None) -> str:
    return f"step {steps}" if period is None else f"t = {period * steps:4.1f} s"


def _row(draw: ImageDraw.ImageDraw, font: Any, dim: int, info: dict[str, Any]) -> None:
    held = bool(info["operator_mask"][dim])
    colour = OPERATOR if held else ASSISTANT
    (centre, half), top = _BAR, _TOP + dim * _ROW
    draw.rectangle((4, top - 3, PANEL - 5, top + _ROW - 5), fill=_PALE[colour])
    draw.rectangle((4, top - 3, 9, top + _ROW - 5), fill=colour)
    draw.text((15, top), f"dim {dim}", INK, font)
    draw.rectangle((centre - half, top + 2, centre + half, top + 14), fill=PAPER, outline=FAINT)
    end = centre + half * _bounded(info["executed_action"][dim])
    draw.rectangle((min(centre, end), top + 2, max(centre, end), top + 14), fill=colour)
    draw.line((centre, top + 1, centre, top + 15), fill=INK)
    draw.text((centre + half + 6, top), f"{info['executed_action'][dim]:+.2f}", INK, font)
    if not held and np.any(info["operator_mask"]):
        wish = centre + half * _bounded(info["operator_action"][dim])
        draw.line((wish, top, wish, top + 16), fill=INK, width=2)


def _bounded(value: float) -> float:
    return max(-1.0, min(1.0, value)) if math.isfinite(value) else 0.0


def _tasks(draw: ImageDraw.ImageDraw, font: Any, info: dict[str, Any], top: int) -> None:
    completed = list(info["completed"])
    others = [task for task in info["intent"] if task not in completed]
    lines = [*(f"done: {task}" for task in completed), *(f"operator wants: {task}" for task in others[:1])]
    for row, line in enumerate(lines):
        draw.text((8, top + 15 * row), line, INK, font)


def _beliefs(draw: ImageDraw.ImageDraw, font: Any, info: dict[str, Any], top: int) -> None:
    """A bar an intent: framed where the assistant acts for it, with an arrow where the operator pursues it."""
    belief: Belief = info["belief"]
    height = min(16, (SCENE - 4 - top) // len(belief.shares))
    small, (left, right) = font.font_variant(size=min(12, height)), _SHARES
    for row, (name, colour) in enumerate(zip((*belief.names, NONE_OF_THEM), intent_colours(belief.names), strict=True)):
        above, below = top + row * height, top + (row + 1) * height - 2
        done = name in info["completed"]
        draw.text((14, (above + below) / 2), name, FAINT if done else INK, small, anchor="lm")
        draw.rectangle((left, above, left + (right - left) * belief.shares[row], below), fill=colour)
        draw.rectangle((left, above, right, below), outline=INK if row == belief.committed else FAINT)
        if done:
            draw.text((right - 4, (above + below) / 2), "done", INK, small, anchor="rm")
        if row == belief.truth:
            draw.polygon(((4, above + 1), (11, (above + below) / 2), (4, below - 1)), fill=OPERATOR)
