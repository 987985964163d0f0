"""Figures of the report, as PNG bytes. Drawn off screen: no window, no pyplot state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from eval.recognition import Course
from eval.scores import TASKS, score_in, title

COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#7f7f7f")
"""The assistant alone blue and the operator alone orange, as in the video."""
INTENTS = ("#4c9f70", "#e3b23c", "#8d6cab", "#d0605e", "#5aa7b5", "#a0785a", "#cf8fc4", "#6f7d3c")
"""A colour an intent, in the order of their names, also in the video; none of them is `NEUTRAL`."""
NEUTRAL = "#c9c9c9"
_ENOUGH = 10
_WIDTH, _DPI = 5.6, 170
"""Inches and dots an inch: narrow, so that the letters can be read on a telephone, and fine, for large screens."""


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty figure of that height, in inches."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png(figure: Figure) -> bytes:
    """Draw the figure and return its PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def learning_curve(metrics: Sequence[Mapping[str, Any]]) -> bytes:
    """Training and validation loss over the steps of metrics.jsonl; a cross on the best validation loss."""
    figure, axes = canvas(2.8)
    for key, label in (("train_loss", "training"), ("validation_loss", "validation")):
        points = [(record["step"], record[key]) for record in metrics if record.get(key) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label)
        if points and key == "validation_loss":
            axes.plot(*min(points, key=lambda point: point[1]), "kx", label="lowest validation loss")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    return png(figure)


def task_bars(summaries: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> bytes:
    """Share of the episodes that completed each task, a group of bars per task and a colour per setting."""
    figure, axes = canvas(3.4)
    tasks = list(summaries[0]["tasks"])
    width = 0.8 / len(summaries)
    for index, (summary, label) in enumerate(zip(summaries, labels, strict=True)):
        places = np.arange(len(tasks)) + (index - (len(summaries) - 1) / 2) * width
        shares = [100 * summary["tasks"][task] for task in tasks]
        axes.bar(places, shares, 0.92 * width, label=label, color=COLOURS[index % len(COLOURS)])
    axes.set_xticks(range(len(tasks)), [task.replace(" ", "\n") for task in tasks])
    axes.set_ylim(0, 100)
    axes.set_ylabel("episodes that did the task, %")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return png(figure)


def reward_bars(summaries: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> bytes:
    """Mean reward of each setting with its 95% interval."""
    figure, axes = canvas(0.6 + 0.42 * len(summaries))
    for index, summary in enumerate(summaries):
        reward = summary["reward"]
        error = [[max(0.0, reward["mean"] - reward["low"])], [max(0.0, reward["high"] - reward["mean"])]]
        axes.barh(index, reward["mean"], xerr=error, color=COLOURS[index % len(COLOURS)], height=0.6, capsize=3)
        axes.annotate(f"{reward['mean']:.2f}", (reward["high"], index), (6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(summaries)), labels)
    axes.invert_yaxis()
    score = score_in(summaries[0])
    if score.low is not None and score.high is not None:
        axes.set_xlim(score.low, score.low + 1.12 * (score.high - score.low))
    if score.name == TASKS and score.high is not None:
        axes.set_xticks(range(int(score.high) + 1))
    axes.set_xlabel(f"{title(score)} an episode, with 95% interval")
    return png(figure)


def reliability(ranks: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Share of the ranks that are at most u over u, a line for each entry; calibrated ones are on the diagonal."""
    figure, axes = canvas(4.2)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="calibrated")
    for index, (name, values) in enumerate(ranks.items()):
        axes.ecdf(values, label=name, color=COLOURS[index % len(COLOURS)])
    axes.set_xlim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("u")
    axes.set_ylabel("share of the ranks that are at most u")
    axes.legend(frameon=False, fontsize="small")
    return png(figure)


def intent_colours(names: Sequence[str]) -> list[str]:
    """The colours of the K intents with these names and, last, of none of them."""
    return [*(INTENTS[index % len(INTENTS)] for index in range(len(names))), NEUTRAL]


def bands(axes: Axes, course: Course) -> None:
    """Draw a belief over the seconds of an episode as bands that fill [0, 1], and above it what is true.

    Where nobody knows how long a step takes, it is over the steps.

    The two stripes above the bands are the intent that the assistant acts for and the one that the operator pursues,
    which is left white where nobody knows it. A dashed line marks every task that was done.
    """
    unit = 1.0 if course.period is None else course.period
    colours, times = intent_colours(course.names), unit * np.arange(len(course.beliefs) + 1)
    held = np.vstack([course.beliefs, course.beliefs[-1:]])  # a belief lasts until the next decision
    axes.stackplot(times, held.T, colors=colours, lw=0, step="post")
    for place, followed in ((1.04, course.committed), (1.13, course.truths)):
        for index, colour in enumerate(colours):
            steps = np.flatnonzero(followed == index)
            axes.broken_barh([(times[step], unit) for step in steps], (place, 0.07), color=colour, lw=0)
    for step, _ in course.completed:
        axes.axvline(times[step + 1], color="#222222", lw=0.9, ls=(0, (4, 3)))
    axes.set(xlim=(0, times[-1]), ylim=(0, 1.21))
    axes.set_yticks([0, 0.5, 1.075, 1.165], ["0", "0.5", "acts for", "truth"])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def intent_patches(course: Course) -> list[Patch]:
    """What a legend of `bands` shows: the intents that can be seen in it, and none of them."""
    followed = {*course.committed.tolist(), *course.truths.tolist(), len(course.names)}
    seen = [index in followed or share >= 0.005 for index, share in enumerate(course.beliefs.max(0))]
    named = zip(intent_colours(course.names), course.labels, seen, strict=True)
    return [Patch(color=colour, label=label) for colour, label, shown in named if shown]


def belief_over_time(course: Course) -> bytes:
    """The picture of a belief over an episode: see `bands`."""
    figure, axes = canvas(3.4)
    bands(axes, course)
    axes.set_xlabel(unit_of(course.period))
    axes.set_ylabel("belief", loc="bottom")
    figure.legend(handles=intent_patches(course), loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return png(figure)


def unit_of(period: float | None) -> str:
    """What time is counted in, for a step that takes `period` seconds."""
    return "steps" if period is None else "seconds"


def recognition_over_time(curves: Mapping[str, pd.DataFrame], period: float | None) -> bytes:
    """Draw for each entry (`eval.belief.over_time`) how often the assistant is right, over the time since a task began.

    A step takes `period` seconds, None where nobody knows. The right ends, to which fewer than `_ENOUGH` tasks last,
    are left out.
    """
    figure, axes = canvas(3.2)
    for index, (name, curve) in enumerate(curves.items()):
        shown = curve[curve["n"] >= _ENOUGH]
        axes.plot((period or 1.0) * shown["since"], shown["right"], label=name, color=COLOURS[index % len(COLOURS)])
    since = f"{unit_of(period)} since the demonstrator began with it"
    axes.set(xlabel=since, ylabel="acts for the right task", ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize="small")
    return png(figure)


def reliability_of_belief(levels: Mapping[str, pd.DataFrame]) -> bytes:
    """Draw for each entry (`eval.belief.reliability`) how often the likeliest intent is true, over its probability.

    Dots have an area in proportion to the steps in their bin; calibrated ones are on the diagonal.
    """
    figure, axes = canvas(4.2)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="calibrated")
    for index, (name, bins) in enumerate(levels.items()):
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(bins["probability"], bins["right"], color=colour, lw=1.2, label=name)
        axes.scatter(bins["probability"], bins["right"], 250 * bins["n"] / bins["n"].sum(), color=colour, lw=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    axes.set(xlabel="probability of the likeliest intent", ylabel="share of the steps in which it is right")
    axes.legend(frameon=False, fontsize="small")
    return png(figure)


def filled_errors(errors: pd.DataFrame) -> bytes:
    """The mean error of each filled dimension, on a log scale, a panel for each channels: `dimensions` of
    `eval.filling_tables`."""
    panels = list(errors.groupby("channels", sort=False))
    heights = [0.22 * part["dimension"].nunique() + 0.7 for _, part in panels]
    figure = Figure(figsize=(_WIDTH, 0.4 + sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (channels, part) in zip(rows, panels, strict=True):
        for index, (name, own) in enumerate(part.groupby("assistant", sort=False)):
            colour = COLOURS[index % len(COLOURS)]
            axes.plot(own["error"], own["dimension"].astype(str), "o", color=colour, alpha=0.8, ms=4, label=name)
        axes.set(xscale="log", title=f"held: {channels}")
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    rows[-1].set_xlabel("mean error, in the robot's units")
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside lower center", frameon=False, ncols=2)
    return png(figure)
