"""A picture of one episode: a film strip, what the assistant believes, and who moves which dimension of the action.

python -m eval.strip run=DIR out=FILE.png [operator=expert channels=shoulder seed=1000]
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch, Patch
from omegaconf import DictConfig
from PIL import Image

from autonomy.checks import whole
from autonomy.cli import main
from autonomy.run_directory import atomic_write
from autonomy.types import UserError
from envs.world import World
from eval.figures import bands, intent_patches, unit_of
from eval.play import play
from eval.recognition import Course
from eval.setting import Setting
from eval.settings import rollout_setting
from eval.video import ASSISTANT, INK, OPERATOR, Frame, fitted, in_renderer, render_quickly, rendered

Infos = list[dict[str, Any]]
SIZE = 320
"""Pixels of a frame, before it is fitted into the picture."""


@main("strip")
def run(cfg: DictConfig) -> None:
    """Entry point: see configs/strip.yaml."""
    setting, path = rollout_setting(cfg)
    seed, count = whole("seed", cfg.seed, 0), whole("frames", cfg.frames, 1)
    if path.suffix != ".png" or not path.parent.is_dir():
        raise UserError(f"cannot draw to {path}: out must end in .png, in a folder that exists")
    episode = in_renderer(filmed, (setting, (seed,), 1, count))
    if episode is not None:
        atomic_write(path, draw(*episode, setting.labels(), bool(setting.env["tasks"])))
        print(f"out: {path}")


def filmed(job: tuple[Setting, Sequence[int], int, int]) -> tuple[Infos, dict[int, Frame]]:
    """The infos of all steps of an episode, and `step: frame` at its moments.

    `job`: setting, episode seeds of which the first is filmed, environments to play them in, number of frames. It is
    played twice: its moments are known when it has ended, and few frames take less time than all.
    """
    setting, seeds, batch, count = job
    camera = _Camera()
    play(rendered(setting, SIZE), seeds, batch, camera.watch)
    camera.aim(moments(camera.infos, count))
    play(rendered(setting, SIZE), seeds, batch, camera.watch)
    return camera.infos, camera.frames


class _Camera:
    """Collects the infos of every step and the frames of those that it is aimed at."""

    def __init__(self) -> None:
        self.infos: Infos = []
        self.frames: dict[int, Frame] = {}
        self._steps: frozenset[int] = frozenset()

    def aim(self, steps: Sequence[int]) -> None:
        self._steps, self.infos = frozenset(steps), []

    def watch(self, world: World, info: dict[str, Any]) -> None:
        step = len(self.infos)
        self.infos.append(info)
        if step in self._steps:
            render_quickly(world)
            self.frames[step] = fitted(world.frame(0), SIZE)
        if self._steps and step == max(self._steps):
            world.close()  # a renderer that is left open complains when its process ends


def moments(infos: Infos, count: int) -> list[int]:
    """At most `count` steps worth a look: those that complete a task, then the middles of the longest gaps."""
    done = [0, *(len(info["completed"]) for info in infos)]
    chosen = [step for step in range(len(infos)) if done[step + 1] > done[step]][:count]
    while len(chosen) < min(count, len(infos)):
        bounds = [-1, *chosen, len(infos)]
        start, stop = max(itertools.pairwise(bounds), key=lambda gap: gap[1] - gap[0])
        chosen = sorted([*chosen, (start + stop) // 2])
    return chosen


def draw(infos: Infos, frames: dict[int, Frame], labels: tuple[str, str, str], tasks: bool = True) -> bytes:
    """The picture as a PNG of 256 colours. `labels`: the names of assistant, operator and channels.

    `tasks` says whether the world counts tasks; otherwise the title says whether the episode was a success.

    Between the frames and the dimensions is the assistant's belief, when it has one: see `eval.figures.bands`.
    """
    course = Course.of(infos)
    figure = Figure(figsize=(12.4, 6.2 if course is None else 7.9), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    heights = [1, 1.4] if course is None else [1, 0.85, 1.4]
    edges = {"left": 0.065, "right": 0.985, "top": 1 - 0.87 / figure.get_figheight(), "bottom": 0.085}
    grid = figure.add_gridspec(len(heights), len(frames), height_ratios=heights, **edges, wspace=0.03, hspace=0.14)
    charts = [figure.add_subplot(grid[row, :]) for row in range(1, len(heights))]
    _chart(charts[-1], infos)
    if course is not None:
        _belief(charts[0], course)
    for place, step in enumerate(sorted(frames)):
        _frame(figure.add_subplot(grid[0, place]), charts, infos, step, frames[step])
    _words(figure, infos, labels, tasks)
    return _png(figure)


def _belief(axes: Axes, course: Course) -> None:
    """The belief, and which band is which."""
    bands(axes, course)
    axes.tick_params(labelbottom=False, length=0)
    axes.legend(
        handles=intent_patches(course),
        ncols=len(course.labels),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        borderaxespad=0.0,
        frameon=False,
        fontsize=9.5,
    )


def _frame(axes: Axes, charts: Sequence[Axes], infos: Infos, step: int, frame: Frame) -> None:
    """One frame, with a line to its time."""
    axes.imshow(frame)
    axes.set_axis_off()
    before = infos[step - 1]["completed"] if step else ()
    done = [task for task in infos[step]["completed"] if task not in before]
    axes.set_title(
        ", ".join(f"\N{CHECK MARK} {task}" for task in done) or " ",
        fontsize=11,
        fontweight="bold",
        color=_rgb(INK),
        pad=4,
    )
    when = (infos[0].get("period") or 1.0) * (step + 1)
    ends = axes.transAxes, charts[0].get_xaxis_transform()
    line = ConnectionPatch((0.5, 0.0), (when, 1.0), *ends, color="0.55", lw=0.8)
    axes.figure.add_artist(line)
    for chart in charts:
        chart.axvline(when, color="0.55", lw=0.8, zorder=0)


def _chart(axes: Axes, infos: Infos) -> None:
    """A row per dimension: the executed action in its mover's colour, the operator's own as a line."""
    period = infos[0].get("period")
    times = (period or 1.0) * np.arange(1, len(infos) + 1)
    executed, wishes = (np.array([info[key] for info in infos]) for key in ("executed_action", "operator_action"))
    held = infos[0]["operator_mask"]
    for dim in range(executed.shape[1]):
        colour = _rgb(OPERATOR if held[dim] else ASSISTANT)
        axes.axhspan(dim - 0.46, dim + 0.46, color=colour, alpha=0.08, lw=0)
        axes.fill_between(times, dim, dim - 0.44 * executed[:, dim], color=colour, alpha=0.8, lw=0)
        if not held[dim] and held.any():
            axes.plot(times, dim - 0.44 * wishes[:, dim], color=_rgb(INK), lw=0.7)
    every = 1 + executed.shape[1] // 15
    shown = range(0, executed.shape[1], every)
    axes.set_yticks(shown, [f"dim {dim}" for dim in shown])
    axes.set_ylim(executed.shape[1] - 0.5, -0.5)
    axes.set_xlim(0, times[-1])
    axes.set_xlabel(unit_of(period), loc="left")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _words(figure: Figure, infos: Infos, labels: tuple[str, str, str], tasks: bool) -> None:
    """What is to be seen: a title, the operator's plan and a legend."""
    assistant, operator, channels = labels
    last = infos[-1]
    text = f"operator ({operator}) on {channels}, assistant ({assistant}) on the rest{_outcome(last, tasks)}"
    inch = 1 / figure.get_figheight()
    figure.text(0.05, 1 - 0.28 * inch, text, fontsize=14, fontweight="bold", color=_rgb(INK))
    if last["intent"]:
        plan = f"the operator's plan: {', '.join(last['intent'])}"
        figure.text(0.05, 1 - 0.53 * inch, plan, fontsize=11, color=_rgb(INK))
    handles = [
        Patch(color=_rgb(OPERATOR), label="moved by the operator"),
        Patch(color=_rgb(ASSISTANT), label="moved by the assistant"),
        Line2D([], [], color=_rgb(INK), lw=1, label="what the operator would have done there"),
    ]
    figure.legend(handles=handles, loc="lower right", ncols=3, frameon=False, bbox_to_anchor=(0.99, -0.008))


def _outcome(last: dict[str, Any], tasks: bool) -> str:
    """How the episode ended, by the info of its last step; nothing where the world does not judge."""
    if tasks:
        return f": {len(last['completed'])} tasks done"
    success = last.get("success")
    return "" if success is None else ": success" if success else ": no success"


def _rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = (part / 255 for part in colour)
    return red, green, blue


def _png(figure: Figure) -> bytes:
    """Few colours: a fraction of the size."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    run()
